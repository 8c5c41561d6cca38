// Small workloads, written down step by step, for the exhaustive tests. Each step does one thing,
// waits for its answer, and tells the oracle.
import { encodeBatch, LogError, NO_GENERATION } from '@millrace/log'
import { knownBatch, type Oracle, Violation } from './oracle.ts'
import type { Life } from './world.ts'

/** What a step may use. */
export type Stage = { readonly life: Life; readonly oracle: Oracle }

/** One step; false when it got no answer, or a refusal. */
export type Step = (stage: Stage) => Promise<boolean>

/** After this virtual time nobody waits any more. */
const PATIENCE_MS = 120_000

const TOPIC_CONFIGS = { 'segment.bytes': '4096', 'retention.ms': '-1' }

/** Creates a topic. */
export const create =
  (name: string, partitions = 1, durability: 'sync' | 'os' = 'sync'): Step =>
  async ({ life, oracle }) => {
    const configs = { ...TOPIC_CONFIGS, durability }
    const outcome = (
      await ask(life, life.engine.createTopics([{ name, partitions, configs }]))
    )?.[0]
    if (outcome === undefined || outcome.error !== undefined) return false
    const topicId = outcome.topicId ?? ''
    oracle.learn({ name, topicId, durability, retention: 'none', partitionsAtLeast: partitions })
    return true
  }

/** Deletes a topic. */
export const remove =
  (name: string): Step =>
  async ({ life, oracle }) => {
    const topic = oracle.named(name)
    if (topic === undefined) return false // its creation was refused
    topic.state = 'leaving'
    const outcome = (await ask(life, life.engine.deleteTopics([name])))?.[0]
    if (outcome === undefined || outcome.error !== undefined) return false
    topic.state = 'gone'
    return true
  }

/** Appends one record of about so many bytes. */
export const append =
  (name: string, partition = 0, bytes = 100): Step =>
  async ({ life, oracle }) => {
    const batch = nextBatch(life, oracle, bytes)
    const entry = { topic: name, partition, batch: Buffer.from(batch) }
    const result = (await ask(life, life.engine.append([entry])))?.[0]
    if (result === undefined || result.error !== undefined) return false
    const topic = oracle.named(name)
    if (topic === undefined) return false // deleted meanwhile
    oracle.acknowledged += 1
    oracle
      .partition(topic, partition)
      .note(knownBatch(batch, result.baseOffset), 'an acknowledgement')
    return true
  }

/** Several appends at once. */
export const together =
  (...steps: readonly Step[]): Step =>
  async stage =>
    (await Promise.all(steps.map(step => step(stage)))).every(done => done)

/** Commits an offset for a group that has no members. */
export const commit =
  (name: string, offset: number): Step =>
  async ({ life, oracle }) => {
    const topic = oracle.named(name)
    if (topic === undefined) return false
    const key = `g ${topic.topicId} 0`
    oracle.tried.set(key, offset)
    const offsets = [{ topic: name, partition: 0, offset, leaderEpoch: -1, metadata: null }]
    const request = {
      groupId: 'g',
      generationId: NO_GENERATION,
      memberId: '',
      groupInstanceId: null,
    }
    const outcome = (await ask(life, life.engine.groups.commit({ ...request, offsets })))?.[0]
    if (outcome === undefined || outcome.error !== undefined) return false
    oracle.noteCommit(key, offset)
    return true
  }

/** Deletes records below an offset. */
export const deleteBelow =
  (name: string, offset: number): Step =>
  async ({ life, oracle }) => {
    const topic = oracle.named(name)
    if (topic === undefined) return false
    const partition = oracle.partition(topic, 0)
    partition.startAsked = Math.max(partition.startAsked, offset)
    const target = { topic: name, partition: 0, offset }
    const outcome = (await ask(life, life.engine.deleteRecords([target])))?.[0]
    if (outcome === undefined || outcome.error !== undefined) return false
    partition.startAtLeast = Math.max(partition.startAtLeast, outcome.lowWatermark)
    return true
  }

/** Lets time pass: checkpoints, retention. */
export const rest =
  (ms: number): Step =>
  async ({ life }) => {
    await life.outside.sleep(ms)
    return true
  }

/** Closes in good order; the script goes on with a new life if there is one. */
export const stop: Step = async ({ life }) => {
  await life.engine.close()
  return true
}

/** The next batch: a send that nobody else has made. */
export function nextBatch(life: Life, oracle: Oracle, bytes = 100): Buffer {
  oracle.sends += 1
  const value = Buffer.alloc(Math.max(8, bytes), oracle.sends & 0xff)
  value.writeBigUInt64BE(BigInt(oracle.sends), value.length - 8)
  return encodeBatch({ records: [{ key: null, value }], timestamp: life.outside.clock.now() })
}

/** Every partition of every topic takes a record. */
export async function appendEverywhere(life: Life, oracle: Oracle): Promise<void> {
  for (const topic of oracle.topics.values()) {
    if (topic.state !== 'live') continue
    for (let i = 0; i < topic.partitionsAtLeast; i += 1) {
      const done = await life.outside.drive(append(topic.name, i)({ life, oracle }), {
        until: () => life.disk.crashed,
      })
      if (done !== true && !life.disk.crashed)
        throw new Violation(`${topic.name}-${i} takes no records`)
    }
  }
}

async function ask<T>(life: Life, work: Promise<T>): Promise<T | undefined> {
  const answer = await Promise.race([
    work.catch((cause: unknown) => {
      if (cause instanceof LogError) return undefined
      throw cause
    }),
    life.outside.sleep(PATIENCE_MS).then(() => undefined),
  ])
  return life.disk.crashed ? undefined : answer
}
