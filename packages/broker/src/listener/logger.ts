/** Where the listener writes what an operator should know: one line each, with its fields apart. */
export interface Logger {
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/** The fields of one line. */
export type LogFields = Readonly<Record<string, unknown>>
