/**
 * The nearest of some known names to a mistyped one, by edit distance, for messages that say what
 * was probably meant. Bounded by the lengths of the names, which are keys and flags: short.
 */

/** Edits (insert, delete, replace) between two names, each at most a few dozen characters. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replace = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(replace, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

/** The known name that `name` was probably meant to be, or null when none is close. */
export function nearest(name: string, known: readonly string[]): string | null {
  // A name from outside can be of any length; a distance to it is only worth computing when close.
  const candidates = known.filter(other => Math.abs(other.length - name.length) <= 4)
  let best: { readonly name: string; readonly distance: number } | null = null
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (best === null || distance < best.distance) best = { name: candidate, distance }
  }
  if (best === null) return null
  return best.distance <= Math.max(1, Math.floor(name.length / 3)) ? best.name : null
}
