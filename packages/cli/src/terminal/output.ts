/**
 * Where commands write: standard output for answers, standard error for everything else.
 *
 * A reader that goes away (`millrace consume | head`) ends the command quietly. Writers of much wait
 * for `ready()`, so that a slow reader slows the command and does not grow it.
 */
import type { Writable } from 'node:stream'
import { printable } from '../text/printable.ts'

/** A place to write to. */
export interface Output {
  /** Whether a person is likely to read along. */
  readonly isTerminal: boolean
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number
  /**
   * Text loses its control characters on the way (see printable), whatever reads it: a pager shows on
   * a terminal what a pipe has taken. Bytes are somebody's data: a pipe gets them as they are, a
   * terminal as text is.
   */
  write(data: string | Uint8Array): void
  /** Writes text with cursor movements of the command's own, and nothing of others in it. */
  draw(text: string): void
  /** Resolves when the reader has taken enough to go on. */
  ready(): Promise<void>
}

const COLUMNS_DEFAULT = 80

/** An {@link Output} on a stream of the process. `onClosed` is called once when its reader left. */
export function streamOutput(
  stream: Writable & { readonly isTTY?: boolean; readonly columns?: number },
  onClosed: () => void,
): Output {
  let closed = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (closed) return
    closed = true
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error
    onClosed()
  })
  const isTerminal = stream.isTTY === true
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? COLUMNS_DEFAULT
    },
    write(data) {
      if (closed) return
      if (typeof data === 'string') stream.write(printable(data))
      else stream.write(isTerminal ? printable(Buffer.from(data).toString()) : data)
    },
    draw(text) {
      if (!closed) stream.write(text)
    },
    ready() {
      if (closed || !stream.writableNeedDrain) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      const done = (): void => {
        stream.off('drain', done)
        stream.off('error', done)
        resolve()
      }
      stream.on('drain', done)
      stream.on('error', done)
      return promise
    },
  }
}
