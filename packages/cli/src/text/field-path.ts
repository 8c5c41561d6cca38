/**
 * A dotted path into a JSON value: `applicationId`, `customer.id`, `items.0.sku`. A field whose own
 * name has dots is found under the whole rest of the path, if it is there.
 */

/** The value at `path`, or undefined where there is none. */
export function valueAt(root: unknown, path: string): unknown {
  if (typeof root !== 'object' || root === null) return undefined
  // The common case first: one plain name.
  if (Object.hasOwn(root, path)) return (root as Readonly<Record<string, unknown>>)[path]
  const dot = path.indexOf('.')
  if (dot === -1) return undefined
  const name = path.slice(0, dot)
  if (!Object.hasOwn(root, name)) return undefined
  return valueAt((root as Readonly<Record<string, unknown>>)[name], path.slice(dot + 1))
}

/** A JSON value as the text of a key: text as it is, the rest as JSON. Null when there is none. */
export function keyText(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}
