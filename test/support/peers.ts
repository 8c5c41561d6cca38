// Tests of a foreign client need it on this machine. Where it is not, they are skipped with the
// reason; with CI=true they fail, so that a green run has met every client.
import { beforeEach, type TestContext } from 'vitest'
import type { Peer } from '../../scripts/peers/peer.ts'

/** Skips the tests of the calling file, or fails them with CI=true, when the peer cannot be had. */
export function usePeer(peer: Peer): void {
  beforeEach((context: TestContext) => {
    if (peer.available) return
    const why = `${peer.name} is not available: ${peer.reason}`
    if (process.env['CI'] === 'true') throw new Error(why)
    context.skip(why)
  })
}
