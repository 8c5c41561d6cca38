// `npm run test:kill -- [ROUNDS] [SEED]`: the kill -9 test with as many rounds as wanted (100), a
// fresh node and a printed seed.
import { TestNode } from '../support/node.ts'
import { killRounds } from './rounds.ts'

const rounds = Number(process.argv[2] ?? 100)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`${rounds} rounds, seed ${seed}`)
const node = await TestNode.start()
try {
  const report = await killRounds(node, rounds, seed, line => console.log(line))
  console.log(JSON.stringify(report))
  await node.stop()
} finally {
  await node.dispose()
}
