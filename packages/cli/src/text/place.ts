/**
 * Places in a log and spans of time as they are typed.
 *
 * `earliest`, `latest`, an offset (`1200`), a time (`2026-01-31`, `2026-01-31T12:00:00Z`; UTC where
 * no zone is given), milliseconds since the epoch (`@1769860800000`), or a span back from now
 * (`-90s`, `-1h30m`, `-7d`).
 */

/** A place in a partition, as it is typed. */
export type Place =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly timestamp: number }

/** What may be typed as a place, for messages and help. */
export const PLACE_HELP = 'earliest, latest, an offset, a time (ISO 8601 or @MS), or a span (-1h)'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const ISO_TIME =
  /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/

/** Reads a span such as `90s` or `1h30m`, in ms. Throws RangeError. */
export function parseSpan(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)]
  const span = parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0), 0)
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== text) {
    throw new RangeError(`"${text}" is not a span; write 500ms, 90s, 15m, 1h30m, 7d or 2w`)
  }
  if (!Number.isSafeInteger(Math.round(span))) throw new RangeError(`"${text}" is too long`)
  return Math.round(span)
}

/** Reads a place. `now` is in ms since the epoch. Throws RangeError naming what is allowed. */
export function parsePlace(text: string, now: number): Place {
  if (text === 'earliest' || text === 'latest') return { kind: text }
  if (/^\d+$/.test(text)) return { kind: 'offset', offset: safe(Number(text), text) }
  if (/^@\d+$/.test(text)) return { kind: 'time', timestamp: safe(Number(text.slice(1)), text) }
  if (/^-\d/.test(text)) return { kind: 'time', timestamp: now - parseSpan(text.slice(1)) }
  const zone = ISO_TIME.exec(text)
  if (zone !== null) {
    const iso = text.replace(' ', 'T')
    const timestamp = Date.parse(iso.includes('T') && zone[1] === undefined ? `${iso}Z` : iso)
    if (!Number.isNaN(timestamp)) return { kind: 'time', timestamp }
  }
  throw new RangeError(`"${text}" is not a place; write ${PLACE_HELP}`)
}

function safe(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`"${text}" is beyond 2^53 - 1`)
  return value
}
