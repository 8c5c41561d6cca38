// `npm run test:kill -- [ROUNDS] [SEED] [WRITERS]`: the kill -9 test with as many rounds as
// wanted (100), a fresh node, a printed seed, and all writers or some: raw1,raw2,kafkajs,confluent,commits.
import { TestNode } from '../support/node.ts'
import { killRounds } from './rounds.ts'

const rounds = Number(process.argv[2] ?? 100)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const only = process.argv[4]?.split(',')
console.log(`${rounds} rounds, seed ${seed}`)
// What was started is stopped when the process exits, and a signal alone is no exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const node = await TestNode.start()
try {
  const report = await killRounds(node, rounds, seed, line => console.log(line), only)
  console.log(JSON.stringify(report))
  await node.stop()
} finally {
  await node.dispose()
}
