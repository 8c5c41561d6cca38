import { LogError } from '@millrace/log'
import { CommandError, ConfigError, EXIT } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { exitCodeOf, failureText } from '../src/failure.ts'

describe('a failure', () => {
  test('of the log is told with its code and what to do, without a stack', () => {
    const text = failureText(new LogError('UNKNOWN_TOPIC_OR_PARTITION', 'loans'), false)
    expect(text).toBe(
      'error: no such topic or partition: loans (UNKNOWN_TOPIC_OR_PARTITION)\nCreate the topic, or correct the name.\n',
    )
  })

  test('shows its stack and causes with --debug', () => {
    const cause = new Error('the socket ended')
    const text = failureText(new LogError('NETWORK_EXCEPTION', undefined, cause), true)
    expect(text).toMatch(/ {4}at /)
    expect(text).toContain('caused by: Error: the socket ended')
  })

  test('that nobody expected points to --debug', () => {
    expect(failureText(new TypeError('x is not a function'), false)).toContain('--debug')
    expect(failureText('thrown text', false)).toContain('error: thrown text')
  })

  test('has an exit code that scripts can use', () => {
    expect(exitCodeOf(new CommandError('x', EXIT.busy))).toBe(5)
    expect(exitCodeOf(new ConfigError(['x']))).toBe(2)
    expect(exitCodeOf(new RangeError('x'))).toBe(2)
    expect(exitCodeOf(new LogError('NETWORK_EXCEPTION'))).toBe(3)
    expect(exitCodeOf(new LogError('POLICY_VIOLATION'))).toBe(1)
    expect(exitCodeOf(null)).toBe(1)
  })
})
