/** Where two JSON values differ. */

/** One place that differs; `undefined`: it is not there. */
export type JsonDifference = {
  /** Such as `offers[1].rate`; empty for the value itself. */
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

/** The places where two values differ, in the order of the first one's fields. */
export function jsonDifferences(before: unknown, after: unknown, path = ''): JsonDifference[] {
  if (
    !isContainer(before) ||
    !isContainer(after) ||
    Array.isArray(before) !== Array.isArray(after)
  ) {
    return Object.is(before, after) ? [] : [{ path, before, after }]
  }
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap(name =>
    jsonDifferences(
      before[name],
      after[name],
      Array.isArray(before) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`,
    ),
  )
}

const isContainer = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
