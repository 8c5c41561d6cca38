/** Damage found in a file: acknowledged bytes that are not what was written. */

/** Names the file and the byte, for the report and for the partition's quarantine. */
export class DamageError extends Error {
  override readonly name: string = 'DamageError'
  readonly path: string
  readonly position: number
  readonly reason: string

  constructor(path: string, position: number, reason: string) {
    super(`${path} is damaged at byte ${position}: ${reason}`)
    this.path = path
    this.position = position
    this.reason = reason
  }
}
