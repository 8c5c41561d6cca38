/**
 * What an operator must not overlook is said when it begins, again at intervals while it lasts, and
 * when it is over: not only where somebody asks (`/readyz`).
 */

import type { Outside, Timer } from '@millrace/base'
import type { EngineHealth } from '../engine.ts'

/** How often the engine looks at itself. Milliseconds. */
const LOOK_MS = 1000
/** Quarantined or fenced partitions that are named each time; of the others the number is said. */
const NAMED_MAX = 20

type Trouble = { readonly text: string; saidAt: number }

/** What one trouble is, and what an operator does about it. */
type Said = { readonly key: string; readonly text: string; readonly over: string }

/** Says what is wrong, while it is. */
export class Troubles {
  readonly #outside: Outside
  readonly #everyMs: number
  readonly #health: () => EngineHealth
  readonly #say: (level: 'error' | 'info', message: string) => void
  readonly #now = new Map<string, Trouble & { readonly over: string }>()
  #timer: Timer | undefined
  #stopped = false

  /** @param parts.everyMs time after which what lasts is said again */
  constructor(parts: {
    readonly outside: Outside
    readonly everyMs: number
    readonly health: () => EngineHealth
    readonly say: (level: 'error' | 'info', message: string) => void
  }) {
    this.#outside = parts.outside
    this.#everyMs = parts.everyMs
    this.#health = parts.health
    this.#say = parts.say
  }

  /** Looks at once, and from then on by itself; the timer does not keep the process alive. */
  start(): void {
    if (this.#stopped) return
    this.look()
    this.#timer = this.#outside.timers.after(LOOK_MS, () => this.start())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Says what has begun, what still lasts and has not been said for long, and what is over. */
  look(): void {
    const found = new Map(troublesOf(this.#health()).map(said => [said.key, said]))
    for (const [key, { over }] of this.#now) {
      if (found.has(key)) continue
      this.#now.delete(key)
      this.#say('info', over)
    }
    const now = this.#outside.clock.monotonic()
    for (const { key, text, over } of found.values()) {
      const known = this.#now.get(key)
      if (known !== undefined && known.text === text && now - known.saidAt < this.#everyMs) continue
      this.#now.set(key, { text, over, saidAt: now })
      this.#say('error', text)
    }
  }
}

function troublesOf(health: EngineHealth): readonly Said[] {
  const said: Said[] = []
  if (health.state === 'fenced') {
    const reason = health.reason ?? 'the journal has failed'
    said.push({
      key: 'fenced',
      text: health.journalDamaged
        ? `READ-ONLY: ${reason}. Nothing is written, nothing was thrown away. Stop the node, look with "millrace verify", restore the files from a copy; or go on without what is lost with "millrace repair --accept-loss".`
        : `READ-ONLY until a restart: ${reason}. Appends are refused, reads go on. Check the device, then restart the node.`,
      over: 'appends are taken again',
    })
  }
  if (health.diskFull) {
    said.push({
      key: 'disk',
      text: 'DISK FULL: appends are refused, reads go on. Free space, delete topics or records, or lower retention: appends resume by themselves.',
      over: 'there is room on the disk again: appends are taken',
    })
  }
  for (const state of ['quarantined', 'fenced'] as const) {
    const all = health.partitions.filter(partition => partition.state === state)
    if (all.length === 0) continue
    const named = all
      .slice(0, NAMED_MAX)
      .map(({ topic, partition, reason }) => `${topic}-${partition} (${reason})`)
    const more = all.length > NAMED_MAX ? ` and ${all.length - NAMED_MAX} more` : ''
    said.push({
      key: state,
      text:
        state === 'quarantined'
          ? `QUARANTINED: ${named.join('; ')}${more}. Appends to them are refused, and reads past the damage. Stop the node, restore the files from a copy and run "millrace repair", or go on without what is damaged with "millrace repair --accept-loss".`
          : `FENCED until a restart: ${named.join('; ')}${more}. Appends to them are refused; what was acknowledged is kept. Check the device, then restart the node.`,
      over: `no partition is ${state} any more`,
    })
  }
  return said
}
