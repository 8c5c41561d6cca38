/**
 * The cache port of views: text by key, for a time. In memory, for one node; others (Redis, for many
 * nodes) implement the same three calls.
 *
 * A cache is never the only copy, and may forget at any time. Nothing is invalidated: what a cache
 * answers is at most as old as `view.cache.ms`, and who must see his own write reads past it.
 */
import type { Outside } from '@millrace/base'
import { resolveSettings, type SettingValues } from '@millrace/base'
import { VIEW_SETTINGS } from './settings.ts'

/** Text by key. */
export interface ViewCache {
  /** Undefined: not kept, or too old. */
  get(key: string): Promise<string | undefined>
  /** Keeps a text for at most so many ms. */
  set(key: string, value: string, keepMs: number): Promise<void>
  delete(key: string): Promise<void>
}

type Entry = { readonly value: string; readonly until: number }

/** A cache in memory; the entries that were set longest ago go first. */
export function memoryCache(options: {
  readonly outside: Pick<Outside, 'clock'>
  readonly settings?: Partial<SettingValues<typeof VIEW_SETTINGS>>
}): ViewCache {
  const entriesMax = resolveSettings(VIEW_SETTINGS, options.settings)['view.cache.entries']
  const { clock } = options.outside
  const entries = new Map<string, Entry>()
  return {
    get: async key => {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (clock.monotonic() < entry.until) return entry.value
      entries.delete(key)
      return undefined
    },
    set: async (key, value, keepMs) => {
      entries.delete(key)
      entries.set(key, { value, until: clock.monotonic() + keepMs })
      const [oldest] = entries.keys()
      if (entries.size > entriesMax && oldest !== undefined) entries.delete(oldest)
    },
    delete: async key => {
      entries.delete(key)
    },
  }
}
