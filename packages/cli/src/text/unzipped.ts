/** Bytes as they were before gzip, where they are gzipped: told by their first two bytes. */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

const MAGIC = [0x1f, 0x8b] as const

/** Gives chunks back, unzipped where need be. An end by `signal` is no damage. */
export async function* unzipped(
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done === true) return
  const whole = restOf(first.value, iterator)
  if (!MAGIC.every((byte, index) => first.value[index] === byte)) {
    yield* whole
    return
  }
  const unzip = createGunzip()
  const source = Readable.from(whole)
  source.on('error', error => unzip.destroy(error))
  try {
    for await (const chunk of source.pipe(unzip)) yield chunk as Buffer
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function* restOf(first: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  for (;;) {
    const next = await iterator.next()
    if (next.done === true) return
    yield next.value
  }
}
