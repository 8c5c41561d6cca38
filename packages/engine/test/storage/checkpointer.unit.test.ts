// Who asks for a checkpoint is told, whatever the disk says meanwhile, and none is written from
// copies that have been let go.

import type { Timers } from '@millrace/base'
import { resolveSettings } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../src/disk/disk.ts'
import type { Machine } from '../../src/machines/machine.ts'
import { MachineRegistry } from '../../src/machines/registry.ts'
import type { PartitionLog } from '../../src/partitions/partition-log.ts'
import { FileCache } from '../../src/segments/file-cache.ts'
import { ENGINE_SETTINGS } from '../../src/settings.ts'
import { SimDisk } from '../../src/simulation.ts'
import { readCheckpoint } from '../../src/storage/checkpoint-file.ts'
import { Checkpointer } from '../../src/storage/checkpointer.ts'
import { Journal, STAGING_SLOTS } from '../../src/storage/journal.ts'
import { JournalRing } from '../../src/storage/journal-ring.ts'
import { LogStore } from '../../src/storage/log-store.ts'
import { JOURNAL_FOLDER } from '../../src/storage/ring-register.ts'
import { HandTime, HandWriter, WrappedDisk } from './support.ts'

const FILE_BYTES = 64 * 1024
/** Turns within which everything is over that can be. */
const TURNS_MAX = 200

/** The disk answers in the next turn, whatever time it is. */
const PROMPT: Timers = {
  soon: run => void setImmediate(run),
  after: (_, run) => {
    const handle = setImmediate(run)
    return { cancel: () => clearImmediate(handle) }
  },
}

/** A store of which batches wait for their segments until the test says otherwise. */
class WaitingStore extends LogStore {
  relieved: (() => void) | undefined
  waits = false

  override get waitsFor(): DiskError | undefined {
    return this.waits ? new DiskError('ENOSPC', 'a segment', 'the test says so') : undefined
  }

  override relieve(): Promise<void> {
    return new Promise(resolve => {
      this.relieved = resolve
    })
  }
}

/** Counts its snapshots; one that has been let go has nothing any more. */
function counted() {
  const released: number[] = []
  let taken = 0
  const machine: Machine = {
    name: 'counted',
    partition: { id: 0, topic: '__counted', topicId: '0', partition: 0 },
    owns: () => true,
    replay: () => undefined,
    restore: () => undefined,
    snapshot: () => {
      taken += 1
      const number = taken
      return {
        records: () => {
          if (released.includes(number)) throw new Error(`copy ${number} has been let go`)
          return [{ key: Buffer.of(number), value: Buffer.of(number) }]
        },
        release: () => void released.push(number),
      }
    },
  }
  return { registry: new MachineRegistry(machine, []), released }
}

async function scene() {
  const time = new HandTime()
  const writer = new HandWriter(STAGING_SLOTS, 16 * 1024)
  /** What the sync of a checkpoint waits for. */
  const syncs: Promise<void>[] = []
  const disk = new WrappedDisk(new SimDisk({ timers: PROMPT }), {
    onSync: path => (path.startsWith('checkpoint') ? syncs.shift() : undefined),
  })
  disk.makeFolder(JOURNAL_FOLDER)
  const ring = new JournalRing(disk, { fileBytes: FILE_BYTES, filesMax: 1 }, [])
  await ring.start()
  const settings = resolveSettings(ENGINE_SETTINGS, {})
  const store = new WaitingStore({ disk, cache: new FileCache(disk, 8), outside: time, settings })
  const journal = new Journal<PartitionLog>({
    writer,
    ring,
    outside: time,
    salt: Buffer.alloc(8, 1),
    limits: { groupBytesMax: 16 * 1024, stallMaxMs: 60_000, syncIntervalMs: 50 },
    events: {
      onSealed: ({ seq }) => checkpointer.sealed(seq),
      onComplete: ({ seq }) => checkpointer.completed(seq, journal.position),
      onRoom: () => undefined,
      onLack: () => undefined,
      isShort: () => false,
      onPressure: () => true,
      onFenced: () => undefined,
    },
  })
  store.attach(journal)
  const errors: string[] = []
  const { registry, released } = counted()
  const last = {
    number: 0,
    logId: 'log',
    clean: false,
    nextPartitionId: 16,
    journal: journal.position,
  }
  const checkpointer: Checkpointer = new Checkpointer({
    store,
    registry,
    last,
    onError: message => void errors.push(message),
  })
  const told: string[] = []
  /** Asks for a checkpoint and lets its group be written. */
  const ask = async (name: string): Promise<void> => {
    void checkpointer.now().then(() => void told.push(name))
    await time.turn()
    writer.finish()
    await time.turn()
  }
  const until = async (done: () => boolean): Promise<void> => {
    for (let turn = 0; turn < TURNS_MAX && !done(); turn += 1) await time.turn()
  }
  return { checkpointer, store, disk, syncs, errors, released, told, ask, until }
}

describe('checkpoints', () => {
  test('are written from the newest copies, also where one comes while room is being made', async () => {
    const { checkpointer, store, disk, errors, released, told, ask, until } = await scene()
    store.waits = true
    await ask('first')
    await ask('second')
    expect(released).toEqual([1])
    store.waits = false
    store.relieved?.()
    await until(() => !checkpointer.underWay)
    expect(errors).toEqual([])
    expect(told).toEqual(['first', 'second'])
    expect(released).toEqual([1, 2])
    const { checkpoint } = readCheckpoint(disk)
    expect(checkpoint?.journal.seq).toBe(2)
    expect(checkpoint?.machines.get('counted')?.map(({ key }) => key)).toEqual([Buffer.of(2)])
  })

  test('go on behind one that has failed late: who waits for the next one is told', async () => {
    const { checkpointer, syncs, errors, released, told, ask, until } = await scene()
    const late = Promise.withResolvers<void>()
    syncs.push(late.promise)
    await ask('first')
    await ask('second')
    expect(told).toEqual([])
    late.reject(new Error('ENOSPC'))
    await until(() => told.length === 2)
    expect(errors).toEqual(['a checkpoint failed: Error: ENOSPC'])
    expect(told).toEqual(['first', 'second'])
    await until(() => !checkpointer.underWay)
    expect([checkpointer.underWay, checkpointer.coveredSeq]).toEqual([false, 2])
    expect(released).toEqual([1, 2])
    // Nothing of the failure is left.
    await ask('third')
    await until(() => told.length === 3)
    expect(checkpointer.coveredSeq).toBe(3)
  })
})
