// Rounds of kill -9 under load: writers in processes of their own that are never killed, a node
// that is killed at a random moment and started again on its data, and after each restart an audit
// of the log against the writers' journals. The audit of a round covers all rounds before it.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Running, start } from '../../scripts/peers/command.ts'
import { fetchConfluent } from '../../scripts/peers/confluent.ts'
import { seeded } from '../support/seeded.ts'
import { createTopic } from '../support/topics.ts'
import { audit } from './audit.ts'
import { type Entry, readJournal } from './journal.ts'

const minLifeMs = 200
const maxLifeMs = 1_200
const partitions = 4
const topic = 'kill'
const group = 'commits'

/** A broker that can be killed and started again on the same data and address. */
export interface Killable {
  readonly bootstrap: string
  kill(): Promise<void>
  restart(): Promise<void>
}

/** What a run did. */
export interface KillReport {
  readonly rounds: number
  readonly stored: number
  readonly acknowledged: number
  readonly commits: number
  /** Acknowledged records for each writer. */
  readonly byWriter: Readonly<Record<string, number>>
}

/**
 * Runs rounds against a broker. Throws with the audit's findings; the seed fixes the
 * moments of the kills; `only` names the writers to run.
 */
export async function killRounds(
  broker: Killable,
  rounds: number,
  seed: number,
  progress: (line: string) => void = () => undefined,
  only?: readonly string[],
): Promise<KillReport> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-journals-'))
  const random = seeded(seed)
  await createTopic(broker.bootstrap, topic, partitions)
  const kinds: Record<string, string> = { raw1: 'raw', raw2: 'raw', kafkajs: 'kafkajs' }
  if ((await fetchConfluent()).available) kinds['confluent'] = 'confluent'
  kinds[group] = 'commits'
  const writers = new Map<string, { readonly running: Running; readonly journal: string }>()
  const seen = new Map<number, number>()
  const known = { topic, partitions, group }
  try {
    for (const [name, kind] of Object.entries(kinds)) {
      if (only !== undefined && !only.includes(name)) continue
      const journal = join(folder, name)
      const script = join(import.meta.dirname, 'writer.ts')
      const args = [kind, name, broker.bootstrap, topic, String(partitions), journal]
      writers.set(name, { journal, running: start(process.execPath, [script, ...args]) })
    }
    await Promise.all([...writers.values()].map(each => untilNotEmpty(each.journal)))
    const entries = (): Entry[] => [...writers.values()].flatMap(each => readJournal(each.journal))
    for (let round = 1; round <= rounds; round++) {
      await new Promise(done => setTimeout(done, minLifeMs + random() * (maxLifeMs - minLifeMs)))
      await broker.kill()
      // Read before the restart: all of this was acknowledged by the process that was killed.
      const acknowledged = entries()
      await broker.restart()
      const found = await audit(broker.bootstrap, known, acknowledged, seen)
      progress(
        `round ${round} of ${rounds}: ${found.acknowledged} records and ${found.commits} commits acknowledged, all there`,
      )
    }
    for (const [name, { running }] of writers) {
      const { exitCode } = running.child
      if (exitCode !== null) throw new Error(`${name} gave up:\n${running.output()}`)
    }
    await Promise.all([...writers.values()].map(each => each.running.stop('SIGTERM', 20_000)))
    const last = await audit(broker.bootstrap, known, entries(), seen)
    const byWriter = Object.fromEntries(
      [...writers].map(([name, { journal }]) => [name, readJournal(journal).length]),
    )
    return { rounds, ...last, byWriter }
  } catch (error) {
    throw new Error(
      `seed ${seed}, again by: npm run test:kill -- ${rounds} ${seed}\n${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  } finally {
    await Promise.all([...writers.values()].map(each => each.running.stop('SIGKILL')))
    await rm(folder, { recursive: true, force: true })
  }
}

async function untilNotEmpty(journal: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while ((await readFile(journal, 'utf8').catch(() => '')) === '') {
    if (Date.now() > deadline) throw new Error(`nothing acknowledged in ${journal}`)
    await new Promise(done => setTimeout(done, 50))
  }
}
