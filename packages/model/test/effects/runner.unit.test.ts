import { systemOutside } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createEffectRunner, type EffectRunnerOptions } from '../../src/effects/index.ts'
import { type EffectContext, effect } from '../../src/index.ts'

const outside = systemOutside()
const call = (data: unknown, failed = 0, signal = new AbortController().signal) => ({
  ...{ effect: 'mail', data, id: 's/1@2', tenant: 'acme', failed, signal },
})

const runnerOf = (
  run: (data: { to: string }, context: EffectContext) => Promise<void>,
  options: EffectRunnerOptions = {},
) => {
  const mail = effect('mail', z.object({ to: z.string() }), run)
  return createEffectRunner({ mail }, { outside }, options)
}

describe('an effect', () => {
  test('is told its id, the attempt and the tenant', async () => {
    const told: unknown[] = []
    const runner = runnerOf(async (data, { id, attempt, tenant }) => {
      told.push([data, id, attempt, tenant])
    })
    expect(await runner.attempt(call({ to: 'x' }, 2))).toMatchObject({ kind: 'done' })
    expect(told).toEqual([[{ to: 'x' }, 's/1@2', 3, 'acme']])
  })

  test('is to be tried again after doubling waits, up to its bound', async () => {
    const runner = runnerOf(
      async () => {
        throw new Error('closed')
      },
      { retry: { 'retry.attempts.max': 3, 'retry.first.ms': 1000, 'retry.longest.ms': 1500 } },
    )
    const first = await runner.attempt(call({ to: 'x' }, 0))
    const second = await runner.attempt(call({ to: 'x' }, 1))
    // Jitter is a fifth of the wait to both sides.
    expect(first).toMatchObject({ kind: 'again', counts: true })
    expect(second).toMatchObject({ kind: 'again', counts: true })
    const waits = [first, second].map(each => (each.kind === 'again' ? each.inMs : 0))
    expect(waits[0]).toBeGreaterThanOrEqual(800)
    expect(waits[0]).toBeLessThanOrEqual(1201)
    expect(waits[1]).toBeGreaterThanOrEqual(1200)
    expect(waits[1]).toBeLessThanOrEqual(1801)
    expect(await runner.attempt(call({ to: 'x' }, 2))).toMatchObject({
      ...{ kind: 'over', error: { message: 'closed' } },
    })
  })

  test('is not tried again with data that its schema refuses, or under a name that is unknown', async () => {
    const runner = runnerOf(async () => {})
    expect(await runner.attempt(call({ to: 1 }))).toMatchObject({
      ...{ kind: 'over', error: { code: 'BAD_ARGUMENT' } },
    })
    expect(await runner.attempt({ ...call({}), effect: 'other' })).toMatchObject({
      ...{ kind: 'over', error: { code: 'BAD_DEFINITION' } },
    })
  })

  test('that takes too long is told so and counts as failed', async () => {
    let told = ''
    const runner = runnerOf(
      (_data, { signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            told = (signal.reason as Error).message
          })
        }),
      { settings: { 'effect.timeout.ms': 5 } },
    )
    expect(await runner.attempt(call({ to: 'x' }))).toMatchObject({
      ...{ kind: 'again', error: { code: 'EFFECT_FAILED' } },
    })
    expect(told).toContain('longer than 5 ms (effect.timeout.ms)')
  })

  test('that keeps failing is not called while its circuit is open, and that costs no attempt', async () => {
    let calls = 0
    const runner = runnerOf(
      async () => {
        calls += 1
        throw new Error('down')
      },
      { retryOf: { mail: { 'circuit.failures': 3, 'circuit.open.ms': 60_000 } } },
    )
    for (let n = 0; n < 3; n += 1) await runner.attempt(call({ to: 'x' }))
    const refused = await runner.attempt(call({ to: 'x' }))
    expect(refused).toMatchObject({ kind: 'again', counts: false })
    expect(refused.kind === 'again' && refused.inMs).toBeGreaterThan(50_000)
    expect(calls).toBe(3)
    expect(runner.status()).toMatchObject([{ name: 'effect mail', circuit: 'open' }])
  })

  test('has a name of its own', () => {
    const mail = effect('mail', z.object({}), async () => {})
    expect(() => createEffectRunner({ a: mail, b: mail }, { outside })).toThrow('two effects')
  })
})
