/** What a look at a data folder finds, as opening and verification share it. */

/** Something that is not as it should be. */
export type Finding = {
  /** `damage`: acknowledged data is wrong; `derived`: it will be rebuilt; `note`: for information. */
  readonly severity: 'damage' | 'derived' | 'note'
  readonly path: string
  readonly position: number
  readonly what: string
  /** What an operator should do. */
  readonly advice: string
}
