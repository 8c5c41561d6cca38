// Every limit of the node holds where it is set: its own bounds are taken, one past them is refused, and
// a test beside the code says what happens there.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { resolveSettings, type Setting } from '@millrace/base'
import { BROKER_SETTINGS } from '@millrace/broker'
import { ENGINE_SETTINGS, GROUP_SETTINGS } from '@millrace/engine'
import { describe, expect, test } from 'vitest'

const TABLES: readonly (readonly [string, Readonly<Record<string, Setting>>])[] = [
  ['engine', ENGINE_SETTINGS],
  ['engine', GROUP_SETTINGS],
  ['broker', BROKER_SETTINGS],
]

/** Those that tests give by the name of the part that they bound. */
const GIVEN_AS: Readonly<Record<string, string>> = {
  'clock.jump.hold.ms': 'holdMs:',
  'clock.jump.max.ms': 'jumpMaxMs:',
  'clock.start.jump.max.ms': 'startJumpMaxMs:',
  'group.initial.rebalance.delay.ms': 'DELAY_MS',
  'group.max.session.timeout.ms': 'sessionTimeoutMs: 1_800_001',
  'health.repeat.ms': 'everyMs',
  'producer.id.expiration.ms': '.expire(',
  'request.turn.warn.ms': 'warnMs',
}

const integers = TABLES.flatMap(([home, table]) =>
  Object.entries(table).flatMap(([key, setting]) =>
    setting.type === 'integer' ? [{ key, setting, home }] : [],
  ),
)

/** What the tests of a package say. */
function testsOf(home: string): string {
  const folder = join(import.meta.dirname, '..', 'packages', home, 'test')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts') && !name.includes('readme'))
    .map(name => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}

const tests = { engine: testsOf('engine'), broker: testsOf('broker') } as Record<string, string>

describe.each(integers)('$key', ({ key, setting, home }) => {
  const { min, max } = setting
  const resolved = (value: number) => resolveSettings({ [key]: setting }, { [key]: value })

  test.each([min, max])('takes its bound %d', value => {
    expect(resolved(value)).toEqual({ [key]: value })
  })

  test.each([min - 1, max + 1])('refuses %d, one past its bound, and says which', value => {
    expect(() => resolved(value)).toThrow(RangeError)
    expect(() => resolved(value)).toThrow(key)
  })

  test('has a test of what it bounds', () => {
    expect(tests[home]?.includes(GIVEN_AS[key] ?? key), key).toBe(true)
  })
})
