/**
 * Groups under churn: members come, go and die, requests and answers of the group protocol are
 * lost, records keep coming. No record is lost, no partition is held by two living members, no
 * committed offset moves back; without deaths and losses no record is worked on twice.
 */

import type { Groups, TopicPartition } from '@millrace/log'
import { LogError } from '@millrace/log'
import { expect, test } from 'vitest'
import type { AssignorName } from '../../src/consumer/assignors.ts'
import { type Bench, bench, consumerOn, Loop, store } from '../support/clients.ts'
import type { FakeLog } from '../support/fake-log.ts'

const SEED_FIRST = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? 100)
const PARTITIONS = 5
const STEPS = 25
const MEMBERS_MAX = 4

type Member = { readonly loop: Loop; dead: boolean }

/** The log as one member reaches it: its calls can get lost, and end when it dies. */
function reach(log: FakeLog, lossRate: number, isDead: () => boolean): FakeLog {
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        if (name === 'groups') return groups
        const member = Reflect.get(object, name)
        if (typeof member !== 'function') return member
        return async (...args: unknown[]) => {
          if (isDead()) return await new Promise(() => {})
          const lost = () => target === log.groups && log.outside.next() < lossRate
          if (lost()) throw new LogError('NETWORK_EXCEPTION', 'request lost')
          const answer = await member.apply(object, args)
          if (isDead()) return await new Promise(() => {})
          if (lost()) throw new LogError('NETWORK_EXCEPTION', 'answer lost')
          return answer
        }
      },
    })
  const groups: Groups = wrap(log.groups)
  return wrap(log)
}

class ChurnScene {
  readonly b: Bench
  readonly members: Member[] = []
  readonly written: string[] = []
  readonly assignor: AssignorName
  readonly lossRate: number
  deaths = 0
  #holders = new Map<number, Loop>()

  constructor(b: Bench) {
    this.b = b
    const { outside } = b
    this.assignor = outside.next() < 0.6 ? 'cooperative-sticky' : 'roundrobin'
    this.lossRate = outside.next() < 0.5 ? 0 : outside.next() * 0.15
    b.log.groups.latencyMs = () => outside.next() * 20
    b.log.latencyMs = () => outside.next() * 20
  }

  get living(): Member[] {
    return this.members.filter(({ dead }) => !dead)
  }

  join(): void {
    const { outside, log } = this.b
    const own = { outside, log: reach(log, this.lossRate, () => member.dead) }
    const consumer = consumerOn(own, {
      groupId: 'g',
      commitIntervalMs: 500,
      sessionTimeoutMs: 20_000,
      rebalanceTimeoutMs: 30_000,
      assignors: [this.assignor],
      partitionBytesMax: 200,
    })
    const member: Member = { loop: new Loop(consumer, outside), dead: false }
    member.loop.workMs = outside.next() * (outside.next() < 0.5 ? 100 : 4_000)
    consumer.subscribe(['t'], {
      onAssigned: partitions => this.#hold(member.loop, partitions),
      onRevoked: async partitions => {
        for (const { partition } of partitions)
          expect(member.loop.working.has(partition), 'finished before it goes').toBe(false)
        await outside.sleep(outside.next() * 2_000)
        this.#release(member.loop, partitions)
      },
      onLost: partitions => this.#release(member.loop, partitions),
    })
    this.members.push(member)
  }

  async leave(member: Member): Promise<void> {
    await this.b.outside.until(member.loop.consumer.close())
    await this.b.outside.until(member.loop.done)
    this.members.splice(this.members.indexOf(member), 1)
    this.gone.push(member.loop)
  }

  readonly gone: Loop[] = []

  kill(member: Member): void {
    member.dead = true
    member.loop.dead = true
    this.deaths += 1
    this.#release(member.loop, member.loop.consumer.assignment())
    for (const [partition, holder] of this.#holders)
      if (holder === member.loop) this.#holders.delete(partition)
    this.gone.push(member.loop)
  }

  write(): void {
    const partition = Math.floor(this.b.outside.next() * PARTITIONS)
    const values = Array.from(
      { length: 1 + Math.floor(this.b.outside.next() * 5) },
      (_, index) => `${partition}:${this.written.length + index}`,
    )
    store(this.b.log, values, partition)
    this.written.push(...values)
  }

  #hold(loop: Loop, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) {
      expect(this.#holders.get(partition) ?? loop, `${partition} has one holder`).toBe(loop)
      this.#holders.set(partition, loop)
    }
  }

  #release(loop: Loop, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions)
      if (this.#holders.get(partition) === loop) this.#holders.delete(partition)
  }
}

async function run(seed: number): Promise<void> {
  const b = await bench(PARTITIONS, seed)
  const { outside, log } = b
  const scene = new ChurnScene(b)
  const committed = new Array<number>(PARTITIONS).fill(-1)
  for (let step = 0; step < STEPS; step += 1) {
    const draw = outside.next()
    const [member] = scene.living.toSorted(() => outside.next() - 0.5)
    if (member === undefined || (draw < 0.25 && scene.living.length < MEMBERS_MAX)) scene.join()
    else if (draw < 0.4) await scene.leave(member)
    else if (draw < 0.45) scene.kill(member)
    else for (let count = 0; count < 5; count += 1) scene.write()
    await outside.pass(outside.next() * 8_000)
    for (const [partition, before] of committed.entries()) {
      const now = log.groups.committed('g', 't', partition)
      expect(now, 'committed offsets never move back').toBeGreaterThanOrEqual(before)
      committed[partition] = now
    }
  }
  if (scene.living.length === 0) scene.join()
  await outside.pass(600_000)
  const all = [...scene.gone, ...scene.living.map(({ loop }) => loop)]
  for (const member of scene.living) await scene.leave(member)
  for (const { error } of all) expect(error).toBeNull()
  const seen = all.flatMap(loop => loop.seen)
  expect(new Set(seen), 'nothing is lost').toEqual(new Set(scene.written))
  if (scene.deaths === 0 && scene.lossRate === 0)
    expect(seen.length, 'nothing is worked on twice').toBe(scene.written.length)
}

test(`groups lose nothing and share nothing under churn, over ${SEEDS} seeds`, async () => {
  for (let seed = SEED_FIRST; seed < SEED_FIRST + SEEDS; seed += 1)
    try {
      await run(seed)
    } catch (error) {
      const replay = `SEED=${seed} SEEDS=1 npx vitest run --project sim packages/clients/test/consumer`
      throw new Error(`seed ${seed} failed; replay: ${replay}`, { cause: error })
    }
})
