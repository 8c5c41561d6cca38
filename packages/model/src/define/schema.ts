/**
 * Schemas: any validator of the Standard Schema (standardschema.dev, version 1), or a plain type.
 *
 * Schemas are synchronous and give JSON, because events and commands are written to a log and come
 * over wires. The interface is declared here, so that no validator is a dependency.
 */

/** What a validator answers: a value, or what is wrong and where. */
export type SchemaResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One thing that is wrong with a value. */
export type SchemaIssue = {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A validator as the Standard Schema describes one; `I` goes in, `O` comes out. */
export type Schema<I = unknown, O = I> = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
    readonly types?: { readonly input: I; readonly output: O } | undefined
  }
}

type Types<S> = S extends { '~standard': { types?: infer T } } ? NonNullable<T> : never
/** What a schema takes. */
export type In<S> = Types<S> extends { input: infer I } ? I : never
/** What a schema gives. */
export type Out<S> = Types<S> extends { output: infer O } ? O : never

/** Schemas by name. */
// biome-ignore lint/suspicious/noExplicitAny: a bound for inference; unknown would refuse every schema with an input of its own
export type Schemas = Record<string, Schema<any, any>>

/**
 * A schema that only names a type and lets every value pass: for data that is made and read by
 * this program alone.
 */
export function type<T>(): Schema<T> {
  return {
    '~standard': { version: 1, vendor: 'millrace', validate: (value: unknown) => ({ value }) },
  }
}
