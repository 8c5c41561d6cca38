// A coordinator on virtual time for unit tests, and requests with their usual fields.
import type {
  CommitRequest,
  JoinRequest,
  JoinResponse,
  LogErrorCode,
  SyncResponse,
} from '@millrace/log'
import {
  GroupCoordinator,
  type GroupCoordinatorOptions,
} from '../../src/coordinators/groups/group-coordinator.ts'
import { createMachines } from '../../src/coordinators/machines.ts'
import { TimerWheel } from '../../src/timer-wheel.ts'
import { fill, outsideOf, rng, subscription, VirtualSink, VirtualTime } from './virtual.ts'

export type Settings = NonNullable<GroupCoordinatorOptions['settings']>

export const DELAY_MS = 150

export class GroupsBench {
  readonly time = new VirtualTime()
  sink = new VirtualSink(this.time)
  wheel: TimerWheel
  groups: GroupCoordinator
  readonly #settings: Settings
  readonly topics = new Set(['t', 'u'])
  readonly warnings: string[] = []

  constructor(settings: Settings = {}) {
    this.#settings = settings
    const [groups, wheel] = this.#make()
    this.groups = groups
    this.wheel = wheel
    groups.start()
  }

  #make(): [GroupCoordinator, TimerWheel] {
    const outside = outsideOf(this.time, rng(this.time.started + 1))
    const wheel = new TimerWheel(outside)
    const groups = new GroupCoordinator({
      machines: createMachines(),
      commits: this.sink,
      outside,
      wheel,
      settings: this.#settings,
      partitionExists: (topic, partition) => this.topics.has(topic) && partition < 8,
      onWarning: message => void this.warnings.push(message),
    })
    return [groups, wheel]
  }

  /** Stops without a word and comes back from the records. */
  restart(): void {
    this.wheel.close()
    this.sink = new VirtualSink(this.time, this.sink.entered)
    const [groups, wheel] = this.#make()
    fill(groups.machines, this.sink.entered)
    groups.start()
    this.groups = groups
    this.wheel = wheel
  }

  join(fields: Partial<JoinRequest> = {}): Promise<JoinResponse> {
    return this.groups.join({
      groupId: 'g',
      memberId: '',
      groupInstanceId: null,
      clientId: 'client',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 20_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription(['t']) }],
      requireKnownMemberId: false,
      supportsSkippingAssignment: true,
      ...fields,
    })
  }

  sync(joined: JoinResponse, fields: Partial<Parameters<GroupCoordinator['sync']>[0]> = {}) {
    return this.groups.sync({
      groupId: 'g',
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupInstanceId: null,
      assignments: joined.members.map(({ memberId }) => ({
        memberId,
        assignment: Buffer.from(`for ${memberId}`),
      })),
      ...fields,
    })
  }

  heartbeat(
    joined: JoinResponse,
    fields: { groupInstanceId?: string; generationId?: number } = {},
  ) {
    return this.groups.heartbeat({
      groupId: 'g',
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupInstanceId: null,
      ...fields,
    })
  }

  commit(fields: Partial<CommitRequest> & { offset?: number } = {}) {
    const { offset = 5, ...rest } = fields
    return this.groups.commit({
      groupId: 'g',
      generationId: -1,
      memberId: '',
      groupInstanceId: null,
      offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: 3, metadata: 'note' }],
      ...rest,
    })
  }

  async state(): Promise<string> {
    return (await this.groups.describe(['g']))[0]?.state ?? 'none'
  }

  /** Members in one generation that has not been synced; the first leads. */
  async joinedOnly(
    count: number,
    fields: Partial<JoinRequest>[] = [],
  ): Promise<[JoinResponse, JoinResponse]> {
    const joins = Array.from({ length: count }, (_, i) => this.join(fields[i] ?? {}))
    await this.time.run(2 * DELAY_MS + 10)
    const [first, second] = await Promise.all(joins)
    if (first === undefined) throw new Error('nobody has joined')
    return [first, second ?? first]
  }

  /** Members of a stable group; the first leads. */
  async stable(count: number, fields: Partial<JoinRequest>[] = []): Promise<JoinResponse[]> {
    const joins = Array.from({ length: count }, (_, i) => this.join(fields[i] ?? {}))
    await this.time.run(2 * DELAY_MS + 10)
    const joined = await Promise.all(joins)
    const syncs: Promise<SyncResponse>[] = joined.map(response => this.sync(response))
    await Promise.all(syncs)
    return joined
  }
}

export function codeOf(response: { readonly error?: { readonly code: LogErrorCode } } | undefined) {
  return response?.error?.code
}
