/** What `produce` reads: a file, or standard input; and how much of it there is, if that is known. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { CommandError, EXIT } from 'millrace/errors'

const CHUNK_BYTES = 256 * 1024

/** A stream of bytes. */
export type Input = {
  readonly chunks: AsyncIterable<Buffer>
  /** Null where nobody knows: a pipe. */
  readonly totalBytes: number | null
  /** Bytes handed out so far. */
  bytesRead(): number
}

/** Standard input as a command is given it. */
export type StandardInput = {
  readonly chunks: AsyncIterable<Buffer>
  /** Its size when it is a file (`< file`). */
  readonly totalBytes: number | null
}

/**
 * Opens `path`, or standard input when there is none or it is `-`. The chunks end when `signal`
 * fires, also while a pipe is silent.
 */
export async function openInput(
  path: string | undefined,
  stdin: StandardInput,
  signal: AbortSignal,
): Promise<Input> {
  if (path === undefined || path === '-') return counted(stdin.chunks, stdin.totalBytes, signal)
  const file = await stat(path).catch((cause: unknown) => {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`${path} cannot be read: ${message}`, EXIT.usage, undefined, cause)
  })
  const chunks = createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>
  return counted(chunks, file.isFile() ? file.size : null, signal)
}

function counted(
  source: AsyncIterable<Buffer>,
  totalBytes: number | null,
  signal: AbortSignal,
): Input {
  let read = 0
  async function* chunks(): AsyncGenerator<Buffer> {
    const aborted = whenAborted(signal)
    const iterator = source[Symbol.asyncIterator]()
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted])
      if (next === 'aborted' || next.done === true) return
      read += next.value.length
      yield next.value
    }
  }
  return { chunks: chunks(), totalBytes, bytesRead: () => read }
}

function whenAborted(signal: AbortSignal): Promise<'aborted'> {
  const { promise, resolve } = Promise.withResolvers<'aborted'>()
  if (signal.aborted) resolve('aborted')
  else signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  return promise
}
