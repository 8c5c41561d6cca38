// The journal's promises, with a writer and a clock that move by hand.
import type { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import type { CommitGroup, JournalTarget } from '../../src/storage/commit-group.ts'
import { Journal, STAGING_SLOTS } from '../../src/storage/journal.ts'
import { GROUP_HEADER_BYTES, readGroupHeader } from '../../src/storage/journal-format.ts'
import { JournalRing } from '../../src/storage/journal-ring.ts'
import { JOURNAL_FOLDER } from '../../src/storage/ring-register.ts'
import { batchOf, HandTime, HandWriter, temporaryFolder } from './support.ts'

const SALT = Buffer.from('a1a2a3a4a5a6a7a8', 'hex')
const PARTITION = { id: 16 }
const NO_ROOM = new DiskError('ENOSPC', 'journal', 'a hand did it')

type Told = { readonly what: string; readonly seq: number }

async function journalOf(options: { groupBytesMax?: number; fileBytes?: number } = {}) {
  const time = new HandTime()
  const fileBytes = options.fileBytes ?? 64 * 1024
  const writer = new HandWriter(STAGING_SLOTS, Math.min(fileBytes, 16 * 1024))
  const disk = nodeDisk(temporaryFolder())
  disk.makeFolder(JOURNAL_FOLDER)
  const ring = new JournalRing(disk, { fileBytes, filesMax: 1 }, [])
  await ring.start()
  const told: Told[] = []
  const tell = (what: string) => (group: CommitGroup<JournalTarget>) =>
    void told.push({ what, seq: group.seq })
  const underWay = { value: true }
  const short = { value: false }
  const journal = new Journal<JournalTarget>({
    writer,
    ring,
    outside: time,
    salt: SALT,
    limits: {
      groupBytesMax: options.groupBytesMax ?? 16 * 1024,
      stallMaxMs: 1000,
      syncIntervalMs: 50,
    },
    events: {
      onSealed: tell('sealed'),
      onComplete: tell('complete'),
      onRoom: () => void told.push({ what: 'room', seq: 0 }),
      isShort: () => short.value,
      onLack: () => void told.push({ what: 'lack', seq: 0 }),
      onPressure: () => {
        told.push({ what: 'pressure', seq: 0 })
        return underWay.value
      },
      onFenced: () => void told.push({ what: 'fenced', seq: 0 }),
    },
  })
  const answers: string[] = []
  /** Appends one batch and notes its answer under a name. */
  const append = (name: string, sync = true, deadline?: number): number => {
    const seq = journal.openSeq
    journal.add(PARTITION, batchOf(1), { needsSync: sync })
    journal.wait(seq, answerTo(answers, name), deadline)
    return seq
  }
  return { journal, time, writer, ring, told, answers, append, underWay, short }
}

const answerTo = (answers: string[], name: string) => (error: LogError | null) =>
  void answers.push(error === null ? name : `${name}: ${error.code}`)

const entriesIn = (bytes: Buffer | undefined): number =>
  readGroupHeader(bytes ?? Buffer.alloc(0), SALT)?.entryCount ?? -1

describe('the journal', () => {
  test('gathers what one turn of the event loop brings into one write and one sync', async () => {
    const { writer, time, append, answers } = await journalOf()
    append('a')
    append('b')
    append('c')
    expect(writer.writes).toHaveLength(0)
    await time.turn()
    expect(writer.writes).toHaveLength(1)
    expect(writer.writes[0]?.sync).toBe(true)
    expect(entriesIn(writer.bytes[0])).toBe(3)
    expect(answers).toEqual([])
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['a', 'b', 'c'])
  })

  test('writes one group at a time; all that comes meanwhile is the next one', async () => {
    const { writer, time, append, answers } = await journalOf()
    append('a')
    await time.turn()
    for (const name of ['b', 'c', 'd']) {
      append(name)
      await time.turn()
    }
    expect(writer.writes).toHaveLength(1)
    writer.finish()
    await time.turn()
    expect(writer.writes).toHaveLength(2)
    expect(entriesIn(writer.bytes[1])).toBe(3)
    expect(answers).toEqual(['a'])
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['a', 'b', 'c', 'd'])
  })

  test('answers in the order of the appends, after the group has reached its segments', async () => {
    const { writer, time, append, journal, told } = await journalOf()
    const order: string[] = []
    append('a')
    journal.wait(1, () => order.push(`first, told: ${told.map(({ what }) => what).join(' ')}`))
    journal.wait(1, () => order.push('second'))
    await time.turn()
    writer.finish()
    await time.turn()
    expect(order).toEqual(['first, told: sealed complete', 'second'])
    expect(told).toEqual([
      { what: 'sealed', seq: 1 },
      { what: 'complete', seq: 1 },
    ])
    expect([journal.completedSeq, journal.durableSeq]).toEqual([1, 1])
  })

  test('chains its groups and says how far the ones before are durable', async () => {
    const { writer, time, append } = await journalOf()
    for (let i = 0; i < 3; i += 1) {
      append('x')
      await time.turn()
      writer.finish()
      await time.turn()
    }
    const headers = writer.bytes.map(bytes => readGroupHeader(bytes, SALT))
    expect(headers.map(header => header?.seq)).toEqual([1, 2, 3])
    expect(headers.map(header => header?.durableUpTo)).toEqual([0, 1, 2])
    expect(headers.map(header => header?.previous)).toEqual([
      0,
      headers[0]?.checksum,
      headers[1]?.checksum,
    ])
  })

  test('takes no client entry past groupBytesMax, and says when there is room again', async () => {
    const { journal, writer, time, told } = await journalOf({ groupBytesMax: 1024 })
    const batch = batchOf(1, { valueBytes: 300 })
    expect(journal.hasRoom(1, batch.length)).toBe(true)
    journal.add(PARTITION, batch, { needsSync: true })
    journal.add(PARTITION, batch, { needsSync: true })
    expect(journal.hasRoom(1, batch.length)).toBe(false)
    expect(journal.hasInternalRoom(1, batch.length, false)).toBe(true)
    expect(told).toEqual([])
    await time.turn()
    expect(told.map(({ what }) => what)).toEqual(['sealed', 'room'])
    expect(journal.hasRoom(1, batch.length)).toBe(true)
    writer.finish()
    await time.turn()
  })

  test('takes an entry larger than groupBytesMax into a group of its own', async () => {
    const { journal, time, writer } = await journalOf({ groupBytesMax: 1024 })
    const large = batchOf(1, { valueBytes: 8000 })
    expect(journal.hasRoom(1, large.length)).toBe(true)
    journal.add(PARTITION, large, { needsSync: true })
    await time.turn()
    expect(writer.writes[0]?.length).toBeGreaterThan(8000)
    expect(journal.hasRoom(1, journal.batchBytesMax)).toBe(true)
  })

  test('completes a group that asks for no sync with its write, and syncs it soon after', async () => {
    const { journal, writer, time, append, answers } = await journalOf()
    append('os', false)
    await time.turn()
    expect(writer.writes[0]?.sync).toBe(false)
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['os'])
    expect([journal.completedSeq, journal.durableSeq]).toEqual([1, 0])
    await time.pass(49)
    expect(writer.writes).toHaveLength(1)
    await time.pass(1)
    expect(writer.writes).toHaveLength(2)
    expect(writer.writes[1]?.sync).toBe(true)
    writer.finish()
    await time.turn()
    expect(journal.durableSeq).toBe(2)
    await time.pass(1000)
    expect(writer.writes).toHaveLength(2)
  })

  test('syncs a group as soon as one of its entries asks for it', async () => {
    const { writer, time, append } = await journalOf()
    append('os', false)
    append('sync', true)
    append('os', false)
    await time.turn()
    expect(writer.writes[0]?.sync).toBe(true)
  })

  test('answers REQUEST_TIMED_OUT after the deadline, and stores the records all the same', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    append('late', true, 300)
    append('patient', true)
    await time.turn()
    await time.pass(250)
    expect(answers).toEqual([])
    await time.pass(250)
    expect(answers).toEqual(['late: REQUEST_TIMED_OUT'])
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['late: REQUEST_TIMED_OUT', 'patient'])
    expect(journal.completedSeq).toBe(1)
  })

  test('keeps deadlines also while the ring is full', async () => {
    const { writer, time, append, answers } = await journalOf({ fileBytes: 1024 })
    append('a')
    await time.turn()
    writer.finish()
    await time.turn()
    append('b')
    await time.turn()
    writer.finish()
    await time.pass(1000)
    append('full', true, 500)
    await time.turn()
    expect(writer.writes).toHaveLength(2)
    await time.pass(1000)
    expect(answers).toEqual(['a', 'b', 'full: REQUEST_TIMED_OUT'])
  })

  test.each([
    [true, 6, 7],
    [false, 8, 8],
  ])(
    'keeps the end of the ring for deletions where the disk is short (%s)',
    async (isShort, before, behind) => {
      const { writer, time, append, journal, short } = await journalOf({ fileBytes: 4096 })
      short.value = isShort
      for (let i = 0; i < 10; i += 1) {
        append('a')
        await time.turn()
        if (writer.busy) writer.finish()
        await time.turn()
      }
      expect(writer.writes).toHaveLength(before)
      expect(journal.isFull).toBe(true)
      // What waits must not outgrow what is kept; a healthy ring that waits for a checkpoint takes it.
      expect(journal.hasInternalRoom(1, 1000, false)).toBe(!isShort)
      expect(journal.hasInternalRoom(1, 1000, true)).toBe(true)
      journal.add(PARTITION, batchOf(1), { needsSync: true, makesRoom: true })
      await time.turn()
      expect(writer.writes).toHaveLength(behind)
    },
  )

  test('waits for a checkpoint when the ring is full, and goes on when it is released', async () => {
    const { writer, time, append, answers, journal, told } = await journalOf({ fileBytes: 512 })
    append('a')
    await time.turn()
    writer.finish()
    await time.turn()
    append('b')
    await time.turn()
    expect(told.map(({ what }) => what)).toContain('pressure')
    expect(writer.writes).toHaveLength(1)
    journal.release(1)
    await time.turn()
    expect(writer.writes).toHaveLength(2)
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['a', 'b'])
  })

  test('grows beyond its maximum where the checkpoint itself waits for a group', async () => {
    const { writer, time, append, answers, underWay } = await journalOf({ fileBytes: 512 })
    underWay.value = false
    append('a')
    await time.turn()
    writer.finish()
    await time.turn()
    append('b')
    for (let i = 0; i < 200 && writer.writes.length < 2; i += 1) {
      await new Promise(resolve => setTimeout(resolve, 1)) // the new file is synced for real
      await time.turn()
    }
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['a', 'b'])
  })

  test('fences on a failed write: everybody is answered, and the writer is never called again', async () => {
    const { writer, time, append, answers, journal, told } = await journalOf()
    append('in flight')
    await time.turn()
    append('open')
    writer.fail('EIO')
    await time.turn()
    expect(answers).toEqual(['in flight: KAFKA_STORAGE_ERROR', 'open: KAFKA_STORAGE_ERROR'])
    expect(journal.fencedBy).toContain('EIO')
    journal.wait(journal.openSeq, answerTo(answers, 'after'))
    expect(answers.at(-1)).toBe('after: KAFKA_STORAGE_ERROR')
    expect(told.filter(({ what }) => what === 'fenced')).toHaveLength(1)
    await time.pass(60_000)
    expect(writer.writes).toHaveLength(1)
    await journal.close()
    expect(writer.writes).toHaveLength(1)
    expect(writer.closed).toBe(true)
  })

  test('a write for which there is no room is made again, the same bytes to the same place', async () => {
    const { writer, time, append, journal, answers, told } = await journalOf()
    append('late', true, 300)
    append('patient')
    await time.turn()
    writer.fail(NO_ROOM)
    await time.turn()
    expect(journal.lacks?.code).toBe('ENOSPC')
    expect(told.at(-1)?.what).toBe('lack')
    append('next')
    await time.pass(700)
    expect(answers).toEqual(['late: REQUEST_TIMED_OUT'])
    expect(writer.writes).toHaveLength(1)
    await time.pass(400)
    const [first, second] = writer.writes
    expect(second).toEqual(first)
    expect(writer.bytes[1]).toEqual(writer.bytes[0])
    writer.finish()
    await time.turn()
    expect(journal.lacks).toBeUndefined()
    expect(journal.fencedBy).toBeUndefined()
    expect(answers).toEqual(['late: REQUEST_TIMED_OUT', 'patient'])
  })

  test('who closes it while there is no room waits until it is given up, and everybody is answered', async () => {
    const { writer, time, append, journal, answers, told } = await journalOf()
    append('a')
    await time.turn()
    writer.fail(NO_ROOM)
    await time.turn()
    append('b')
    const closed = journal.close()
    await time.pass(900)
    expect(answers).toEqual([])
    journal.giveUp('closing took too long')
    await closed
    expect(answers).toEqual(['a: KAFKA_STORAGE_ERROR', 'b: KAFKA_STORAGE_ERROR'])
    // Nothing has failed: no mark is left behind.
    expect(told.map(({ what }) => what)).not.toContain('fenced')
  })

  test('fences on a write that hangs, and does not take its late success for one', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    append('hung')
    await time.turn()
    await time.pass(1500)
    expect(answers).toEqual(['hung: KAFKA_STORAGE_ERROR'])
    expect(journal.fencedBy).toContain('hung')
    writer.finish()
    await time.pass(1500)
    expect(journal.completedSeq).toBe(0)
    expect(answers).toHaveLength(1)
  })

  test('takes no time in which the process stood still for time of the disk', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    append('patient')
    append('in a hurry', true, 900)
    await time.turn()
    time.stand(300_000)
    await time.pass(250)
    expect(journal.fencedBy).toBeUndefined()
    expect(answers).toEqual([])
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['patient', 'in a hurry'])
    // One that hangs is found all the same: by the time in which it was watched.
    append('hung')
    await time.turn()
    time.stand(300_000)
    await time.pass(250)
    expect(journal.fencedBy).toBeUndefined()
    await time.pass(1_000)
    expect(journal.fencedBy).toContain('hung')
  })

  test('fences nothing while the writer has not begun, or has ended and is not heard yet', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    writer.restsUnheard = true
    append('a', true, 500)
    await time.turn()
    await time.pass(120_000)
    expect(journal.fencedBy).toBeUndefined()
    expect(answers).toEqual([])
    writer.finish()
    await time.turn()
    expect(answers).toEqual(['a'])
  })

  test('close syncs what is open before it closes the writer', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    append('last', false)
    const closed = journal.close()
    await time.turn()
    expect(writer.closed).toBe(false)
    expect(writer.writes[0]?.sync).toBe(true)
    writer.finish()
    await time.turn()
    await closed
    expect(answers).toEqual(['last'])
    expect(writer.closed).toBe(true)
  })

  test('answers whoever comes behind its last group, and takes nothing more', async () => {
    const { writer, time, append, answers, journal } = await journalOf()
    // As one who works in slices: the next thing is entered when the last one is durable.
    journal.add(PARTITION, batchOf(1), { needsSync: true })
    journal.wait(1, () => {
      journal.wait(journal.openSeq, answerTo(answers, 'behind the last'))
    })
    const closed = journal.close()
    expect(journal.refuses).toContain('closed')
    expect(() => append('late')).toThrow('closed')
    journal.wait(1, answerTo(answers, 'of the last'))
    await time.turn()
    writer.finish()
    await time.turn()
    await closed
    journal.wait(journal.openSeq, answerTo(answers, 'after'))
    await expect(journal.sync()).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    expect(answers).toEqual(['behind the last: LOG_CLOSED', 'of the last', 'after: LOG_CLOSED'])
    expect(writer.writes).toHaveLength(1)
    expect(journal.fencedBy).toBeUndefined()
  })

  test('names the place behind the last complete group, as a checkpoint keeps it', async () => {
    const { writer, time, append, journal } = await journalOf()
    append('a')
    await time.turn()
    writer.finish()
    await time.turn()
    const header = readGroupHeader(writer.bytes[0] ?? Buffer.alloc(0), SALT)
    expect(journal.position).toMatchObject({
      salt: SALT.toString('hex'),
      seq: 1,
      position: writer.writes[0]?.length,
      checksum: header?.checksum,
    })
    expect(header?.payloadBytes).toBeGreaterThan(GROUP_HEADER_BYTES)
  })
})
