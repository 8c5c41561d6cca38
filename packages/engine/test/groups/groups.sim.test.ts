// Seeded simulation of one group under churn (E1): many consumers that join, leave, crash, pause and
// commit, a sink with latency, a node that crashes. After the churn everything must come to rest.
import { describe, expect, it } from 'vitest'
import { GROUP, PARTITIONS, SimulatedConsumer, TOPIC, Witness } from './simulated-consumer.ts'
import { SimulatedNode } from './simulated-node.ts'
import { rng } from './virtual.ts'

const SEEDS = Number(process.env['GROUP_SIM_SEEDS'] ?? 300)
const FIRST = Number(process.env['GROUP_SIM_SEED'] ?? 1)
const CHURN_STEPS = 60
const STEP_MS = 500
const REST_MS = 60_000

async function simulate(seed: number): Promise<readonly string[]> {
  const random = rng(seed)
  const node = new SimulatedNode(random)
  const witness = new Witness()
  const consumers: SimulatedConsumer[] = []
  const kind = random.chance(0.5) ? 'eager' : 'cooperative'
  let born = 0
  const start = (instanceId: string | null): void => {
    const name = instanceId ?? `c${'x'.repeat(random.below(2))}${born++}`
    const consumer = new SimulatedConsumer(name, kind, instanceId, node, witness, random)
    const rivals = consumers.filter(other => other.instanceId === instanceId && !other.stopped)
    for (const rival of rivals) rival.unrivalled = false
    consumer.unrivalled = rivals.length === 0
    consumers.push(consumer)
    void consumer.run().catch(error => witness.breaches.push(String(error)))
  }
  const alive = (): SimulatedConsumer[] => consumers.filter(({ stopped }) => !stopped)
  for (let i = 0; i < 2 + random.below(4); i++) start(random.chance(0.3) ? `i${i}` : null)
  node.loss = random.chance(0.5) ? 0.02 : 0
  for (let step = 0; step < CHURN_STEPS; step++) {
    node.sink.latency = random.chance(0.3) ? random.below(50) : random.below(4)
    const one = alive()[random.below(Math.max(1, alive().length))]
    const dice = random.next()
    if (dice < 0.12 && alive().length < 9) start(random.chance(0.3) ? `i${random.below(9)}` : null)
    else if (dice < 0.2 && one !== undefined) one.stopped = true
    else if (dice < 0.26 && one !== undefined) one.leaving = true
    else if (dice < 0.32 && one !== undefined) {
      one.pausedUntil = node.time.monotonic() + random.below(12_000)
    } else if (dice < 0.4 && one !== undefined && one.instanceId !== null) {
      // A static member restarts: its new process comes before its session has ended.
      one.stopped = true
      await node.time.run(20)
      start(one.instanceId)
    } else if (dice < 0.46) {
      node.crash()
      await node.time.run(random.below(400))
      node.start()
    }
    await node.time.run(random.below(2 * STEP_MS))
  }
  node.loss = 0
  if (alive().every(({ leaving }) => leaving)) start(null)
  await node.time.run(REST_MS)
  await atRest(node, alive(), witness)
  for (const consumer of consumers) consumer.stopped = true
  await node.time.run(20_000)
  return witness.breaches
}

async function atRest(
  node: SimulatedNode,
  alive: readonly SimulatedConsumer[],
  witness: Witness,
): Promise<void> {
  const coordinator = node.coordinator
  if (coordinator === null) throw new Error('no coordinator')
  let group: Awaited<ReturnType<typeof coordinator.describe>> = []
  let fetched: Awaited<ReturnType<typeof coordinator.fetchOffsets>> = []
  const acknowledged = new Map(witness.acknowledged)
  void coordinator.describe([GROUP]).then(found => {
    group = found
  })
  void coordinator.fetchOffsets(GROUP).then(found => {
    fetched = found
  })
  await node.time.run(100)
  const say = (breach: string): void => void witness.breaches.push(breach)
  if (group[0]?.state !== 'Stable') say(`the group is ${group[0]?.state}, not Stable`)
  const members = new Set(group[0]?.members.map(({ memberId }) => memberId))
  const owned: number[] = []
  for (const consumer of alive) {
    if (!consumer.settled) say(`${consumer.name} never came to rest`)
    if (!members.has(consumer.memberId)) say(`${consumer.name} is not in the group`)
    owned.push(...consumer.owned)
  }
  if (members.size !== alive.length) say(`${members.size} members, ${alive.length} alive`)
  const sorted = owned.sort((a, b) => a - b).join()
  const all = Array.from({ length: PARTITIONS }, (_, p) => p).join()
  if (sorted !== all) say(`owned at rest: ${sorted}`)
  for (const [partition, offset] of acknowledged) {
    const found = fetched.find(entry => entry.topic === TOPIC && entry.partition === partition)
    if ((found?.offset ?? -1) < offset) {
      say(`partition ${partition}: ${offset} was acknowledged, ${found?.offset} is there`)
    }
  }
}

describe('a consumer group under churn, crashes and slow disks', () => {
  it(`keeps its promises in ${SEEDS} seeds`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const breaches = await simulate(seed)
      const replay = `GROUP_SIM_SEED=${seed} GROUP_SIM_SEEDS=1 npx vitest run --project sim packages/engine/test/groups`
      expect(breaches, `seed ${seed}; replay with: ${replay}`).toEqual([])
    }
  })
})
