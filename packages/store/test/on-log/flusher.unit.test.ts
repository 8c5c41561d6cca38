// The flusher: who brings records waits while too much is in memory, and never for ever.
import { systemOutside } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import type { Bucket } from '../../src/on-log/bucket.ts'
import { Flusher } from '../../src/on-log/flusher.ts'

const LIMITS = { bytes: 100, ms: 1 }

/** A bucket whose index is written when the test says so. */
class SlowBucket {
  readonly index = { bytes: 0 }
  flushes = 0
  #written: (() => void) | undefined
  #failed: ((error: Error) => void) | undefined

  flush(): Promise<void> {
    this.flushes += 1
    const taken = this.index.bytes
    return new Promise((resolve, reject) => {
      this.#failed = reject
      this.#written = () => {
        this.index.bytes -= taken
        resolve()
      }
    })
  }

  written(): void {
    this.#written?.()
  }

  failed(): void {
    this.#failed?.(new Error('disk full'))
  }
}

const flusherOf = (bucket: SlowBucket, failed: (error: unknown) => void = () => undefined) =>
  new Flusher([bucket as unknown as Bucket], LIMITS, systemOutside(), failed)

const soon = () => new Promise(resolve => setImmediate(resolve))

describe('the flusher', () => {
  test('writes again while more than twice its bytes came in during a write', async () => {
    const bucket = new SlowBucket()
    const flusher = flusherOf(bucket)
    bucket.index.bytes = 100
    expect(flusher.noted()).toBe(undefined)
    bucket.index.bytes += 250
    let room = false
    const waiting = flusher.noted()?.then(() => {
      room = true
    })
    bucket.written()
    await soon()
    expect([room, bucket.flushes, bucket.index.bytes]).toEqual([false, 2, 250])
    bucket.written()
    await waiting
    expect(bucket.index.bytes).toBe(0)
  })

  test('lets nobody wait once it has failed', async () => {
    const bucket = new SlowBucket()
    const errors: unknown[] = []
    const flusher = flusherOf(bucket, error => errors.push(error))
    bucket.index.bytes = 300
    const waiting = flusher.noted()
    bucket.failed()
    await waiting
    expect(errors).toHaveLength(1)
    expect(flusher.noted()).toBe(undefined)
  })
})
