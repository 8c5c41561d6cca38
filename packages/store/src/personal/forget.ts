/** Forgetting a subject: its keys are destroyed, and what was kept of its fields elsewhere is removed. */
import type { KeyValue } from '../kv/key-value.ts'
import type { ForgetReport } from '../port.ts'
import { touchedBy } from './key-index.ts'
import { messageOf, unavailable } from './master-keys.ts'
import type { SubjectKeys } from './subject-keys.ts'

/** States that are kept of streams. */
interface KeptStates {
  /** Removes those of some streams, durably; how many there were. */
  remove(
    sources: readonly {
      readonly tenant: string
      readonly category: string
      readonly stream: string
    }[],
  ): Promise<number>
}

/** What has to do with personal data. */
export type ForgetParts = {
  readonly keys: SubjectKeys
  readonly snapshots: KeptStates
  /** Where `touch` was noted. */
  readonly kv: KeyValue
}

/**
 * Forgets a subject. When it resolves, the tombstones of its keys are durable: no node that reads on
 * can open its fields. Called again after a failure it goes on where it failed.
 *
 * Snapshots of states that its fields went into are sealed with its keys, so they are unreadable from
 * then on, too; they are removed so that they do not lie about.
 *
 * @throws StoreError KEY_UNAVAILABLE
 */
export async function forgetSubject(
  { keys, snapshots, kv }: ForgetParts,
  tenant: string,
  subject: string,
): Promise<ForgetReport> {
  const { hash, known, keyGoneBy } = await keys.forget(tenant, subject)
  const { streams, events } = await touchedBy(kv, hash)
  const sources = streams.map(({ id, ...rest }) => ({ ...rest, stream: id }))
  const removed = await snapshots.remove(sources).catch(cause => {
    const why = `its keys are destroyed, but snapshots of ${streams.length} streams could not be removed`
    throw unavailable(`${why}: ${messageOf(cause)}; call again`, cause)
  })
  return { subject, known, streams, events, snapshots: removed, keyGoneBy }
}
