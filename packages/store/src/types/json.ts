/**
 * What JSON can carry. `JSON.stringify` drops or changes the rest without a word: a Date becomes
 * text, NaN becomes null, a Map becomes {}. An event that changes on its way into the log is a bug
 * that is found years later, so it is refused when it is written.
 */

/** Deepest nesting of an event's data; `JSON.stringify` and readers in other languages recurse. */
export const JSON_DEPTH_MAX = 100

/** What of a value is not JSON, with the path to it; null if all is. */
export function jsonProblem(value: unknown, path = 'data', depth = 0): string | null {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null
    case 'number':
      return Number.isFinite(value) ? null : `${path} is ${value}, which JSON cannot carry`
    case 'object':
      break
    default:
      return `${path} is ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`}, which JSON cannot carry`
  }
  if (value === null) return null
  if (depth >= JSON_DEPTH_MAX) return `${path} is nested deeper than ${JSON_DEPTH_MAX}`
  return Array.isArray(value) ? listProblem(value, path, depth) : objectProblem(value, path, depth)
}

function listProblem(list: readonly unknown[], path: string, depth: number): string | null {
  for (let i = 0; i < list.length; i++) {
    const problem = inner(list[i]) ? jsonProblem(list[i], `${path}[${i}]`, depth + 1) : null
    if (problem !== null) return problem
  }
  return null
}

function objectProblem(value: object, path: string, depth: number): string | null {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    return `${path} is a ${value.constructor?.name ?? 'class instance'}, not a plain object`
  }
  for (const key of Object.keys(value)) {
    const field = (value as Readonly<Record<string, unknown>>)[key]
    // An optional field that is not there; JSON leaves it out and so says the same.
    if (field === undefined || !inner(field)) continue
    const problem = jsonProblem(field, fieldPath(path, key), depth + 1)
    if (problem !== null) return problem
  }
  return null
}

/** Whether a value needs a look; texts and numbers, which most are, need no path built for them. */
const inner = (value: unknown): boolean =>
  typeof value !== 'string' && typeof value !== 'boolean' && !Number.isFinite(value)

/** The path of a field, as one would write it in the language. */
export function fieldPath(path: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${path}[${key}]`
  const name = String(key)
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
}
