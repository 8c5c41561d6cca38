/** The limit of bytes in memory: who waits, who is woken, and that nobody waits for ever. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BytesInFlight, type Waiter } from '../../src/listener/bytes-in-flight.ts'

/** Callbacks that run when the test says so. */
class Later {
  #due: (() => void)[] = []
  readonly soon = (callback: () => void): void => void this.#due.push(callback)

  run(): void {
    while (this.#due.length > 0) for (const callback of this.#due.splice(0)) callback()
  }
}

const waiter = (): Waiter & { woken: number } => ({
  woken: 0,
  proceed() {
    this.woken += 1
  },
})

test('requests start and sockets are read up to the limit, not at it', () => {
  const bytes = new BytesInFlight(100, new Later().soon)
  const one = waiter()
  bytes.charge(99)
  expect(bytes.mayStart(one)).toBe(true)
  expect(bytes.mayRead(one, false)).toBe(true)
  bytes.charge(1)
  expect(bytes.mayStart(one)).toBe(false)
  expect(bytes.mayRead(one, false)).toBe(false)
})

test('who waits is woken below three quarters, once, and outside of the release', () => {
  const later = new Later()
  const bytes = new BytesInFlight(100, later.soon)
  const [starting, reading] = [waiter(), waiter()]
  bytes.charge(100)
  bytes.mayStart(starting)
  bytes.mayRead(reading, false)
  bytes.release(25)
  later.run()
  expect([starting.woken, reading.woken]).toEqual([0, 0])
  bytes.release(1)
  expect([starting.woken, reading.woken]).toEqual([0, 0])
  later.run()
  expect([starting.woken, reading.woken]).toEqual([1, 1])
  bytes.release(50)
  later.run()
  expect([starting.woken, reading.woken]).toEqual([1, 1])
})

test('over the limit one half frame at a time is read on, and the pass goes from one to the next', () => {
  const later = new Later()
  const bytes = new BytesInFlight(100, later.soon)
  const [first, second, third] = [waiter(), waiter(), waiter()]
  bytes.receive(120)
  expect(bytes.mayRead(first, true)).toBe(true)
  expect(bytes.mayRead(second, true)).toBe(false)
  // Nothing is worked on: who has no half of a frame is not kept waiting by those of others.
  expect(bytes.mayRead(third, false)).toBe(true)
  expect(bytes.pressedByHalves).toBe(true)
  expect(bytes.mayRead(first, true)).toBe(true)
  bytes.start(40, first)
  later.run()
  expect([first.woken, second.woken, third.woken]).toEqual([0, 1, 0])
  expect(bytes.mayRead(second, true)).toBe(true)
  expect(bytes.mayRead(first, true)).toBe(false)
  bytes.forget(second)
  later.run()
  expect(first.woken).toBe(1)
})

test('connections that send any frames all finish, whatever the limit', () => {
  const frames = fc.array(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 6 }), {
    minLength: 1,
    maxLength: 6,
  })
  fc.assert(
    fc.property(frames, fc.integer({ min: 50, max: 120 }), fc.nat(), (given, limit, turn) => {
      const later = new Later()
      const bytes = new BytesInFlight(limit, later.soon)
      const peers = given.map(sizes => new WaitingSender(bytes, sizes))
      let most = 0
      for (let step = 0; step < 2_000 && !peers.every(peer => peer.done); step += 1) {
        peers[(step + turn) % peers.length]?.step()
        later.run()
        most = Math.max(most, bytes.total)
      }
      expect(peers.every(peer => peer.done)).toBe(true)
      expect(bytes.total).toBe(0)
      expect(most).toBeLessThanOrEqual(limit + 50 + peers.length * CHUNK)
    }),
  )
})

const CHUNK = 7

/** A connection in small: reads chunks, starts frames, is answered a step later. */
class WaitingSender implements Waiter {
  readonly #bytes: BytesInFlight
  readonly #sizes: number[]
  #received = 0
  #working = 0
  #reading = true

  constructor(bytes: BytesInFlight, sizes: readonly number[]) {
    this.#bytes = bytes
    this.#sizes = [...sizes]
  }

  get done(): boolean {
    return this.#sizes.length === 0 && this.#working === 0
  }

  proceed(): void {
    this.#advance()
  }

  step(): void {
    if (this.#working > 0) {
      const working = this.#working
      this.#working = 0
      this.#bytes.release(working)
    }
    const expected = this.#sizes.reduce((sum, size) => sum + size, 0) - this.#received
    if (!this.#reading || expected === 0) return
    const read = Math.min(CHUNK, expected)
    this.#received += read
    this.#bytes.receive(read)
    this.#advance()
  }

  #advance(): void {
    for (;;) {
      const size = this.#sizes[0]
      if (size === undefined || this.#received < size) break
      if (!this.#bytes.mayStart(this)) {
        this.#reading = false
        return
      }
      this.#sizes.shift()
      this.#received -= size
      this.#working += size
      this.#bytes.start(size, this)
    }
    this.#reading = this.#bytes.mayRead(this, this.#received > 0)
  }
}
