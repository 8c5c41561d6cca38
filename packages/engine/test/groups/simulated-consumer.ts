// A consumer as real clients behave: joins, assigns when it leads, syncs, heartbeats, commits. Eager
// ones give everything up before they join; cooperative ones keep what they own and join once more
// after giving something up (KIP-429); static ones come back under a new member id.
import type { JoinResponse } from '@millrace/log'
import { NetworkError, type SimulatedNode } from './simulated-node.ts'
import { type Rng, subscription } from './virtual.ts'

export const TOPIC = 'events'
export const PARTITIONS = 12
export const GROUP = 'g'
const SESSION_MS = 6000
const REBALANCE_MS = 8000
const HEARTBEAT_MS = 1000

/** What all consumers of a run have seen; breaches of a promise throw. */
export class Witness {
  /** generation/partition to its owner. */
  readonly owners = new Map<string, string>()
  readonly acknowledged = new Map<number, number>()
  readonly breaches: string[] = []

  own(generation: number, partition: number, owner: string): void {
    const key = `${generation}/${partition}`
    const other = this.owners.get(key)
    if (other !== undefined && other !== owner) {
      this.breaches.push(
        `partition ${partition} of generation ${generation}: ${other} and ${owner}`,
      )
    }
    this.owners.set(key, owner)
  }

  committed(partition: number, offset: number): void {
    this.acknowledged.set(partition, Math.max(offset, this.acknowledged.get(partition) ?? -1))
  }

  fetched(partition: number, offset: number, floor: number): void {
    if (offset < floor) {
      this.breaches.push(`partition ${partition} went back from ${floor} to ${offset}`)
    }
  }
}

export type Kind = 'eager' | 'cooperative'

export class SimulatedConsumer {
  readonly name: string
  readonly kind: Kind
  readonly instanceId: string | null
  readonly #node: SimulatedNode
  readonly #witness: Witness
  readonly #random: Rng
  memberId = ''
  generation = -1
  owned: number[] = []
  /** In a generation, with its assignment. */
  settled = false
  stopped = false
  leaving = false
  pausedUntil = 0
  /** The only process of its instance id so far: nobody may fence it. */
  unrivalled = false
  readonly #skips: boolean
  readonly #next = new Map<number, number>()

  constructor(
    name: string,
    kind: Kind,
    instanceId: string | null,
    node: SimulatedNode,
    witness: Witness,
    random: Rng,
  ) {
    this.name = name
    this.kind = kind
    this.instanceId = instanceId
    this.#node = node
    this.#witness = witness
    this.#random = random
    this.#skips = random.chance(0.5)
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      try {
        if (await this.#join()) await this.#poll()
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error
        await this.#sleep(100 + this.#random.below(200))
      }
    }
  }

  async #sleep(ms: number): Promise<void> {
    const { time } = this.#node
    await time.sleep(ms)
    if (this.pausedUntil > time.monotonic()) await time.sleep(this.pausedUntil - time.monotonic())
  }

  #identity(): {
    groupId: string
    generationId: number
    memberId: string
    groupInstanceId: string | null
  } {
    return {
      groupId: GROUP,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
    }
  }

  /** Whether to go on to the next step; on errors what real clients do. */
  #failed(code: string | undefined): boolean {
    if (code === undefined) return false
    this.settled = false
    if (code === 'UNKNOWN_MEMBER_ID' || code === 'ILLEGAL_GENERATION') {
      if (code === 'UNKNOWN_MEMBER_ID') this.memberId = ''
      this.generation = -1
      this.owned = []
    }
    if (code === 'FENCED_INSTANCE_ID') {
      if (this.unrivalled && !this.stopped) this.#witness.breaches.push(`${this.name} was fenced`)
      this.stopped = true
    }
    return true
  }

  async #join(): Promise<boolean> {
    this.settled = false
    if (this.kind === 'eager') this.owned = []
    const userData = JSON.stringify({ owned: this.owned, kind: this.kind })
    const metadata = subscription([TOPIC], userData)
    const joined = await this.#node.call(REBALANCE_MS + 5000, groups =>
      groups.join({
        groupId: GROUP,
        memberId: this.memberId,
        groupInstanceId: this.instanceId,
        clientId: this.name,
        clientHost: '127.0.0.1',
        sessionTimeoutMs: SESSION_MS,
        rebalanceTimeoutMs: REBALANCE_MS,
        protocolType: 'consumer',
        protocols: [{ name: 'sticky', metadata }],
        requireKnownMemberId: this.instanceId === null && this.name.length % 2 === 0,
        supportsSkippingAssignment: this.#skips,
      }),
    )
    if (joined.error?.code === 'MEMBER_ID_REQUIRED') {
      this.memberId = joined.memberId
      return false
    }
    if (this.#failed(joined.error?.code)) {
      await this.#sleep(100)
      return false
    }
    this.memberId = joined.memberId
    this.generation = joined.generationId
    return this.#sync(joined)
  }

  async #sync(joined: JoinResponse): Promise<boolean> {
    const leads = joined.leader === joined.memberId && !joined.skipAssignment
    const synced = await this.#node.call(REBALANCE_MS + 5000, groups =>
      groups.sync({
        ...this.#identity(),
        protocolType: 'consumer',
        protocolName: 'sticky',
        assignments: leads ? assign(joined) : [],
      }),
    )
    if (this.#failed(synced.error?.code)) return false
    const partitions: number[] =
      synced.assignment.length === 0 ? [] : JSON.parse(synced.assignment.toString())
    const owner = this.instanceId ?? this.memberId
    for (const partition of partitions) this.#witness.own(this.generation, partition, owner)
    const givesUp = this.kind === 'cooperative' && this.owned.some(p => !partitions.includes(p))
    this.owned = partitions
    if (givesUp) return false
    const floors = partitions.map(partition => this.#witness.acknowledged.get(partition) ?? -1)
    const fetched = await this.#node.call(5000, groups =>
      groups.fetchOffsets(
        GROUP,
        partitions.map(partition => ({ topic: TOPIC, partition })),
      ),
    )
    fetched.forEach(({ partition, offset }, at) => {
      this.#witness.fetched(partition, offset, floors[at] ?? -1)
      this.#next.set(partition, Math.max(0, offset))
    })
    this.settled = true
    return true
  }

  async #poll(): Promise<void> {
    while (!this.stopped) {
      await this.#sleep(HEARTBEAT_MS)
      if (this.stopped) return
      if (this.leaving) {
        this.stopped = true
        const member = { memberId: this.memberId, groupInstanceId: this.instanceId }
        await this.#node.call(5000, groups => groups.leave({ groupId: GROUP, members: [member] }))
        return
      }
      if (this.#random.chance(0.7) && this.owned.length > 0 && !(await this.#commit())) return
      const beat = await this.#node.call(5000, groups => groups.heartbeat(this.#identity()))
      if (this.#failed(beat.error?.code)) return
    }
  }

  async #commit(): Promise<boolean> {
    const offsets = this.owned.map(partition => {
      const offset = (this.#next.get(partition) ?? 0) + 1 + this.#random.below(5)
      this.#next.set(partition, offset)
      return { topic: TOPIC, partition, offset, leaderEpoch: 0, metadata: this.name }
    })
    const outcomes = await this.#node.call(5000, groups =>
      groups.commit({ ...this.#identity(), offsets }),
    )
    outcomes.forEach((outcome, at) => {
      const committed = offsets[at]
      if (outcome.error === undefined && committed !== undefined) {
        this.#witness.committed(committed.partition, committed.offset)
      }
    })
    return !this.#failed(outcomes[0]?.error?.code)
  }
}

/** Sticky and even; what a cooperative member still owns goes to nobody else yet. */
function assign(joined: JoinResponse): { memberId: string; assignment: Buffer }[] {
  const members = joined.members.map(({ memberId, metadata }) => {
    const text = metadata.toString('utf8')
    const data: { owned: number[]; kind: Kind } = JSON.parse(text.slice(text.indexOf('{')))
    return { memberId, owned: data.owned, parts: [] as number[] }
  })
  const most = Math.ceil(PARTITIONS / members.length)
  const ownedBy = new Map<number, string>()
  for (const { memberId, owned } of members) for (const p of owned) ownedBy.set(p, memberId)
  const free: number[] = []
  for (let p = 0; p < PARTITIONS; p++) {
    const owner = members.find(({ memberId }) => memberId === ownedBy.get(p))
    if (owner !== undefined && owner.parts.length < most) owner.parts.push(p)
    else if (owner === undefined) free.push(p)
  }
  for (const p of free) {
    members.sort((a, b) => a.parts.length - b.parts.length)
    members[0]?.parts.push(p)
  }
  return members.map(({ memberId, parts }) => ({
    memberId,
    assignment: Buffer.from(JSON.stringify(parts)),
  }))
}
