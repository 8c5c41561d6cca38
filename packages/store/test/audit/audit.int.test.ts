import { systemOutside } from '@millrace/base'
import { decodeBatches, type Log, LogError } from '@millrace/log'
import {
  type AuditRecord,
  type EventStore,
  openStore,
  type StoreOptions,
  withActor,
} from '@millrace/store'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { AuditLog } from '../../src/audit/audit-log.ts'
import { codeOf, filesWith, openLog, temporaryFolder } from '../personal/support.ts'

const TOPIC = '__millrace.audit'
const loan = { category: 'loan', id: 'l-1' }
const submitted = { type: 'Submitted', data: { secret: 'plaintext-of-the-event' } }

/** All records of the audit, in order. */
async function records(log: Log): Promise<AuditRecord[]> {
  const [result] = await log.fetch({
    positions: [{ topic: TOPIC, partition: 0, offset: 0, maxBytes: 8 << 20 }],
    minBytes: 1,
    maxBytes: 8 << 20,
    maxWaitMs: 0,
    isolation: 'read_uncommitted',
  })
  const found: AuditRecord[] = []
  for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
    for (const record of batch.records()) found.push(JSON.parse(String(record.value)))
  }
  return found
}

/** A log whose appends to the audit fail while `down.now` is set. */
function failing(log: Log, down: { now: boolean; refused?: number }): Log {
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const entries = args[0] as readonly { topic?: string }[]
        if (down.now && name === 'append' && entries.some(entry => entry.topic === TOPIC)) {
          down.refused = (down.refused ?? 0) + 1
          return Promise.reject(new LogError('KAFKA_STORAGE_ERROR'))
        }
        return value.apply(target, args)
      }
    },
  })
}

let folder = ''
let log: Log
beforeEach(async () => {
  folder = temporaryFolder()
  log = await openLog(folder)
})

async function open(options: Partial<StoreOptions> = {}): Promise<EventStore> {
  const store = await openStore({
    log,
    folder: null,
    categories: { loan: { buckets: 2 } },
    audit: true,
    ...options,
  })
  onTestFinished(() => store.close().catch(() => undefined))
  return store
}

describe('the audit', () => {
  test('says who wrote what, when, with what outcome', async () => {
    const store = await open()
    const ada = withActor(store, 'ada')
    const before = Date.now()
    await ada.append(loan, [submitted, submitted], { commandId: 'c-1' })
    await store.append(loan, [submitted], { expectedVersion: 7, actor: 'bob' })
    await codeOf(() => ada.append(loan, [{ type: '', data: null }]))
    await ada.archive(loan)
    await ada.archive(loan, false)
    await ada.truncate(loan, 2)
    await ada.tombstone(loan)
    const all = await records(log)
    expect(all.map(({ v, id, time, ...rest }) => rest)).toEqual(
      [
        { action: 'append', outcome: 'ok', version: 2, events: 2, commandId: 'c-1' },
        { action: 'append', outcome: 'conflict', version: 2, events: 0, actor: 'bob' },
        { action: 'append', outcome: 'failed', code: 'BAD_ARGUMENT' },
        { action: 'archive', outcome: 'ok', version: 2 },
        { action: 'unarchive', outcome: 'ok', version: 2 },
        { action: 'truncate', outcome: 'ok', version: 2, from: 2 },
        { action: 'tombstone', outcome: 'ok', version: 2 },
      ].map(record => ({
        actor: 'ada',
        tenant: '',
        categories: ['loan'],
        stream: 'l-1',
        ...record,
      })),
    )
    for (const { v, id, time } of all) {
      expect(v).toBe(1)
      expect(time).toBeGreaterThanOrEqual(before)
      expect(time).toBeLessThanOrEqual(Date.now())
      expect(id).toMatch(/^[\w-]{16}$/)
    }
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
  })

  test('says who read what, before anything is handed out, also when reading stops early', async () => {
    const store = await open()
    await store.append(loan, [submitted, submitted])
    const ada = withActor(store, 'ada')
    for await (const _ of ada.read(loan, { from: 1, to: 2 })) break
    await ada.read(loan).all()
    await ada.aggregate(loan, { initial: () => 0, evolve: n => n + 1 })
    await ada.state(loan)
    await ada.event(loan, 2)
    for await (const _ of ada.readAll(['loan'], { tenant: null })) break
    for await (const _ of ada.search(['loan'], { types: ['Submitted'] })) break
    for await (const _ of ada.streams('loan')) break
    for await (const _ of ada.follow(loan, { from: 2 })) break
    await codeOf(() => ada.state({ category: 'nothing', id: 'x' }))
    await store.close()
    const seen = (await records(log)).slice(1)
    expect(seen.every(({ actor }) => actor === 'ada')).toBe(true)
    expect(
      seen.map(({ action, outcome, version, from, tenant }) => [
        action,
        outcome,
        version,
        from,
        tenant,
      ]),
    ).toEqual([
      ['read', 'ok', 2, 1, ''],
      ['read', 'ok', 2, undefined, ''],
      ['aggregate', 'ok', 2, undefined, ''],
      ['state', 'ok', 2, undefined, ''],
      ['event', 'ok', 2, 2, ''],
      ['read-all', 'ok', undefined, undefined, null],
      ['search', 'ok', undefined, undefined, ''],
      ['streams', 'ok', undefined, undefined, ''],
      ['follow', 'ok', undefined, 2, ''],
      ['state', 'failed', undefined, undefined, ''],
    ])
  })

  test('never holds the data of events', async () => {
    const store = await open()
    await store.append(loan, [submitted])
    await store.read(loan).all()
    await store.close()
    const text = JSON.stringify(await records(log))
    expect(text).not.toContain('plaintext-of-the-event')
    expect(filesWith(folder, 'plaintext-of-the-event')).not.toEqual([])
  })

  test('is not there unless it was asked for', async () => {
    const store = await open({ audit: false })
    const ada = withActor(store, 'ada')
    await ada.append(loan, [submitted])
    expect((await ada.event(loan, 1))?.actor).toBe('ada')
    expect(await log.describeTopics([TOPIC])).toEqual([])
  })

  test('names the actor in the events, too; an actor of the append goes before', async () => {
    const ada = withActor(await open(), 'ada')
    await ada.append(loan, [submitted])
    await ada.append(loan, [submitted], { actor: 'bob' })
    const { events } = await ada.read(loan).all()
    expect(events.map(({ actor }) => actor)).toEqual(['ada', 'bob'])
  })

  test('is closed with the store, and not with the view of an actor', async () => {
    const store = await open()
    await withActor(store, 'ada').close()
    await store.append(loan, [submitted])
    await store.close()
    expect(await codeOf(() => withActor(store, 'ada').state(loan))).toBe('STORE_CLOSED')
  })
})

describe('when the audit cannot be written', () => {
  const settings = { 'audit.queue.max': 3, 'audit.timeout.ms': 200 }

  test('a change fails though it stands, and its repetition is recorded', async () => {
    const down = { now: false }
    const store = await open({ log: failing(log, down), settings })
    down.now = true
    expect(await codeOf(() => store.append(loan, [submitted], { commandId: 'c' }))).toBe(
      'AUDIT_UNAVAILABLE',
    )
    down.now = false
    const again = await store.append(loan, [submitted], { commandId: 'c' })
    expect(again).toMatchObject({ ok: true, duplicate: true, version: 1 })
    const appended = (await records(log)).filter(({ action }) => action === 'append')
    expect(appended.map(({ events }) => events)).toEqual([1, 0])
  })

  test('reads go on until too many records wait, then they wait, and no record is lost', async () => {
    const down = { now: false, refused: 0 }
    const store = await open({ log: failing(log, down), settings })
    await store.append(loan, [submitted])
    down.now = true
    let answered = 0
    const reads = Array.from({ length: 10 }, () => store.state(loan).then(() => void answered++))
    await vi.waitFor(() => expect(answered).toBe(3))
    const { refused } = down
    await vi.waitFor(() => expect(down.refused).toBeGreaterThan(refused + 1))
    expect(answered, 'the others wait while the records are tried again').toBe(3)
    down.now = false
    await Promise.all(reads)
    await store.close()
    const states = (await records(log)).filter(({ action }) => action === 'state')
    // An answer that was lost may leave a record twice; its id tells.
    expect(new Set(states.map(({ id }) => id)).size).toBe(10)
  })

  test('closing says how many records are lost', async () => {
    const down = { now: false }
    const store = await open({ log: failing(log, down), settings })
    await store.append(loan, [submitted])
    down.now = true
    await store.state(loan)
    await store.state(loan)
    const error = await store.close().then(
      () => null,
      (cause: Error) => cause,
    )
    expect(error).toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
    expect(error?.message).toContain('2 records')
    expect(await codeOf(() => store.state(loan))).toBe('STORE_CLOSED')
  })
})

test('records keep their order and wait for each other, thousands at a time', async () => {
  const audit = await AuditLog.open({
    log,
    topic: TOPIC,
    outside: systemOutside(),
    queueMax: 100,
    timeoutMs: 5000,
  })
  const entry = { action: 'state', actor: null, outcome: 'ok', tenant: '', categories: [] } as const
  for (let i = 0; i < 3000; i++) {
    await audit.add({ ...entry, version: i })
    expect(audit.waiting).toBeLessThanOrEqual(100)
  }
  await audit.store({ ...entry, version: 3000 })
  await audit.close()
  await vi.waitFor(async () => expect((await records(log)).length).toBe(3001))
  expect((await records(log)).map(({ version }) => version)).toEqual(
    Array.from({ length: 3001 }, (_, i) => i),
  )
})
