import { describe, expect, it } from 'vitest'
import {
  decodeGroup,
  decodeGroupKey,
  encodeGroup,
  encodeGroupKey,
  isGroupKey,
  type StoredGroup,
} from '../../src/coordinators/classic-groups/records.ts'
import {
  sameSubscription,
  subscribedTopics,
} from '../../src/coordinators/classic-groups/subscription.ts'
import {
  decodeOffset,
  decodeOffsetKey,
  encodeOffset,
  encodeOffsetKey,
  isOffsetKey,
} from '../../src/coordinators/offsets/records.ts'
import { subscription } from './virtual.ts'

const GROUP: StoredGroup = {
  protocolType: 'consumer',
  generationId: 7,
  protocolName: 'range',
  leader: 'm',
  stateTimestamp: 1_700_000_000_000,
  members: [
    {
      memberId: 'm',
      groupInstanceId: 'i',
      clientId: 'c',
      clientHost: '/h',
      rebalanceTimeoutMs: 2,
      sessionTimeoutMs: 1,
      subscription: Buffer.from([1, 2]),
      assignment: Buffer.from([3]),
    },
  ],
}

describe('records of __consumer_offsets', () => {
  it('are byte for byte those of Kafka', () => {
    expect(encodeOffsetKey('g', 't', 3).toString('hex')).toBe(
      '0001' + '000167' + '000174' + '00000003',
    )
    expect(encodeGroupKey('g').toString('hex')).toBe('0002' + '000167')
    const offset = { offset: 258, leaderEpoch: -1, metadata: 'é', commitTimestamp: 1 }
    expect(encodeOffset(offset).toString('hex')).toBe(
      '0003' + '0000000000000102' + 'ffffffff' + '0002c3a9' + '0000000000000001',
    )
  })

  it('come back as they were written', () => {
    expect(decodeGroup(encodeGroup(GROUP))).toEqual(GROUP)
    expect(decodeGroupKey(encodeGroupKey('g'))).toBe('g')
    expect(decodeOffsetKey(encodeOffsetKey('g', 't', 3))).toEqual({
      groupId: 'g',
      topic: 't',
      partition: 3,
    })
    const offset = { offset: -2, leaderEpoch: 4, metadata: '', commitTimestamp: 9 }
    expect(decodeOffset(encodeOffset(offset))).toEqual(offset)
  })

  it('are read in the older versions and in the flexible one', () => {
    const v1 = Buffer.from('0001000000000000000500016100000000000000090000000000000063', 'hex')
    expect(decodeOffset(v1)).toEqual({
      offset: 5,
      leaderEpoch: -1,
      metadata: 'a',
      commitTimestamp: 9,
    })
    const v4 = Buffer.from('00040000000000000005000000020261000000000000000900', 'hex')
    expect(decodeOffset(v4)).toEqual({
      offset: 5,
      leaderEpoch: 2,
      metadata: 'a',
      commitTimestamp: 9,
    })
    const group = Buffer.from(
      '0004' +
        '0963' +
        Buffer.from('onsumer').toString('hex') +
        '00000001' +
        '00' +
        '00' +
        'ffffffffffffffff' +
        '01' +
        '00',
      'hex',
    )
    expect(decodeGroup(group)).toEqual({
      protocolType: 'consumer',
      generationId: 1,
      protocolName: null,
      leader: null,
      stateTimestamp: -1,
      members: [],
    })
  })

  it('tell by their keys whose they are', () => {
    expect([isGroupKey, isOffsetKey].map(is => is(encodeGroupKey('g')))).toEqual([true, false])
    expect([isGroupKey, isOffsetKey].map(is => is(encodeOffsetKey('g', 't', 0)))).toEqual([
      false,
      true,
    ])
  })

  it('never throw when cut short or unknown', () => {
    const whole = encodeGroup(GROUP)
    for (let length = 0; length < whole.length; length++) {
      expect(decodeGroup(whole.subarray(0, length))).toBeNull()
    }
    for (const key of [Buffer.alloc(0), Buffer.from([0, 99, 0, 0])]) {
      expect(decodeGroupKey(key)).toBeNull()
      expect(decodeOffsetKey(key)).toBeNull()
    }
    expect(decodeOffset(Buffer.from([0, 9]))).toBeNull()
  })
})

describe('the look into a subscription', () => {
  it('finds the topics, and nothing in what is none', () => {
    expect(subscribedTopics(subscription(['a', 'b'], 'x'))).toEqual(new Set(['a', 'b']))
    expect(subscribedTopics(Buffer.from('nonsense!'))).toBeNull()
    expect(subscribedTopics(Buffer.alloc(0))).toBeNull()
  })

  it('calls two the same when the topics are, whatever else they carry', () => {
    const one = subscription(['a', 'b'], 'x')
    expect(sameSubscription('consumer', one, subscription(['b', 'a'], 'y'))).toBe(true)
    expect(sameSubscription('consumer', one, subscription(['a']))).toBe(false)
    expect(sameSubscription('connect', one, subscription(['b', 'a']))).toBe(false)
  })
})
