import { systemOutside } from '@millrace/base'
import { DECOMPRESSED_BYTES_MAX, encodeBatch } from '@millrace/log'
import { expect, test } from 'vitest'
import { topicConfigOf } from '../../src/partitions/topic-config.ts'
import { BatchDoor } from '../../src/service/batch-door.ts'
import { ENGINE_SETTINGS, type EngineSettings } from '../../src/settings.ts'

const MIB = 1 << 20
const config = topicConfigOf({}, {})
const batchOf = (bytes: number): Buffer =>
  encodeBatch({
    records: [{ value: Buffer.alloc(bytes) }],
    compression: 'gzip',
    timestamp: Date.now(),
  })

function doorOf(turnBytes: number) {
  const defaults = Object.entries(ENGINE_SETTINGS).map(([key, each]) => [key, each.default])
  const settings = {
    ...(Object.fromEntries(defaults) as EngineSettings),
    'append.decompressed.turn.bytes': turnBytes,
  }
  let monotonic = 0
  const { timers, random } = systemOutside({ keepAlive: false })
  const clock = { ...systemOutside({ keepAlive: false }).clock, monotonic: () => monotonic }
  const door = new BatchDoor(settings, { clock, timers, random }, () => 16 * MIB)
  const pass = (ms: number): void => {
    monotonic += ms
  }
  return { door, pass }
}

test('the main thread decompresses so much in a stretch of time and no more', () => {
  const { door, pass } = doorOf(MIB)
  const now = (bytes: number): boolean =>
    typeof door.open(config, batchOf(bytes), 't/0') !== 'function'
  // A quarter of the budget for one batch; four of them, then it is spent.
  expect(now(MIB / 4)).toBe(false)
  pass(10)
  for (let i = 0; i < 4; i += 1) expect(now(MIB / 4 - 100)).toBe(true)
  expect(now(100)).toBe(false)
  pass(9)
  expect(now(100)).toBe(false)
  pass(1)
  expect(now(100)).toBe(true)
})

test('a partition does not wait behind all that another one has brought', async () => {
  const { door } = doorOf(0)
  const done: string[] = []
  const judge = async (line: string, name: string): Promise<void> => {
    const verdict = door.open(config, batchOf(MIB), line)
    if (typeof verdict !== 'function') throw new Error('it was judged at once')
    const { error } = await verdict()
    expect(error).toBeUndefined()
    done.push(name)
  }
  const all = Array.from({ length: 12 }, (_, i) => judge('greedy/0', `greedy ${i}`))
  all.push(judge('modest/0', 'modest'))
  await Promise.all(all)
  expect(done).toHaveLength(13)
  // Two were running and one more may have begun.
  expect(done.indexOf('modest')).toBeLessThan(6)
})

test('the engine stores nothing that decompresses to more than readers open', () => {
  const { max, default: most } = ENGINE_SETTINGS['append.decompressed.max.bytes']
  expect({ max, most }).toEqual({ max: DECOMPRESSED_BYTES_MAX, most: DECOMPRESSED_BYTES_MAX })
})
