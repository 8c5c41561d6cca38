// What is kept at work starts again when it fails, says why, and ends when it is asked to.
import { systemOutside } from '@millrace/base'
import { expect, it } from 'vitest'
import { Supervisor } from '../../src/projections/supervisor.ts'
import { until } from './support/accounts.ts'

class Fatal extends Error {}

function supervised(of: {
  prepare?: () => Promise<void>
  run: (signal: AbortSignal) => Promise<void>
}) {
  const told: string[] = []
  const supervisor = new Supervisor({
    outside: systemOutside(),
    backoff: { firstMs: 1, maxMs: 2 },
    prepare: async () => undefined,
    isFinal: error => error instanceof Fatal,
    onRestart: (reason, restarts) => told.push(`restart ${restarts}: ${reason}`),
    onStop: reason => told.push(`stop: ${reason}`),
    ...of,
  })
  return { supervisor, told }
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

it('starts again after each failure, and says why', async () => {
  let rounds = 0
  const { supervisor, told } = supervised({
    run: async signal => {
      rounds += 1
      if (rounds <= 2) throw new Error(`failure ${rounds}`)
      supervisor.progressed()
      await untilAborted(signal)
    },
  })
  await supervisor.start()
  await until(() => rounds === 3)
  expect(told).toEqual(['restart 1: failure 1', 'restart 2: failure 2'])
  expect(supervisor).toMatchObject({ state: 'running', restarts: 2, reason: undefined })
  await supervisor.stop()
  expect(told.at(-1)).toBe('stop: undefined')
  expect(supervisor.state).toBe('stopped')
})

it('ends with what cannot mend itself, and can be started again', async () => {
  let isBroken = true
  const { supervisor, told } = supervised({
    run: signal => (isBroken ? Promise.reject(new Fatal('broken')) : untilAborted(signal)),
  })
  await supervisor.start()
  await until(() => supervisor.state === 'stopped')
  expect(supervisor.reason).toBe('broken')
  expect(told).toEqual(['stop: broken'])
  isBroken = false
  await supervisor.start()
  expect(supervisor).toMatchObject({ state: 'running', reason: undefined })
  await supervisor.stop()
})

it('throws what the first preparation threw', async () => {
  const { supervisor } = supervised({
    prepare: () => Promise.reject(new Error('no database')),
    run: untilAborted,
  })
  await expect(supervisor.start()).rejects.toThrow('no database')
  expect(supervisor).toMatchObject({ state: 'stopped', reason: 'no database' })
})

it('plans anew when it is told that the plan has changed, without a restart', async () => {
  let plans = 0
  const { supervisor, told } = supervised({
    prepare: async () => {
      plans += 1
    },
    run: untilAborted,
  })
  await supervisor.start()
  await until(() => supervisor.state === 'running')
  supervisor.again()
  await until(() => plans === 2)
  expect(told).toEqual([])
  await supervisor.stop()
})

it('plans once more when the plan changed while it was made', async () => {
  let plans = 0
  let rounds = 0
  const { supervisor } = supervised({
    prepare: async () => {
      plans += 1
      if (plans === 2) supervisor.again()
    },
    run: async signal => {
      rounds += 1
      await untilAborted(signal)
    },
  })
  await supervisor.start()
  await until(() => rounds === 1)
  supervisor.again()
  await until(() => rounds === 2)
  expect(plans).toBe(3)
  await supervisor.stop()
})

it('ends while it is being prepared, and runs nothing afterwards', async () => {
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const { supervisor } = supervised({
    prepare: () => gate.promise,
    run: async () => {
      runs += 1
    },
  })
  const started = supervisor.start()
  const stopped = supervisor.stop()
  gate.resolve()
  await Promise.all([started, stopped])
  await supervisor.stop()
  expect(runs).toBe(0)
  expect(supervisor.state).toBe('stopped')
})
