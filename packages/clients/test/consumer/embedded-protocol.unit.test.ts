import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from '../../src/consumer/embedded-protocol.ts'

const subscription: Subscription = {
  topics: ['a', 'b'],
  userData: Buffer.from([1, 2]),
  ownedPartitions: [
    { topic: 'a', partition: 0 },
    { topic: 'a', partition: 2 },
  ],
  generationId: 7,
  rackId: 'r1',
}

describe('a subscription', () => {
  test('comes back as it was written', () => {
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
  })

  test.each([
    [0, { ownedPartitions: [], generationId: -1, rackId: null }],
    [1, { generationId: -1, rackId: null }],
    [2, { rackId: null }],
  ])('of version %i lacks what that version does not know', (version, missing) => {
    const decoded = decodeSubscription(encodeSubscription(subscription, version))
    expect(decoded).toEqual({ ...subscription, ...missing })
  })

  test('has the bytes of the protocol', () => {
    const bytes = encodeSubscription({
      ...subscription,
      topics: ['t'],
      userData: null,
      rackId: null,
    })
    const owned = '00000001 0001 61 00000002 00000000 00000002'
    expect(bytes.toString('hex')).toBe(
      `0003 00000001 0001 74 ffffffff ${owned} 00000007 ffff`.replaceAll(' ', ''),
    )
  })

  test('of a newer version is read as far as it is known', () => {
    const bytes = Buffer.concat([encodeSubscription(subscription), Buffer.from([9, 9])])
    bytes.writeInt16BE(12)
    expect(decodeSubscription(bytes)).toEqual(subscription)
  })

  test('that is cut anywhere is refused', () => {
    const bytes = encodeSubscription(subscription)
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => decodeSubscription(bytes.subarray(0, end))).toThrow(/INVALID|contradicts/)
  })

  test('with a count beyond its bytes is refused before memory is taken', () => {
    const bytes = Buffer.from('00017fffffff', 'hex')
    expect(() => decodeSubscription(bytes)).toThrow(/a count of 2147483647/)
  })
})

describe('an assignment', () => {
  test('comes back as it was written', () => {
    const assignment = { partitions: [{ topic: 'x', partition: 3 }], userData: null }
    expect(decodeAssignment(encodeAssignment(assignment))).toEqual(assignment)
  })

  test('of no bytes gives nothing', () => {
    expect(decodeAssignment(Buffer.alloc(0)).partitions).toEqual([])
  })
})

// A second implementation of the same bytes, of a client that is in use everywhere.
describe('KafkaJS', () => {
  const { MemberMetadata, MemberAssignment } = createRequire(import.meta.url)(
    'kafkajs/src/consumer/assignerProtocol',
  )

  test('reads our subscriptions and assignments', () => {
    const ours = encodeSubscription(subscription)
    expect(MemberMetadata.decode(ours)).toMatchObject({ topics: ['a', 'b'], version: 3 })
    const assignment = encodeAssignment({
      partitions: [
        { topic: 'a', partition: 1 },
        { topic: 'b', partition: 0 },
        { topic: 'a', partition: 0 },
      ],
      userData: null,
    })
    expect(MemberAssignment.decode(assignment).assignment).toEqual({ a: [0, 1], b: [0] })
  })

  test('writes what we read', () => {
    const theirs = MemberMetadata.encode({ version: 1, topics: ['x'], userData: Buffer.from('u') })
    const withOwned = Buffer.concat([theirs, Buffer.from('00000000', 'hex')])
    expect(decodeSubscription(withOwned)).toMatchObject({ topics: ['x'], ownedPartitions: [] })
    const assignment = MemberAssignment.encode({ version: 0, assignment: { a: [2, 5] } })
    expect(decodeAssignment(assignment).partitions.map(({ partition }) => partition)).toEqual([
      2, 5,
    ])
  })
})
