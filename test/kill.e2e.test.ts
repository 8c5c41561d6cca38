// Acknowledged is durable, seen from outside: 30 kills at seeded random moments under idempotent
// producers and group commits. `npm run test:kill -- 100` does the same with more rounds.
import { describe, expect, it } from 'vitest'
import { killRounds } from './kill/rounds.ts'
import { TestNode } from './support/node.ts'

const rounds = 30

describe('kill -9 under load', () => {
  it('loses no acknowledged record, doubles none, moves no committed offset back', async () => {
    const seed = Number(process.env['MILLRACE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const node = await TestNode.start()
    try {
      const report = await killRounds(node, rounds, seed)
      console.log(`seed ${seed}: ${JSON.stringify(report)}`)
      for (const [writer, acknowledged] of Object.entries(report.byWriter)) {
        expect(acknowledged, `${writer} got on`).toBeGreaterThan(rounds)
      }
      await node.stop()
    } finally {
      await node.dispose()
    }
  })
})
