// A database whose connection breaks at one chosen step: before a transaction begins, before any of
// its queries, before the commit, or after the commit and before its answer.
import { ModelError } from '../../../src/errors.ts'
import type { BoundQueries, SqlDatabase, SqlQuery, SqlSession } from '../../../src/sql/port.ts'

export class FailingSql implements SqlDatabase {
  readonly dialect: SqlDatabase['dialect']
  readonly db: SqlDatabase['db']
  readonly #inner: SqlDatabase
  #stepsLeft: number
  broke = false

  /** @param step which one breaks, from 1 */
  constructor(inner: SqlDatabase, step: number) {
    this.#inner = inner
    this.dialect = inner.dialect
    this.db = inner.db
    this.#stepsLeft = step
  }

  async transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T> {
    this.#step('begin')
    const result = await this.#inner.transaction(async session => {
      const answer = await work(this.#failing(session))
      this.#step('commit')
      return answer
    })
    this.#step('the answer to a commit')
    return result
  }

  queries<DB>(): BoundQueries<DB> {
    return this.#inner.queries<DB>()
  }

  scrub(): Promise<boolean> {
    return this.#inner.scrub()
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #failing(session: SqlSession): SqlSession {
    return {
      execute: async (query: SqlQuery) => {
        this.#step(query.sql)
        return session.execute(query)
      },
      send: (query: SqlQuery) => {
        this.#step(query.sql)
        return session.send(query)
      },
      flush: () => session.flush(),
    }
  }

  #step(what: string): void {
    this.#stepsLeft -= 1
    if (this.#stepsLeft !== 0) return
    this.broke = true
    throw new ModelError('SQL_FAILED', `the connection broke at: ${what}`)
  }
}
