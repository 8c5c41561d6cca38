/**
 * Prepared statements by their text, at most `max`. Two generations stand in for the order of use:
 * when the young one is full it becomes the old one, and what is asked for again moves back; so a
 * hit costs one lookup, and what is thrown away was not used for the last max/2 new texts.
 */
export class StatementCache<Statement> {
  readonly #half: number
  readonly #prepare: (sql: string) => Statement
  #young = new Map<string, Statement>()
  #old = new Map<string, Statement>()

  constructor(max: number, prepare: (sql: string) => Statement) {
    this.#half = Math.max(1, Math.floor(max / 2))
    this.#prepare = prepare
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(sql: string): Statement {
    const known = this.#young.get(sql)
    if (known !== undefined) return known
    const statement = this.#old.get(sql) ?? this.#prepare(sql)
    this.#old.delete(sql)
    if (this.#young.size >= this.#half) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(sql, statement)
    return statement
  }
}
