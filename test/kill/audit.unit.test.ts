// The audit is the judge of the kill test, so it is held to finding what it must find.
import { describe, expect, it } from 'vitest'
import { wrongRecords } from './audit.ts'
import type { Entry } from './journal.ts'
import { readBatches, recordBatch, type Stored } from './raw-client.ts'

const stored = (...values: string[]): Stored[] => values.map((value, offset) => ({ offset, value }))
const acknowledged = (partition: number, offset: number, value: string): Entry => ({
  kind: 'record',
  partition,
  offset,
  value,
})

describe('the audit', () => {
  it('finds nothing wrong when every acknowledged record is once at its place', () => {
    const partitions = [stored('a:0:0', 'b:0:0', 'a:0:1'), stored('a:1:5')]
    const entries = [acknowledged(0, 0, 'a:0:0'), acknowledged(1, 0, 'a:1:5')]
    expect(wrongRecords(partitions, entries)).toEqual([])
  })

  it('finds an acknowledged record that is missing', () => {
    expect(wrongRecords([stored('a:0:0')], [acknowledged(0, 1, 'a:0:1')])).toEqual([
      'a:0:1 was acknowledged at 0/1; there is nothing, and it is at no place',
    ])
  })

  it('finds an acknowledged record at another place', () => {
    const found = wrongRecords([stored('b:0:0', 'a:0:0')], [acknowledged(0, 0, 'a:0:0')])
    expect(found).toEqual(['a:0:0 was acknowledged at 0/0; there is b:0:0, and it is at 0/1'])
  })

  it('finds a record that is there twice, acknowledged or not', () => {
    expect(wrongRecords([stored('a:0:0', 'a:0:0')], [])).toEqual([
      'a:0:0 is at 0/0 and again at 0/1',
    ])
  })

  it("finds a writer's records out of order", () => {
    expect(wrongRecords([stored('a:0:1', 'a:0:0')], [])).toEqual(["a:0:0 at 0/1 comes after a's 1"])
  })
})

describe("the audit's own batches", () => {
  const sequence = { producerId: 7, producerEpoch: 0, baseSequence: 0 }

  it('read back what they hold', () => {
    const values = ['one', 'x'.repeat(300), '']
    expect(readBatches(recordBatch(values, sequence)).map(each => each.value)).toEqual(values)
  })

  it('show a flipped bit', () => {
    const batch = recordBatch(['one'], sequence)
    batch.writeUInt8(batch.readUInt8(batch.length - 2) ^ 1, batch.length - 2)
    expect(() => readBatches(batch)).toThrow('wrong checksum')
  })
})
