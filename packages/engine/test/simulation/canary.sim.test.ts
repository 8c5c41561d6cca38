// Tests the tests: on a disk that forgets more than it may, the harness must find something. A
// simulation that cannot fail proves nothing.
import { expect, test } from 'vitest'
import type { DiskFile, JournalWriter, OpenMode } from '../../src/disk/disk.ts'
import { type Crash, SimDisk, type SimDiskOptions } from '../../src/simulation.ts'
import { Violation } from './support/oracle.ts'
import { runSeed } from './support/run-seed.ts'

/** Seeds among which at least one must fail. */
const SEEDS = 25
