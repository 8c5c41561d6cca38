/** Numbers for human eyes: counts with separators, bytes with units, spans of time. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `262,200` */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `1 record`, `2 records` */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** `12.3 MiB` */
export function bytes(value: number): string {
  let scaled = value
  let unit = 0
  while (scaled >= 1024 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024
    unit += 1
  }
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${BYTE_UNITS[unit] ?? 'B'}`
}

/** `1.25 ms`, `850 ms`, `12.3 s`, `3 m 05 s`, `2 h 07 m` */
export function span(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(2))} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`
  return `${Math.floor(seconds / 3_600)} h ${two((seconds % 3_600) / 60)} m`
}
