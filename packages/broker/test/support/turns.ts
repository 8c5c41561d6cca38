/** How long a request holds the event loop. */
import { connect } from 'node:net'
import type { EngineNode } from './engine-node.ts'

/** What one turn of the loop may take of the processor, whatever the machine does besides. */
export const TURN_CPU_MS_MAX = 50
const IDLE_MS = 1_000

/** The most that one turn takes of this thread's processor time until `work` is done. */
export async function longestTurn(work: Promise<unknown>): Promise<number> {
  let longest = 0
  let over = false
  let before = process.threadCpuUsage()
  const look = (): void => {
    const used = process.threadCpuUsage(before)
    before = process.threadCpuUsage()
    longest = Math.max(longest, (used.user + used.system) / 1000)
    if (!over) setImmediate(look)
  }
  setImmediate(look)
  await work
  // The turn in which the work ended is looked at as well.
  await new Promise(setImmediate)
  over = true
  return longest
}

/** Sends a frame; done when as many bytes have come as the answer has, or the connection is over. */
export function exchange(
  { listener }: Pick<EngineNode, 'listener'>,
  frame: Buffer,
  idleMs: number = IDLE_MS,
): Promise<void> {
  const { host, port } = listener.address
  return new Promise(resolve => {
    const socket = connect(port, host, () => socket.write(frame))
    let size = Number.POSITIVE_INFINITY
    let head = Buffer.alloc(0)
    let received = 0
    socket.on('data', chunk => {
      received += chunk.length
      if (head.length < 4) head = Buffer.concat([head, chunk.subarray(0, 4)])
      if (head.length >= 4) size = 4 + head.readInt32BE(0)
      if (received >= size) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    // A member that waits for others: what it costs has been seen by then.
    socket.setTimeout(idleMs, () => socket.destroy())
  })
}
