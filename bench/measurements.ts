// Every measurement of a run is one row; tables and JSON are made of rows. Rounds of the same
// measurement are rows of their own, so that the raw file shows the noise.
import type { Part } from './options.ts'
import type { StorePart } from './store/contenders.ts'

/** One measurement of one system in one round. */
export interface Measurement {
  readonly part: Part | StorePart
  /** Added sync latency in ms. */
  readonly syncDelayMs: number
  /** What was measured, for example "1,024 B, 12 partitions". */
  readonly shape: string
  readonly system: string
  readonly round: number
  /** Figures by name; the unit is part of the name. */
  readonly figures: Readonly<Record<string, number>>
}

/** Where the parts put what they measure. */
export interface Recorder {
  add(measurement: Omit<Measurement, 'syncDelayMs'>): void
}
