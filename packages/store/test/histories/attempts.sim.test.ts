// Attempts of one append that overlap with what else goes on: each test is a history that went wrong
// once, cut down to its calls.
import type { Engine } from '@millrace/engine'
import { Prng } from '@millrace/engine/simulation'
import { type AppendEntry, type AppendResult, type Log, LogError } from '@millrace/log'
import { expect, it } from 'vitest'
import { type EventStore, openStore } from '../../src/index.ts'
import { Machine, tear } from './machine.ts'
import { CATEGORY, nameOf, streamOf } from './names.ts'

/** What happens to a call of `append`, by its number. */
type Turn = {
  /** Before it is written, ms. */
  readonly before?: number
  /** Afterwards, before it is answered, ms. */
  readonly after?: number
  /** It is written, and the answer is an error. */
  readonly fails?: boolean
  /** The answer is an error, and it is written this much later, ms. */
  readonly late?: number
  /** Its first record is written, the others this much later, ms; and the answer is an error. */
  readonly torn?: number
}

const machine = new Machine(new Prng(1))

/** The log, with a script for its appends from `begin` on: opening a store writes what its buckets are. */
function scripted(engine: Engine, turns: readonly Turn[]): { log: Log; begin: () => void } {
  let calls = Number.NEGATIVE_INFINITY
  const append: Log['append'] = async (entries, options) => {
    const turn = turns[calls]
    calls += 1
    const copies = entries.map(entry => ({ ...entry, batch: Buffer.from(entry.batch) }))
    await machine.outside.sleep(turn?.before ?? 0)
    if (turn?.late !== undefined) {
      void machine.outside.sleep(turn.late).then(() => engine.append(copies, options))
      throw timedOut()
    }
    if (turn?.torn !== undefined) {
      const [entry] = copies as [AppendEntry]
      const [first, others] = tear(entry.batch, 1)
      await engine.append([{ ...entry, batch: first }], options)
      await machine.outside.sleep(turn.torn)
      const results = await engine.append([{ ...entry, batch: others }], options)
      return results.map((result): AppendResult => ({ ...result, error: timedOut() }))
    }
    const results = await engine.append(copies, options)
    await machine.outside.sleep(turn?.after ?? 0)
    if (turn?.fails !== true) return results
    return results.map((result): AppendResult => ({ ...result, error: timedOut() }))
  }
  // What others bring takes a moment longer, so that a store folds itself what it wrote.
  const fetch: Log['fetch'] = async request => {
    const results = await engine.fetch(request)
    await machine.outside.sleep(5)
    return results
  }
  const log = new Proxy(engine as Log, {
    get: (target, name) => {
      if (name === 'append') return append
      if (name === 'fetch') return fetch
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const begin = (): void => {
    calls = 0
  }
  return { log, begin }
}

const timedOut = (): LogError => new LogError('REQUEST_TIMED_OUT')

const happened = (name: string) => [{ type: 'Happened', data: { name } }]

/** Runs under virtual time with two stores on one log; the first one's appends follow the script. */
async function withStores(
  turns: readonly Turn[],
  body: (scriptedStore: EventStore, other: EventStore) => Promise<void>,
): Promise<void> {
  const { outside } = machine
  const engine = machine.engine ?? (await machine.boot())
  const work = async (): Promise<void> => {
    await engine.deleteTopics([CATEGORY])
    const options = { folder: null, categories: { [CATEGORY]: { buckets: 1 } }, outside }
    const { log, begin } = scripted(engine, turns)
    await using first = await openStore({ ...options, log })
    await using other = await openStore({ ...options, log: engine })
    begin()
    await body(first, other)
  }
  await outside.drive(work())
}

async function names(store: EventStore, stream: string): Promise<string[]> {
  await store.catchUp()
  return (await store.read(streamOf(stream)).all()).events.map(nameOf)
}

it('the same append id on two streams at once: each is answered with its own result', () =>
  withStores([], async store => {
    const [one, two] = await Promise.all([
      store.append(streamOf('a'), happened('a'), { appendId: 'same' }),
      store.append(streamOf('b'), [...happened('b1'), ...happened('b2')], { appendId: 'same' }),
    ])
    expect(one).toMatchObject({ ok: true, version: 1 })
    expect(two).toMatchObject({ ok: true, version: 2 })
  }))

it('an attempt that was settled late does not end the next one', () =>
  withStores(
    // The first attempt, which is late; its settle record; the second attempt; and what is written if
    // that one is given up while it is on its way.
    [{ late: 50 }, { before: 500 }, { before: 700 }, { before: 400 }],
    async (store, other) => {
      const asked = store.append(streamOf('a'), happened('wanted once'))
      await other.append(streamOf('a'), happened('other'))
      expect(await asked).toMatchObject({ ok: true, version: 2 })
      await machine.outside.sleep(5000)
      expect(await names(other, 'a')).toEqual(['other', 'wanted once'])
    },
  ))

it('a batch whose answer is lost counts once, without a command id', () =>
  withStores([{ fails: true }], async (store, other) => {
    const answer = await store.append(streamOf('a'), happened('once'))
    expect(answer).toMatchObject({ ok: true, version: 1 })
    expect(await names(other, 'a')).toEqual(['once'])
  }))

it('an append that was settled before it came never counts', () =>
  withStores([{ late: 500 }], async (store, other) => {
    const asked = store.append(streamOf('a'), happened('once'))
    expect(await asked).toMatchObject({ ok: true, version: 1 })
    await machine.outside.sleep(1000)
    expect(await names(other, 'a')).toEqual(['once'])
  }))

it('an append that was given up and settled stays out, however late it comes', () =>
  withStores([{ late: 3000 }, { before: 200 }], async (store, other) => {
    const lost = store.append(streamOf('a'), happened('lost'), { timeoutMs: 1 })
    await expect(lost).rejects.toMatchObject({ code: 'APPEND_TIMED_OUT' })
    await machine.outside.sleep(5000)
    expect(await names(other, 'a')).toEqual([])
    expect(await other.append(streamOf('a'), happened('next'))).toMatchObject({ version: 1 })
  }))

it('a condition sees the events of an append that stood open when it was judged', () =>
  withStores([{ torn: 500 }, { before: 700 }], async store => {
    const tagged = happened('open').map(event => ({ ...event, tags: ['t'] }))
    const after = await store.now([CATEGORY])
    const open = store.append(streamOf('a'), [...tagged, ...happened('end')])
    await machine.outside.sleep(100)
    await store.catchUp()
    const answer = await store.append(streamOf('b'), happened('b'), {
      condition: { failIfMatch: [{ tags: ['t'] }], after },
    })
    expect(answer).toMatchObject({ ok: false, conflict: 'condition' })
    expect(await open).toMatchObject({ ok: true, version: 2 })
  }))

it('tags and conditions are as they were when the call was made, whatever the caller does with them', () =>
  withStores([], async (store, other) => {
    const after = await store.now([CATEGORY])
    const tags = ['t']
    const asked = store.append(streamOf('a'), [{ type: 'Happened', data: { name: 'a' }, tags }])
    tags[0] = 'changed'
    expect(await asked).toMatchObject({ ok: true })
    const condition = { failIfMatch: [{ tags: ['t'] }], after }
    for (const one of [store, other]) {
      await one.catchUp()
      const answer = await one.append(streamOf('b'), happened('b'), { condition })
      expect(answer).toMatchObject({ ok: false, conflict: 'condition' })
    }
  }))
