/** What JSON does to a value, and the difference between two values in words. */
import { AssertionError } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'
import { notJson } from '../define/json.ts'

/** The value as it comes back from a log or a snapshot. */
export function asJson<T>(value: T): T {
  const text = JSON.stringify(value)
  return text === undefined ? value : (JSON.parse(text) as T)
}

/** Throws an AssertionError with a diff, unless both are equal. */
export function assertEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) throw difference(actual, expected, what)
}

/** An AssertionError that says what was compared, above the diff that Node makes. */
export function difference(actual: unknown, expected: unknown, what: string): AssertionError {
  const values = { actual, expected, operator: 'deepStrictEqual' }
  const [, ...diff] = new AssertionError(values).message.split('\n')
  return new AssertionError({ ...values, message: [what, ...diff].join('\n') })
}

/** Throws an AssertionError if JSON would not give the value back; properties that are undefined may go. */
export function assertJson(value: unknown, what: string): void {
  const problem = notJson(value)
  if (problem === undefined) return
  throw new AssertionError({ message: `${what} is not JSON: ${problem}`, actual: value })
}
