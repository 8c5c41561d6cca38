// Tests the tests: on a disk that forgets more than it may, the harness must find something. A
// simulation that cannot fail proves nothing.
import { expect, test } from 'vitest'
import { CALM, SimDisk } from '../../src/simulation.ts'
import { runSeed, type SeedOptions } from './support/run-seed.ts'

/** Seeds among which at least one must fail. */
const SEEDS = 40

/** Breaks a disk, and those that come out of its crashes. */
function broken(disk: SimDisk, harm: (disk: SimDisk) => void): SimDisk {
  harm(disk)
  const crash = disk.crash.bind(disk)
  disk.crash = kind => broken(crash(kind), harm)
  return disk
}

/** A file whose sync says yes and does nothing. */
const lying = (only: (path: string) => boolean) => (disk: SimDisk) => {
  const open = disk.open.bind(disk)
  disk.open = (path, mode) => {
    const file = open(path, mode)
    const nothing = async (): Promise<void> => undefined
    return only(path) ? Object.assign(file, { sync: nothing, syncBytes: nothing }) : file
  }
}

const HARMS: Readonly<Record<string, (disk: SimDisk) => void>> = {
  'no sync does anything': lying(() => true),
  "the journal's syncs do nothing": lying(path => path.endsWith('.journal')),
  "the segments' syncs do nothing": lying(path => path.endsWith('.log')),
  "the checkpoints' syncs do nothing": lying(path => path.startsWith('checkpoint')),
  'no sync of a folder does anything': disk => {
    disk.syncFolder = async () => undefined
  },
}

test.each(Object.entries(HARMS))('%s: the harness notices', async (_, harm) => {
  const options: SeedOptions = {
    disk: parts => broken(new SimDisk(parts), harm),
    // No other faults: what is found is this one.
    plan: plan => ({ ...plan, climate: CALM, crashes: 5 }),
  }
  let found = 0
  for (let seed = 1; seed <= SEEDS && found === 0; seed += 1) {
    await runSeed(seed, options).catch(() => {
      found += 1
    })
  }
  expect(found).toBeGreaterThan(0)
})
