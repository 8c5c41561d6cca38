/**
 * Reads accepted sockets into one buffer that all share.
 *
 * Node allocates 64 KiB for every read of an accepted socket; that is what its `onread` option avoids,
 * which a client's socket can be given and a server's cannot. So the connection is taken over, before
 * anything of it is read, by a socket of our own that has the option. Where the platform does not let
 * us (the handle is not part of Node's documented interface), the socket is read as usual.
 */
import { Socket } from 'node:net'

/** Bytes of one read at most. */
export const READ_BYTES: number = 128 * 1024

type Handled = { _handle?: unknown }

/**
 * The socket to use in the place of an accepted one that is paused. `onBytes` gets what was read; the
 * bytes are only valid until it returns, if `transient` says so.
 */
export function readInto(
  accepted: Socket,
  buffer: Buffer,
  onBytes: (bytes: Buffer, transient: boolean) => void,
): Socket {
  const handle = (accepted as Handled)._handle
  if (handle === null || handle === undefined) {
    accepted.on('data', chunk => onBytes(chunk as Buffer, false))
    return accepted
  }
  ;(accepted as Handled)._handle = null
  accepted.destroy()
  const options: object = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback: (bytes: number): boolean => {
        onBytes(bytes === buffer.length ? buffer : buffer.subarray(0, bytes), true)
        return true
      },
    },
  }
  return new Socket(options)
}
