// Retries, their bounds, and the circuit, under virtual time.
import { VirtualOutside } from '@millrace/engine/simulation'
import { describe, expect, test } from 'vitest'
import { MODEL_ERRORS, ModelError } from '../../src/errors.ts'
import { Policy, type PolicyOptions } from '../../src/policy/policy.ts'

const scene = (settings: PolicyOptions['settings'] = {}, seed = 1) => {
  const outside = new VirtualOutside(seed)
  const waits: number[] = []
  const policy = new Policy({
    name: 'mail',
    settings,
    outside,
    onRetry: (_error, _attempt, waitMs) => waits.push(waitMs),
  })
  const failing = (times: number) => {
    let left = times
    return async ({ attempt }: { attempt: number }) => {
      if (left-- > 0) throw new Error('down')
      return attempt
    }
  }
  const refused = new ModelError('INVALID_COMMAND', 'no')
  return { outside, policy, waits, failing, refused }
}

describe('retries', () => {
  test('a call is tried again until it succeeds', async () => {
    const { outside, policy, failing } = scene()
    expect(await outside.drive(policy.run(failing(3)))).toBe(4)
    expect(policy.state).toMatchObject({ attempts: 4, succeeded: 1, failed: 0, running: 0 })
  })

  test('waits double up to the longest, each within a fifth of its length', async () => {
    const settings = { 'retry.first.ms': 100, 'retry.longest.ms': 400, 'retry.attempts.max': 6 }
    for (let seed = 1; seed <= 50; seed += 1) {
      const { outside, policy, waits, failing } = scene(settings, seed)
      await outside.drive(policy.run(failing(5)))
      expect(waits).toHaveLength(5)
      for (const [i, full] of [100, 200, 400, 400, 400].entries()) {
        expect(waits[i], `seed ${seed}`).toBeGreaterThanOrEqual(full * 0.8)
        expect(waits[i], `seed ${seed}`).toBeLessThanOrEqual(full * 1.2)
      }
    }
  })

  test('the last attempt allowed is the last, and its failure the cause', async () => {
    const { outside, policy, failing } = scene({ 'retry.attempts.max': 3 })
    await expect(outside.drive(policy.run(failing(3)))).rejects.toMatchObject({
      code: 'RETRIES_EXHAUSTED',
      retriable: true,
      cause: { message: 'down' },
    })
    expect(policy.state).toMatchObject({ attempts: 3, failed: 1 })
    expect(await outside.drive(policy.run(failing(2)))).toBe(3)
  })

  test('no attempt begins past the age allowed', async () => {
    const { outside, policy } = scene({
      'retry.attempts.max': 1000,
      'retry.elapsed.ms': 1000,
      'circuit.failures': 0,
    })
    const begun: number[] = []
    const call = policy.run(async () => {
      begun.push(outside.clock.monotonic())
      throw new Error('down')
    })
    await expect(outside.drive(call)).rejects.toMatchObject({ code: 'RETRIES_EXHAUSTED' })
    expect(begun.length).toBeGreaterThan(2)
    expect(Math.max(...begun)).toBeLessThanOrEqual(1000)
  })

  test('what cannot be mended by repeating is thrown as it is, at once', async () => {
    const { outside, policy, refused } = scene()
    await expect(outside.drive(policy.run(() => Promise.reject(refused)))).rejects.toBe(refused)
    expect(policy.state).toMatchObject({ attempts: 1, failuresInRow: 0, failed: 1 })
  })

  test('a signal ends the wait between attempts', async () => {
    const { outside, policy, failing } = scene({ 'retry.first.ms': 10_000 })
    const abort = new AbortController()
    const call = policy.run(failing(9), { signal: abort.signal })
    outside.timers.after(5, () => abort.abort(new Error('enough')))
    await expect(outside.drive(call)).rejects.toThrow('enough')
    expect(outside.clock.monotonic()).toBe(5)
    expect(policy.state).toMatchObject({ waiting: 0, running: 0 })
    expect(outside.waiting).toBe(0)
  })

  test('a value outside its bounds is refused by name', () => {
    expect(() => new Policy({ name: 'x', settings: { 'retry.attempts.max': 0 } })).toThrow(
      'retry.attempts.max must be a whole number from 1 to 1000000, not 0',
    )
  })
})

describe('the circuit', () => {
  const once = { 'retry.attempts.max': 1, 'circuit.failures': 3, 'circuit.open.ms': 1000 }
  const down = () => Promise.reject(new Error('down'))
  const tripped = async (settings: PolicyOptions['settings'] = {}) => {
    const it = scene({ ...once, ...settings })
    for (let i = 0; i < 3; i += 1) await it.policy.run(down).catch(() => {})
    return it
  }

  test('opens after failures in a row, and only then refuses', async () => {
    const { policy } = scene(once)
    await policy.run(down).catch(() => {})
    await policy.run(down).catch(() => {})
    await policy.run(async () => 'up')
    await policy.run(down).catch(() => {})
    await policy.run(down).catch(() => {})
    expect(policy.state.circuit).toBe('closed')
    await policy.run(down).catch(() => {})
    expect(policy.state).toMatchObject({ circuit: 'open', probeInMs: 1000 })
    await expect(policy.run(async () => 'up')).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' })
    expect(policy.state).toMatchObject({ refused: 1, attempts: 6 })
  })

  test('lets one probe through after its time; success closes it', async () => {
    const { outside, policy } = await tripped()
    await outside.advance(999)
    await expect(policy.run(async () => 'up')).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' })
    await outside.advance(1)
    expect(policy.state.circuit).toBe('half-open')
    const gate = Promise.withResolvers<string>()
    const probe = policy.run(() => gate.promise)
    await expect(policy.run(async () => 'up')).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' })
    gate.resolve('up')
    expect(await probe).toBe('up')
    expect(policy.state).toMatchObject({ circuit: 'closed', failuresInRow: 0 })
  })

  test('a probe that fails opens it again for the whole time', async () => {
    const { outside, policy } = await tripped()
    await outside.advance(1000)
    await policy.run(down).catch(() => {})
    expect(policy.state).toMatchObject({ circuit: 'open', probeInMs: 1000 })
  })

  test('as many probes must succeed as are let through at once', async () => {
    const { outside, policy } = await tripped({ 'circuit.probes': 2 })
    await outside.advance(1000)
    await policy.run(async () => 'up')
    expect(policy.state.circuit).toBe('half-open')
    await policy.run(async () => 'up')
    expect(policy.state.circuit).toBe('closed')
  })

  test('an attempt that began before it opened does not count after it has closed', async () => {
    const { outside, policy } = scene(once)
    const slow = Promise.withResolvers<never>()
    const early = policy.run(() => slow.promise).catch(() => {})
    for (let i = 0; i < 3; i += 1) await policy.run(down).catch(() => {})
    await outside.advance(1000)
    await policy.run(async () => 'up')
    slow.reject(new Error('late'))
    await early
    expect(policy.state).toMatchObject({ circuit: 'closed', failuresInRow: 0 })
  })

  test('a call that is retrying waits for it within its own bounds', async () => {
    const { outside, policy, failing } = scene({
      'circuit.failures': 2,
      'circuit.open.ms': 5000,
      'retry.first.ms': 10,
    })
    expect(await outside.drive(policy.run(failing(3)))).toBe(4)
    expect(outside.clock.monotonic()).toBeGreaterThanOrEqual(10_000)
    const short = scene({
      'circuit.failures': 2,
      'circuit.open.ms': 5000,
      'retry.elapsed.ms': 4000,
    })
    await expect(short.outside.drive(short.policy.run(short.failing(3)))).rejects.toMatchObject({
      code: 'CIRCUIT_OPEN',
    })
  })

  test('a signal ends the wait for it, and nothing is tried any more', async () => {
    const { outside, policy } = scene({
      'circuit.failures': 1,
      'circuit.open.ms': 5000,
      'retry.first.ms': 10,
    })
    const abort = new AbortController()
    let calls = 0
    const call = policy.run(
      () => {
        calls += 1
        return down()
      },
      { signal: abort.signal },
    )
    outside.timers.after(4999, () => abort.abort(new Error('enough')))
    await expect(outside.drive(call)).rejects.toThrow('enough')
    await outside.advance(1)
    expect(calls).toBe(1)
    // No probe was taken by the call that ended.
    expect(await policy.run(async () => 'up')).toBe('up')
  })

  test('an attempt ended by its signal leaves it as it was, and gives its probe back', async () => {
    const { outside, policy } = await tripped()
    await outside.advance(1000)
    const abort = new AbortController()
    const hung = policy.run(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        }),
      { signal: abort.signal },
    )
    abort.abort(new Error('enough'))
    await expect(hung).rejects.toThrow('enough')
    expect(policy.state.circuit).toBe('half-open')
    expect(await policy.run(async () => 'up')).toBe('up')
    expect(policy.state.circuit).toBe('closed')
  })
})

test('every error says what happened and what to do, in whole sentences', () => {
  for (const [code, spec] of Object.entries(MODEL_ERRORS)) {
    expect(spec.message, code).toMatch(/^[a-z].*[^.]$/)
    expect(spec.operator, code).toMatch(/^[A-Z].*\.$/)
  }
})
