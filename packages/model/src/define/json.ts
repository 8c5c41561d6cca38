/** Plain data: what JSON would not give back as it was, and freezing. */

/** As deep as an event of the store may be, less what its fields are wrapped in. */
const DEPTH_MAX = 96

/**
 * Where a value is not plain JSON (".seen: a Map"), or undefined. A property that is undefined may
 * go; an undefined element of an array would become null.
 */
export function notJson(value: unknown, path = '', depth = 0): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      if (Object.is(value, -0)) return `${path}: -0`
      return Number.isFinite(value) ? undefined : `${path}: ${value}`
    case 'object':
      break
    default:
      return `${path}: ${typeof value}`
  }
  if (value === null) return undefined
  // Also what contains itself ends here.
  if (depth >= DEPTH_MAX) return `${path}: nested deeper than ${DEPTH_MAX}`
  if (Array.isArray(value))
    return firstOf(value.entries(), (key, one) => notJson(one, `${path}[${key}]`, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    return `${path}: a ${value.constructor?.name ?? 'foreign object'}`
  }
  return firstOf(Object.entries(value), (key, one) =>
    one === undefined ? undefined : notJson(one, `${path}.${key}`, depth + 1),
  )
}

function firstOf<K>(
  entries: Iterable<[K, unknown]>,
  problem: (key: K, value: unknown) => string | undefined,
): string | undefined {
  for (const [key, value] of entries) {
    const found = problem(key, value)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Freezes a value and everything in it, so that code which changes what it was given throws. What is
 * frozen already is not looked into again, so a state that shares its parts with the one before
 * costs what is new in it.
 */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}
