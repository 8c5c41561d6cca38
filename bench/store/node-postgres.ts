// The part of node-postgres that the benchmark uses, and the pool that all its PostgreSQL clients
// share. Foreign: loaded from the cache of peers.
import { loadEmmett } from '../../scripts/peers/emmett.ts'
import type { Postgres } from './contenders.ts'

/** A statement; with a name it is prepared once a connection. */
export interface Query {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}

/** A pool of connections. */
export interface Pool {
  query(query: Query): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
  end(): Promise<void>
}

type PoolConstructor = new (options: { connectionString: string; max: number }) => Pool

/** A pool with a connection for each writer, up to the server's limit; beyond it writers take turns. */
export function openPool({ url, connections }: Postgres, writers: number): Pool {
  const { Pool } = loadEmmett<{ readonly Pool: PoolConstructor }>('pg')
  return new Pool({ connectionString: url, max: Math.min(writers, connections) })
}
