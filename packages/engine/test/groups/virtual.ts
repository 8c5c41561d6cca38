// Virtual time, a sink with latency that can crash, and seeded randomness: all that the group tests
// need to run a coordinator without waiting.

import type { Clock, Outside, Timer, Timers } from '@millrace/base'
import type { Machine, MachineRecord } from '../../src/machines/machine.ts'
import type { Commits, MachineCommit } from '../../src/machines/runtime.ts'

export type Rng = { next(): number; below(n: number): number; chance(p: number): boolean }

/** mulberry32 */
export function rng(seed: number): Rng {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    below: n => Math.floor(next() * n),
    chance: p => next() < p,
  }
}

type Due = { at: number; order: number; run: () => void; cancelled: boolean }

export class VirtualTime implements Clock, Timers {
  #now = 0
  #order = 0
  #heap: Due[] = []
  started = 0

  now(): number {
    return 1_700_000_000_000 + this.#now
  }

  monotonic(): number {
    return this.#now
  }

  /** Timers that are waiting. */
  get waiting(): number {
    return this.#heap.filter(due => !due.cancelled).length
  }

  after(ms: number, callback: () => void): Timer {
    const due = { at: this.#now + ms, order: this.#order++, run: callback, cancelled: false }
    this.started++
    this.#push(due)
    return {
      cancel: () => {
        due.cancelled = true
      },
    }
  }

  soon(callback: () => void): void {
    this.after(0, callback)
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => void this.after(ms, resolve))
  }

  /** Runs everything up to `ms` from now, promises included. */
  async run(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.at > until) break
      this.#pop()
      if (first.cancelled) continue
      this.#now = first.at
      first.run()
      const next = this.#heap[0]
      if (next === undefined || next.at > first.at) await settle()
    }
    this.#now = until
    await settle()
  }

  #less(a: number, b: number): boolean {
    const x = this.#heap[a]
    const y = this.#heap[b]
    if (x === undefined || y === undefined) return false
    return x.at < y.at || (x.at === y.at && x.order < y.order)
  }

  #swap(a: number, b: number): void {
    const x = this.#heap[a]
    const y = this.#heap[b]
    if (x === undefined || y === undefined) return
    this.#heap[a] = y
    this.#heap[b] = x
  }

  #push(due: Due): void {
    this.#heap.push(due)
    let at = this.#heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#less(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      let least = at
      if (this.#less(left, least)) least = left
      if (this.#less(left + 1, least)) least = left + 1
      if (least === at) break
      this.#swap(at, least)
      at = least
    }
  }
}

/** Lets all promises that can go on do so. */
export function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

export function outsideOf(time: VirtualTime, random: Rng): Outside {
  return {
    clock: time,
    timers: time,
    random: { bytes: length => Buffer.from(Array.from({ length }, () => random.below(256))) },
  }
}

/** Keeps records in memory; an append is durable after `latency` ms, in order. */
export class VirtualSink implements Commits {
  readonly entered: MachineRecord[] = []
  durable = 0
  latency = 0
  /** Throws at once, nothing entered. */
  refuse = false
  /** Bytes of keys of the largest commit. */
  largest = 0
  /** Rejects for ever. */
  fenced = false
  readonly #time: VirtualTime
  #waiters: { upTo: number; resolve: () => void; reject: (error: Error) => void }[] = []
  #dead = false

  constructor(time: VirtualTime, records: readonly MachineRecord[] = []) {
    this.#time = time
    this.entered.push(...records)
    this.durable = records.length
  }

  commit(parts: readonly MachineCommit[]): Promise<void> {
    if (this.refuse && parts.length > 0) throw new Error('no room')
    const bytes = parts
      .flatMap(({ records }) => records)
      .reduce((sum, { key }) => sum + key.length, 0)
    this.largest = Math.max(this.largest, bytes)
    if (this.fenced) return Promise.reject(new Error('fenced'))
    for (const { machine, records } of parts) {
      this.entered.push(...records)
      for (const record of records) machine.replay(record)
    }
    return this.settled()
  }

  readonly sliceBytes = 1000

  room(): Promise<void> {
    return this.settled()
  }

  settled(): Promise<void> {
    if (this.fenced) return Promise.reject(new Error('fenced'))
    const upTo = this.entered.length
    if (upTo <= this.durable) return Promise.resolve()
    if (this.latency === 0) {
      this.durable = upTo
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ upTo, resolve, reject })
      this.#time.after(this.latency, () => this.#flush(upTo))
    })
  }

  /** The power fails: what was not durable may or may not be there. */
  crash(random: Rng): MachineRecord[] {
    this.#dead = true
    const kept = this.durable + random.below(this.entered.length - this.durable + 1)
    return this.entered.slice(0, kept)
  }

  #flush(upTo: number): void {
    if (this.#dead) return
    this.durable = Math.max(this.durable, upTo)
    const ready = this.#waiters.filter(waiter => waiter.upTo <= this.durable)
    this.#waiters = this.#waiters.filter(waiter => waiter.upTo > this.durable)
    for (const { resolve, reject } of ready) {
      if (this.fenced) reject(new Error('fenced'))
      else resolve()
    }
  }
}

/** Gives each record to the machine that owns it. */
export function fill(machines: readonly Machine[], records: readonly MachineRecord[]): void {
  for (const record of records) machines.find(machine => machine.owns(record.key))?.replay(record)
}

/** All records of the machines' snapshots. */
export function snapshotOf(machines: readonly Machine[]): MachineRecord[] {
  return machines.flatMap(machine => [...machine.snapshot().records()])
}

/** A consumer's subscription, version 0: topics, then user data. */
export function subscription(topics: readonly string[], userData = ''): Buffer {
  const parts = [int(2, 0), int(4, topics.length)]
  for (const topic of topics) parts.push(int(2, Buffer.byteLength(topic)), Buffer.from(topic))
  parts.push(int(4, Buffer.byteLength(userData)), Buffer.from(userData))
  return Buffer.concat(parts)
}

function int(bytes: 2 | 4, value: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeIntBE(value, 0, bytes)
  return buffer
}
