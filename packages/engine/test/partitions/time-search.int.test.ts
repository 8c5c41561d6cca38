// Questions by time that take long: others have their turns meanwhile.
import { encodeBatch } from '@millrace/log'
import { expect, test } from 'vitest'
import { append, createTopic, open } from '../engine/support.ts'

const NOW = Date.now() - 10_000

/** Turns of the loop until `work` is done. */
async function turnsOf<T>(
  work: Promise<T>,
): Promise<{ readonly value: T; readonly turns: number }> {
  let turns = 0
  let over = false
  const count = (): void => {
    turns += 1
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  const value = await work
  over = true
  return { value, turns }
}

test('a batch that opens to a hundred times its size is opened over many turns, once', async () => {
  const engine = await open({ settings: { 'append.decompressed.max.ratio': 100_000 } })
  await createTopic(engine, 't')
  const batch = encodeBatch({
    ...{ compression: 'zstd', bytesMax: 1 << 27, timestamp: NOW },
    records: [
      { value: Buffer.alloc(60_000_000), timestamp: NOW },
      { value: 'end', timestamp: NOW + 5 },
    ],
  })
  const [appended] = await engine.append([{ topic: 't', partition: 0, batch }])
  expect(appended?.error).toBeUndefined()
  const ask = () =>
    engine.listOffsets(
      Array.from({ length: 500 }, () => ({ topic: 't', partition: 0, place: NOW + 1 })),
      'read_uncommitted',
    )
  const { value, turns } = await turnsOf(ask())
  expect(turns).toBeGreaterThan(20)
  expect(new Set(value.map(({ offset }) => offset))).toEqual(new Set([1]))
})

test('a walk over a whole segment goes in slices, and finds what is above the log start', async () => {
  const engine = await open()
  await createTopic(engine, 't')
  await append(engine, 't', ['newest'], { timestamp: NOW + 5_000 })
  const value = 'x'.repeat(100_000)
  for (let i = 0; i < 60; i += 1) await append(engine, 't', [value], { timestamp: NOW + i })
  await engine.deleteRecords([{ topic: 't', partition: 0, offset: 1 }])
  const ask = async (place: number | 'maxTimestamp') => {
    const [answer] = await engine.listOffsets(
      [{ topic: 't', partition: 0, place }],
      'read_uncommitted',
    )
    return answer
  }
  expect(await ask('maxTimestamp')).toMatchObject({ offset: 60, timestamp: NOW + 59 })
  expect(await ask(NOW + 30)).toMatchObject({ offset: 31, timestamp: NOW + 30 })
  expect(await ask(NOW + 1_000)).toMatchObject({ offset: -1 })
})
