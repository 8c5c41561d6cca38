// Writers and readers over stores that die, on a machine that crashes, behind a network that loses,
// repeats, delays and tears. A failing seed is replayed with SIM_SEED; SIM_SEEDS sets how many are
// run. `sweep.ts` runs any number of them without stopping.
import { encodeBatch, type Log } from '@millrace/log'
import { expect, it, test } from 'vitest'
import { KIND } from '../../src/on-log/index/keys.ts'
import type { Link } from './machine.ts'
import { type HistoryOptions, runHistory } from './run-history.ts'

const one = process.env['SIM_SEED']
const count = Number(process.env['SIM_SEEDS'] ?? 40)

const replay = (seed: number): string =>
  `seed ${seed}; replay: SIM_SEED=${seed} npx vitest run --project sim packages/store/test/histories/histories`

it(`${one === undefined ? `${count} runs` : `run ${one}`}: what 64 writers over 10 streams are told is linearizable, and all readers are given the same`, async () => {
  const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)]
  let appended = 0
  for (const seed of seeds) {
    try {
      appended += (await runHistory(seed)).appended
    } catch (cause) {
      throw new Error(`${replay(seed)}\n${cause instanceof Error ? cause.stack : cause}`, { cause })
    }
  }
  expect(appended).toBeGreaterThan(0)
})

/** A log with other appends. */
const appending = (link: Link, append: Log['append']): Log =>
  new Proxy(link.log, {
    get: (target, name) => {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

const isSettle = (batch: Buffer): boolean => batch.includes('settle')

const nonsense = (): Buffer => encodeBatch({ records: [{ key: 'k', value: 'no event' }] })

/** Seeds among which one must fail. */
const CANARY_SEEDS = 40

const HARMS: Readonly<Record<string, HistoryOptions>> = {
  'settle records do not settle': {
    // Much comes late, so that much is settled.
    plan: plan => ({ ...plan, crashes: 0, weather: { ...plan.weather, late: 0.3, lateMs: 200 } }),
    harm: link =>
      appending(link, (entries, options) =>
        link.log.append(
          entries.map(entry => (isSettle(entry.batch) ? { ...entry, batch: nonsense() } : entry)),
          options,
        ),
      ),
  },
  'a batch is acknowledged and another one is written': {
    harm: link => {
      let calls = 0
      return appending(link, (entries, options) => {
        calls += 1
        const harmed = calls === 20 ? entries.map(e => ({ ...e, batch: nonsense() })) : entries
        return link.log.append(harmed, options)
      })
    },
  },
  'a restart forgets which records are void': { keeps: ({ key }) => key[0] !== KIND.void },
  'a restart forgets the states of streams': { keeps: ({ key }) => key[0] !== KIND.stream },
}

test.each(Object.entries(HARMS))('%s: it is found', async (_, harmed) => {
  let found = false
  for (let seed = 1; seed <= CANARY_SEEDS && !found; seed += 1) {
    found = await runHistory(seed, harmed).then(
      () => false,
      () => true,
    )
  }
  expect(found).toBe(true)
})
