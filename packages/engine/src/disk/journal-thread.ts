/**
 * The thread that writes and syncs the journal. It waits for a command in shared memory, carries it
 * out, and says so there; it imports nothing else, because its memory counts.
 *
 * Control block (int32): 0 command, 1 file descriptor, 2 slot, 3 length, 4 sync, 5 result, 6 done,
 * 7 begun, 12 syncing. At bytes 32 and 40 float64s: the position, and the ms that it took. The result is
 * 0, or the system's error number: of the sync where that had begun.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { CONTROL, type JournalThreadData } from './journal-control.ts'

const { control, staging, syncDelayMs } = workerData as JournalThreadData
const words = new Int32Array(control)
const position = new Float64Array(control, CONTROL.positionAt, 1)
const took = new Float64Array(control, CONTROL.tookAt, 1)
const slots = staging.map(area => Buffer.from(area))

function carryOut(): void {
  const slot = slots[words[CONTROL.slot] ?? 0]
  const descriptor = words[CONTROL.descriptor] ?? -1
  const length = words[CONTROL.length] ?? 0
  const from = position[0] ?? 0
  if (slot === undefined) throw new Error('no such slot')
  for (let done = 0; done < length; ) {
    done += writeSync(descriptor, slot, done, length - done, from + done)
  }
  if (words[CONTROL.sync] === 0) return
  if (syncDelayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, syncDelayMs)
  words[CONTROL.syncing] = 1
  fdatasyncSync(descriptor)
}

/** Stands for a failure that has no number of its own (EIO on Linux). */
const SOME_ERROR = 5

for (;;) {
  Atomics.wait(words, CONTROL.command, CONTROL.idle)
  if (words[CONTROL.command] === CONTROL.stop) break
  Atomics.store(words, CONTROL.begun, 1)
  const begun = performance.now()
  words[CONTROL.syncing] = 0
  let result = 0
  try {
    carryOut()
  } catch (cause) {
    result = Math.abs((cause as { readonly errno?: number }).errno ?? SOME_ERROR)
  }
  words[CONTROL.result] = result
  took[0] = performance.now() - begun
  // A stop that came in meanwhile stays.
  Atomics.compareExchange(words, CONTROL.command, CONTROL.write, CONTROL.idle)
  Atomics.store(words, CONTROL.done, 1)
  Atomics.notify(words, CONTROL.done)
}
