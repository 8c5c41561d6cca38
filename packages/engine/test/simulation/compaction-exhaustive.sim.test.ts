// D1 for compaction: a few records, cleaned, with a crash at every operation of the disk, and again
// at every operation of the recovery behind it. A killed process, and a power cut with every legal
// outcome where at most three changes are pending, else a sample of them; behind a crash of the
// recovery always a sample, and all of them with SIM_ALL=1.
import { encodeBatch, LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import {
  type Choose,
  type CrashMoment,
  everyOutcome,
  Prng,
  type SimDisk,
  seededChoose,
  VirtualOutside,
} from '../../src/simulation.ts'
import { verifyFolder } from '../../src/verify-folder.ts'
import { boot, freshDisk, mustBoot } from './support/boot.ts'
import { auditCompacted } from './support/compaction/audit-compacted.ts'
import { CompactedPartitionModel, markOf } from './support/compaction/model.ts'
import { ALL } from './support/extent.ts'
import type { Life } from './support/world.ts'

const ENUMERATED_MAX = 3
const SAMPLES = 3
const OPERATIONS_MAX = 2000
const PLACE = { topic: 't', partition: 0 }
const RULES = { deleteRetentionMs: 500, minLagMs: 0, maxLagMs: null, deletes: true }
const CONFIGS = {
  'cleanup.policy': 'compact,delete',
  'segment.bytes': '4096',
  'retention.ms': '-1',
  'delete.retention.ms': String(RULES.deleteRetentionMs),
}
/** Fills a segment, so that the next record begins another. */
const BIG = 3000

type Stage = { readonly life: Life; readonly model: CompactedPartitionModel }
type Step = (stage: Stage) => Promise<unknown>

const put =
  (key: string, bytes: number | null): Step =>
  async ({ life, model }) => {
    const now = life.outside.clock.now()
    const id = model.sent.size + 1
    const value = bytes === null ? null : `${markOf(id)}${'.'.repeat(bytes)}`
    const record = { id, key, value, timestamp: now, sentAt: now, compressed: false }
    model.sent.set(id, record)
    const headers = [{ key: 'id', value: String(id) }]
    const batch = encodeBatch({ records: [{ key, value, timestamp: now, headers }] })
    const [result] = await life.engine.append([{ ...PLACE, batch }])
    if (result?.error === undefined) model.learn(result?.baseOffset ?? -1, id)
  }

const create: Step = ({ life }) =>
  life.engine.createTopics([{ name: 't', partitions: 1, configs: CONFIGS }])
const compact: Step = ({ life }) => life.engine.compactNow('t')
const checkpoint: Step = ({ life }) => life.outside.sleep(1100)
const deleteBelow =
  (offset: number): Step =>
  ({ life }) =>
    life.engine.deleteRecords([{ ...PLACE, offset }])

const SCRIPTS: Readonly<Record<string, readonly Step[]>> = {
  'replace two segments by one': [create, put('a', BIG), put('a', BIG), put('b', 10), compact],
  'clean twice, and go on': [
    ...[create, put('a', BIG), put('b', BIG), put('a', 10), compact],
    ...[put('b', 10), compact, put('c', 10)],
  ],
  'take a tombstone away': [
    ...[create, put('a', 10), put('b', 10), put('a', null), compact],
    ...[checkpoint, compact],
  ],
  'clean where retention has been': [
    ...[create, put('a', BIG), put('b', BIG), put('a', BIG), compact],
    ...[deleteBelow(2), checkpoint, put('b', 10), compact],
  ],
}

type Dead = {
  readonly disk: SimDisk
  readonly outside: VirtualOutside
  readonly model: CompactedPartitionModel
}

const freshModel = (): CompactedPartitionModel => new CompactedPartitionModel('t-0', RULES, false)

/** Runs until the n-th operation; undefined when the script ends before. */
async function dieAt(steps: readonly Step[], n: number, moment: CrashMoment) {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const model = freshModel()
  disk.crashAt(n, moment)
  const life = await boot(disk, outside)
  for (const step of life === undefined ? [] : steps) {
    if (disk.crashed || life === undefined) break
    try {
      await outside.drive(step({ life, model }), { until: () => disk.crashed })
    } catch (cause) {
      if (!disk.crashed && !(cause instanceof LogError)) throw cause
    }
  }
  return disk.crashed ? { disk, outside, model } : undefined
}

/** The next boot: everything is as it must be, is cleaned once more, and is still so. */
async function recoverAndAudit({ disk, outside, model }: Dead): Promise<void> {
  const life = await mustBoot(disk, outside)
  const { state, partitions } = life.engine.health()
  if (state !== 'ready' || partitions.length > 0) throw new Error(JSON.stringify(partitions))
  const audit = () => outside.drive(auditCompacted(life, model, PLACE, new Prng(1)))
  await audit()
  if (life.engine.topic('t') !== undefined) {
    for (const step of [put('z', 10), compact]) await outside.drive(step({ life, model }))
    await audit()
  }
  await outside.drive(life.engine.close())
  await outside.advance(1000)
  if (disk.misuse.length > 0 || disk.openFiles > 0) {
    throw new Error(`files: ${disk.openFiles} left open, ${disk.misuse.join('; ')}`)
  }
  const { findings } = verifyFolder(disk)
  if (findings.some(({ severity }) => severity !== 'note'))
    throw new Error(JSON.stringify(findings))
}

/** Every future of a dead disk, or some of them, or one for each turn; answers how many. */
async function futures(
  dead: Dead,
  body: (dead: Dead) => Promise<void>,
  turn?: number,
): Promise<number> {
  const next = async (choose: Choose | null): Promise<void> => {
    const outside = dead.outside.reboot()
    const { timers } = outside
    const disk = dead.disk.crash(
      choose === null ? { kind: 'kill', timers } : { kind: 'power', timers, choose, detail: 'few' },
    )
    await body({ disk, outside, model: dead.model.clone() })
  }
  if (turn !== undefined && !ALL) {
    // A kill keeps all that is pending; one power cut nothing of it, the next one some.
    await next([null, () => 0, seededChoose(turn)][turn % 3] ?? null)
    return 1
  }
  await next(null)
  if (dead.disk.pendingChanges <= ENUMERATED_MAX) return 1 + (await everyOutcome(next))
  for (let seed = 1; seed <= SAMPLES; seed += 1) await next(seededChoose(seed))
  return 1 + SAMPLES
}

const told = (where: string, cause: unknown): Error =>
  new Error(`${where}: ${cause instanceof Error ? cause.stack : String(cause)}`, { cause })

describe.each(Object.entries(SCRIPTS))('%s', (_, steps) => {
  test('every crash leaves either the old segments or the new ones', async () => {
    let runs = 0
    for (const moment of ['before', 'during'] as const) {
      for (let n = 1; ; n += 1) {
        if (n > OPERATIONS_MAX) throw new Error('the script does not end')
        const dead = await dieAt(steps, n, moment)
        if (dead === undefined) break
        runs += await futures(dead, recoverAndAudit).catch(cause => {
          throw told(`crash ${moment} operation ${n}`, cause)
        })
      }
    }
    expect(runs).toBeGreaterThan(100)
  })

  test('recovery can be crashed anywhere', async () => {
    let runs = 0
    for (let n = 3; ; n += 7) {
      const dead = await dieAt(steps, n, 'before')
      if (dead === undefined) break
      for (let m = 1; ; m += 1) {
        const outside = dead.outside.reboot()
        const choose = seededChoose(n)
        const { timers } = outside
        const disk = dead.disk.crash({ kind: 'power', timers, choose, detail: 'few' })
        disk.crashAt(m, 'during')
        if ((await boot(disk, outside)) !== undefined) break
        const again = { disk, outside, model: dead.model }
        runs += await futures(again, recoverAndAudit, n + m).catch(cause => {
          throw told(`crash at ${n}, then at ${m} of recovery`, cause)
        })
      }
    }
    expect(runs).toBeGreaterThan(20)
  })
})
