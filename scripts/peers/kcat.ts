// kcat, the command-line client on librdkafka, from Debian.
import { run, which } from './command.ts'
import { ensureDebian } from './debian.ts'
import { attempt, type Peer } from './peer.ts'

/** Installs kcat if it is not on the path. */
export const fetchKcat = (): Promise<Peer> =>
  attempt('kcat', async () => {
    if ((await which('kcat')) === undefined) {
      const reason = await ensureDebian(['kcat'])
      if (reason !== undefined) throw new Error(reason)
    }
    const { stdout, stderr } = await run('kcat', ['-V'])
    const found = /Version (\S+).*?(librdkafka \S+)/s.exec(stdout + stderr)
    if (found === null) throw new Error(`kcat -V says: ${stdout}${stderr}`)
    return `${found[1]} (${found[2]})`
  })
