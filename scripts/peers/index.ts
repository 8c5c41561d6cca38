// All foreign software in one place: fetch everything, and say what is there and what is not.
// The npm packages kafkajs and @platformatic/kafka are dev dependencies of the workspace and need
// no fetching; they are listed so that one table names every peer.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchApacheKafka } from './apache-kafka.ts'
import { checkout } from './cache.ts'
import { fetchConfluent } from './confluent.ts'
import { fetchEmmett } from './emmett.ts'
import { fetchKafkaConnect } from './kafka-connect.ts'
import { fetchKcat } from './kcat.ts'
import { attempt, type Peer } from './peer.ts'
import { fetchPostgres } from './postgresql.ts'

export {
  type Postgres,
  type PostgresOptions,
  psql,
  startPostgres,
  withPostgres,
} from './postgresql.ts'

const installed = (name: string): Promise<Peer> =>
  attempt(name, async () => {
    const file = join(checkout, 'node_modules', ...name.split('/'), 'package.json')
    return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version
  })

/** Fetches every peer, those that are there already at no cost. Debian's installer runs one at a time. */
export async function fetchPeers(): Promise<readonly Peer[]> {
  return [
    await fetchKcat(),
    await installed('kafkajs'),
    await installed('@platformatic/kafka'),
    await fetchApacheKafka(),
    await fetchKafkaConnect(),
    await fetchConfluent(),
    await fetchPostgres(),
    await fetchEmmett(),
  ]
}

/** One line per peer. */
export const describePeer = (peer: Peer): string =>
  peer.available
    ? `peer ${peer.name}: ${peer.version}`
    : `peer ${peer.name}: not available, its tests are skipped: ${peer.reason}`
