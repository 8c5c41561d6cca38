/** Parked streams as an operator sees them and names them, over the builds of one projection. */
import { DEFAULT_TENANT, type StreamRef } from '@millrace/store'
import { ModelError } from '../errors.ts'
import type { Builds } from './builds.ts'
import type { Build } from './ledger.ts'
import type { ParkedRow } from './parking.ts'
import type { ParkedStream } from './types.ts'

/** A parked stream and the build that passes it over. */
export type ParkedOf = { readonly build: Build; readonly row: ParkedRow }

/** Parked streams of all builds of a version, the oldest build first. */
export function parkedOf(builds: Builds, name: string, version: number): Promise<ParkedOf[]> {
  return builds.within(async ledger => {
    await ledger.createTables()
    const found: ParkedOf[] = []
    for (const build of await ledger.builds(name)) {
      if (build.version !== version) continue
      for (const row of await ledger.parking.list(build)) found.push({ build, row })
    }
    return found
  })
}

/** A parked stream for those who look at it. */
export const parkedStream = ({ build, row }: ParkedOf): ParkedStream => ({
  stream: { tenant: row.tenant, category: row.category, id: row.stream },
  projectionVersion: build.version,
  firstVersion: row.firstVersion,
  lastVersion: row.lastVersion,
  reason: row.reason,
  attempts: row.attempts,
  parkedAt: row.parkedAt,
})

/** Which parked streams a redrive is for. @throws ModelError BAD_ARGUMENT */
export function selection(what: StreamRef | { readonly limit: number }): {
  readonly limit: number
  readonly matches: (row: ParkedRow) => boolean
} {
  if ('limit' in what) {
    if (!Number.isSafeInteger(what.limit) || what.limit < 1) {
      throw new ModelError('BAD_ARGUMENT', `limit must be 1 or more, not ${what.limit}`)
    }
    return { limit: what.limit, matches: () => true }
  }
  const { tenant = DEFAULT_TENANT, category, id } = what
  const matches = (row: ParkedRow): boolean =>
    row.stream === id && row.category === category && row.tenant === tenant
  return { limit: Number.POSITIVE_INFINITY, matches }
}
