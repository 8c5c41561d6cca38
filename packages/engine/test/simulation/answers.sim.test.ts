// Answers wait for what they rest on (engine rule 13), without exception: an observer asks everything
// while a change is on its way to the disk, and at the moment of an answer that shows the change the
// power fails. After the reboot the same question must have the same answer.
import { encodeBatch, type LogErrorCode } from '@millrace/log'
import { expect, test } from 'vitest'
import type { Engine } from '../../src/engine.ts'
import { SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { mustBoot } from './support/boot.ts'
import type { Life } from './support/world.ts'

const LATENCY_MS = 1
const PRODUCER_ID = 7

type Change = (engine: Engine) => Promise<unknown>
type Question = (engine: Engine) => unknown

const produced = (baseSequence: number, epoch = 0): Buffer =>
  encodeBatch({
    records: [{ value: 'v' }],
    timestamp: 1000,
    producer: { producerId: PRODUCER_ID, producerEpoch: epoch },
    baseSequence,
  })

const commit = (engine: Engine, offset: number, groupId = 'g') =>
  engine.groups.commit({
    groupId,
    generationId: -1,
    memberId: '',
    groupInstanceId: null,
    offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: null }],
  })

const changes: Readonly<Record<string, Change>> = {
  'a topic is created': engine => engine.createTopics([{ name: 'new', partitions: 2 }]),
  'a topic is deleted': engine => engine.deleteTopics(['t']),
  'a topic with offsets is deleted and made again': async engine => {
    await Promise.all([engine.deleteTopics(['t']), engine.createTopics([{ name: 't' }])])
  },
  'partitions are added': engine => engine.createPartitions([{ name: 't', partitions: 3 }]),
  'a configuration is changed': engine =>
    engine.alterConfig('t', [{ name: 'max.message.bytes', value: '100', operation: 'set' }]),
  'records are deleted': engine => engine.deleteRecords([{ topic: 't', partition: 0, offset: 2 }]),
  'a record is appended': engine =>
    engine.append([{ topic: 't', partition: 0, batch: produced(1) }]),
  'a producer has a new epoch': engine =>
    engine.append([{ topic: 't', partition: 0, batch: produced(0, 1) }]),
  'an offset is committed': engine => commit(engine, 9),
  'an offset is committed in a new group': engine => commit(engine, 9, 'other'),
  'an offset is deleted': engine =>
    engine.groups.deleteOffsets('g', [{ topic: 't', partition: 0 }]),
  'a group is deleted': engine => engine.groups.delete(['g']),
  'the last member leaves': engine =>
    engine.groups.leave({
      groupId: 'live',
      members: [{ memberId: '', groupInstanceId: 'instance' }],
    }),
}

/** The codes of refusals, and what the answers say; what differs between two calls anyway is left out. */
const codes = (answers: readonly { readonly error?: { readonly code: LogErrorCode } }[]) =>
  answers.map(({ error }) => error?.code ?? 'ok')

const refusal = (cause: unknown): string => (cause as { code?: string }).code ?? String(cause)

const fetchAt = (engine: Engine, topic: string, partition: number, offset: number) =>
  engine.fetch({
    positions: [{ topic, partition, offset, maxBytes: 1000 }],
    minBytes: 0,
    maxBytes: 1000,
    maxWaitMs: 0,
    isolation: 'read_uncommitted',
  })

/** Questions that change nothing. */
const questions: Readonly<Record<string, Question>> = {
  'all topics': engine =>
    engine.allTopics().map(({ name, topicId, partitions }) => [name, topicId, partitions.length]),
  'one topic': engine => ['t', 'new'].map(name => engine.topic(name)?.partitions.length ?? null),
  'topics by the port': async engine =>
    (await engine.describeTopics(['t', 'new'])).map(({ topicId }) => topicId),
  'whether it could be created': async engine =>
    codes(await engine.createTopics([{ name: 'new' }, { name: 't' }], { validateOnly: true })),
  'whether partitions could be added': async engine =>
    codes(
      await engine.createPartitions(
        [
          { name: 't', partitions: 2 },
          { name: 'new', partitions: 2 },
        ],
        { validateOnly: true },
      ),
    ),
  'whether the configuration could be changed': engine =>
    engine
      .alterConfig('new', [{ name: 'retention.ms', value: '5', operation: 'set' }], {
        validateOnly: true,
      })
      .then(() => 'ok', refusal),
  configuration: engine =>
    engine
      .describeConfig('t')
      .then(entries => entries.find(({ name }) => name === 'max.message.bytes')?.value, refusal),
  earliest: async engine =>
    (
      await engine.listOffsets([
        { topic: 't', partition: 0, place: 'earliest' },
        { topic: 't', partition: 2, place: 'earliest' },
      ])
    ).map(({ offset, error }) => error?.code ?? offset),
  latest: async engine =>
    (await engine.listOffsets([{ topic: 't', partition: 0, place: 'latest' }])).map(
      ({ offset, error }) => error?.code ?? offset,
    ),
  'a fetch': async engine =>
    (await fetchAt(engine, 't', 0, 1)).map(({ error, logStartOffset, highWatermark }) => [
      error?.code ?? 'ok',
      logStartOffset,
      highWatermark,
    ]),
  'a fetch of a partition that may be new': async engine =>
    codes(await fetchAt(engine, 't', 2, 0)).concat(codes(await fetchAt(engine, 'new', 1, 0))),
  'the end of an epoch': engine => engine.endOfEpoch('t', 0, 0, -1).error?.code ?? 'ok',
  sizes: async engine => (await engine.describeSizes()).map(({ topic }) => topic).sort(),
  'deletion of records that are gone already': async engine =>
    (await engine.deleteRecords([{ topic: 't', partition: 0, offset: 0 }])).map(
      ({ lowWatermark, error }) => error?.code ?? lowWatermark,
    ),
  'a repeated batch, which is perhaps none': async engine =>
    (await engine.append([{ topic: 't', partition: 0, batch: produced(0) }])).map(
      ({ baseOffset, error }) => error?.code ?? baseOffset,
    ),
  'a batch out of order': async engine =>
    codes(await engine.append([{ topic: 't', partition: 0, batch: produced(9) }])),
  producers: engine =>
    engine
      .describeProducers('t', 0)
      .then(all => all.map(({ lastSequence }) => lastSequence), refusal),
  'groups listed': async engine =>
    (await engine.groups.list()).map(({ groupId, state }) => `${groupId} ${state}`).sort(),
  'groups described': async engine =>
    (await engine.groups.describe(['g', 'other', 'live'])).map(({ state }) => state),
  offsets: async engine => await engine.groups.fetchOffsets('g'),
  'offsets by name': async engine =>
    await engine.groups.fetchOffsets('other', [{ topic: 't', partition: 0 }]),
  'whether offsets could be deleted': engine =>
    engine.groups
      .deleteOffsets('other', [{ topic: 'none', partition: 0 }])
      .then(outcomes => codes(outcomes), refusal),
  'whether a group can be deleted': async engine => codes(await engine.groups.delete(['none'])),
  'a heartbeat': async engine =>
    codes([
      await engine.groups.heartbeat({
        groupId: 'g',
        generationId: 1,
        memberId: 'm',
        groupInstanceId: null,
      }),
    ]),
}

/** A group with one member, with its assignment. */
async function memberOf(engine: Engine): Promise<void> {
  const identity = { groupId: 'live', groupInstanceId: 'instance' }
  const joined = await engine.groups.join({
    ...identity,
    memberId: '',
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(6) }],
    requireKnownMemberId: false,
    supportsSkippingAssignment: true,
  })
  const { generationId, memberId } = joined
  const assignments = [{ memberId, assignment: Buffer.from('all') }]
  await engine.groups.sync({ ...identity, generationId, memberId, assignments })
}

async function scene(): Promise<Life> {
  const outside = new VirtualOutside(1)
  const disk = new SimDisk({ timers: outside.timers, latencyMs: () => LATENCY_MS })
  const life = await mustBoot(disk, outside, { settings: { 'checkpoint.interval.ms': 3_600_000 } })
  const { engine } = life
  await outside.drive(engine.createTopics([{ name: 't', partitions: 1 }]))
  await outside.drive(engine.append([{ topic: 't', partition: 0, batch: produced(0) }]))
  for (let i = 0; i < 2; i += 1) {
    const batch = encodeBatch({ records: [{ value: 'v' }], timestamp: 1000 })
    await outside.drive(engine.append([{ topic: 't', partition: 0, batch }]))
  }
  await outside.drive(commit(engine, 5))
  await outside.drive(memberOf(engine))
  return life
}

const ask = async ({ outside, engine }: Life, question: Question): Promise<string> =>
  JSON.stringify(await outside.drive(Promise.resolve(question(engine))))

/** The answers of scenes in which the change has happened, or none has. */
async function answersAfter(change?: Change): Promise<ReadonlyMap<string, string>> {
  const answers = new Map<string, string>()
  for (const [name, question] of Object.entries(questions)) {
    const life = await scene()
    if (change !== undefined) await life.outside.drive(change(life.engine))
    answers.set(name, await ask(life, question))
  }
  return answers
}

/** Asks while the change is on its way, and cuts the power when the answer is there. */
async function lostFact(
  change: Change,
  question: Question,
  afterMs: number,
  known: { readonly before: string; readonly after: string },
): Promise<string | undefined> {
  const life = await scene()
  void change(life.engine).catch(() => undefined)
  if (afterMs > 0) await life.outside.advance(afterMs)
  const answer = await ask(life, question)
  if (answer === known.before) return undefined // it has not seen the change: nothing to lose
  const outside = life.outside.reboot()
  const disk = life.disk.crash({ kind: 'power', timers: outside.timers, choose: () => 0 })
  const again = await ask(await mustBoot(disk, outside), question)
  // A change in two steps may be whole after the reboot where the answer saw its first step.
  return again === answer || again === known.after ? undefined : `${answer}, then ${again}`
}

/** From "just entered" to "answered": the steps of a group's write and sync, and in between. */
const MOMENTS_MS = [0, 0.5, 1, 1.5, 2.5, 5]

for (const [what, change] of Object.entries(changes)) {
  test(`while ${what}, no answer tells what a power cut takes back`, async () => {
    const [befores, afters] = [await answersAfter(), await answersAfter(change)]
    // Else the observer would notice nothing.
    expect([...afters]).not.toEqual([...befores])
    const lost: string[] = []
    for (const [name, question] of Object.entries(questions)) {
      for (const afterMs of MOMENTS_MS) {
        const known = { before: befores.get(name) ?? '', after: afters.get(name) ?? '' }
        const fact = await lostFact(change, question, afterMs, known)
        if (fact !== undefined) lost.push(`${name} after ${afterMs} ms: ${fact}`)
      }
    }
    expect(lost).toEqual([])
  })
}
