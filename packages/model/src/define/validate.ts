/** Validation by any Standard Schema validator, with what is wrong in words. */
import { ModelError, type ModelErrorCode } from '../errors.ts'
import type { Schema, SchemaIssue, SchemaResult } from './schema.ts'

/** Issues that a message names; a list of thousands helps nobody. */
const ISSUES_MAX = 5

function pathOf(issue: SchemaIssue): string {
  return (issue.path ?? [])
    .map(part => (typeof part === 'object' ? part.key : part))
    .map(key => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
}

/**
 * The validated value, as the schema gives it. `what` names the value in messages
 * ("loan.submit" gives "loan.submit.amount: …"). Throws `code` for a bad value and BAD_DEFINITION
 * for a validator that throws or does not answer at once.
 */
export function validated(
  schema: Schema<unknown, unknown>,
  value: unknown,
  what: string,
  code: ModelErrorCode,
): unknown {
  let result: SchemaResult<unknown>
  try {
    result = schema['~standard'].validate(value) as SchemaResult<unknown>
  } catch (cause) {
    throw new ModelError('BAD_DEFINITION', `the schema of ${what} threw`, { cause })
  }
  if (result instanceof Promise) {
    result.catch(() => {})
    throw new ModelError('BAD_DEFINITION', `the schema of ${what} is asynchronous`)
  }
  if (result.issues === undefined) return result.value
  const named = result.issues
    .slice(0, ISSUES_MAX)
    .map(one => `${what}${pathOf(one)}: ${one.message}`)
  const more = result.issues.length - named.length
  throw new ModelError(code, named.join('; ') + (more > 0 ? `; and ${more} more` : ''))
}
