// A log that fails for a moment: callers are told so in a word that says that it may pass, and the store
// goes on.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { type Log, LogError } from '@millrace/log'
import { afterAll, expect, it } from 'vitest'
import { openStore, StoreError } from '../../src/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'millrace-passing-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A log whose questions and fetches fail while it is broken. */
function breakable(log: Log) {
  const state = { broken: false, code: 'NOT_LEADER_OR_FOLLOWER' as const }
  const failure = () => new LogError(state.code, 'the connection ended')
  const calls: Record<string, unknown> = {
    listOffsets: async (queries: Parameters<Log['listOffsets']>[0]) =>
      state.broken
        ? queries.map(query => ({ ...query, offset: -1, error: failure() }))
        : log.listOffsets(queries),
    fetch: async (request: Parameters<Log['fetch']>[0]) => {
      if (state.broken) throw failure()
      return log.fetch(request)
    },
  }
  const broken = new Proxy(log, {
    get: (target, name) => {
      const value = calls[String(name)] ?? Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { log: broken, state }
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  )

it('a passing fault of the log is told as one, and passes', async () => {
  await using engine = await openEngine({ folder })
  const { log, state } = breakable(engine)
  await using store = await openStore({
    log,
    folder: null,
    categories: { thing: { buckets: 3 } },
    settings: { 'log.patience.ms': 50 },
  })
  const stream = { category: 'thing', id: 's' }
  await store.append(stream, [{ type: 'Made', data: {} }])
  state.broken = true
  const far = store.append(stream, [{ type: 'Made', data: {} }], { expectedVersion: 5 })
  expect(await codeOf(far)).toBe('LOG_UNAVAILABLE')
  expect(await codeOf(store.catchUp())).toBe('LOG_UNAVAILABLE')
  expect(await codeOf(store.at(['thing'], 0))).toBe('LOG_UNAVAILABLE')
  state.broken = false
  expect(await codeOf(store.catchUp())).toBe('none')
  expect(await store.append(stream, [{ type: 'Made', data: {} }])).toMatchObject({ ok: true })
})

it('a call waits for a log that comes back in time', async () => {
  await using engine = await openEngine({ folder: join(folder, 'back') })
  const { log, state } = breakable(engine)
  await using store = await openStore({ log, folder: null, categories: { thing: {} } })
  state.broken = true
  const caughtUp = store.catchUp()
  setImmediate(() => {
    state.broken = false
  })
  expect(await codeOf(caughtUp)).toBe('none')
})
