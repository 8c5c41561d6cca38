// `npm run peers`: fetches the foreign software that tests and benchmarks use, and prints each with
// its version or the reason why it is not there. With CI=true a missing peer fails the command.
import { describePeer, fetchPeers } from './index.ts'

const peers = await fetchPeers()
for (const peer of peers) console.log(describePeer(peer))
if (process.env['CI'] === 'true' && peers.some(peer => !peer.available)) process.exitCode = 1
