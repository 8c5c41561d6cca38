// The hand-over of writes to the journal's thread: only the word counts, not the call.
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { CONTROL, isDone, isDoneWithin, whenDone } from '../../src/disk/journal-control.ts'

const newWords = (): Int32Array => new Int32Array(new SharedArrayBuffer(CONTROL.bytes))

/** A thread that calls again and again without being done, until `stop` is 1, and is done then. */
async function caller(words: Int32Array, stop: Int32Array): Promise<Worker> {
  const script = `const { words, stop, done } = require('node:worker_threads').workerData
    require('node:worker_threads').parentPort.postMessage('up')
    while (Atomics.load(stop, 0) === 0) Atomics.notify(words, done)
    Atomics.store(words, done, 1)
    Atomics.notify(words, done)`
  const thread = new Worker(script, {
    eval: true,
    workerData: { words, stop, done: CONTROL.done },
    execArgv: [],
  })
  await new Promise(resolve => thread.once('message', resolve))
  return thread
}

describe('a write that was handed over is not done', () => {
  test('when the call for the one before comes late and somebody waits to be called', async () => {
    const words = newWords()
    let done = false
    const waiting = whenDone(words).then(() => {
      done = true
    })
    for (let i = 0; i < 5; i += 1) {
      Atomics.notify(words, CONTROL.done)
      await new Promise(setImmediate)
      expect(done).toBe(false)
    }
    Atomics.store(words, CONTROL.done, 1)
    Atomics.notify(words, CONTROL.done)
    await waiting
    expect(done).toBe(true)
  })

  test('when the call for the one before comes late and somebody stands still', async () => {
    const words = newWords()
    const stop = new Int32Array(new SharedArrayBuffer(4))
    const thread = await caller(words, stop)
    const ended = new Promise(resolve => thread.once('exit', resolve))
    try {
      for (let i = 0; i < 20; i += 1) expect(isDoneWithin(words, 5)).toBe(false)
    } finally {
      Atomics.store(stop, 0, 1)
      await ended
    }
    expect(isDone(words)).toBe(true)
    expect(isDoneWithin(words, 0)).toBe(true)
  })
})
