// Headers as a block: written through it they are what the ordinary writer writes, and read back.
import { decodeBatches, encodeBatch, HeaderReader, HeaderWriter, headerName } from '@millrace/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const header = fc.record({
  key: fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
  value: fc.string({ unit: 'grapheme', maxLength: 300 }),
})

function blockOf(headers: readonly { key: string; value: string }[]): HeaderWriter {
  const writer = new HeaderWriter()
  for (const { key, value } of headers) writer.text(headerName(key), value)
  return writer
}

describe('a header block', () => {
  it('makes the same batch as the headers one by one', () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 8 }), headers => {
        const one = encodeBatch({ records: [{ key: 'k', value: 'v', headers }] })
        const other = encodeBatch({
          records: [{ key: 'k', value: 'v', headers: blockOf(headers) }],
        })
        expect(other.equals(one)).toBe(true)
      }),
    )
  })

  it('is read back header by header', () => {
    fc.assert(
      fc.property(fc.array(header, { maxLength: 8 }), headers => {
        const block = blockOf(headers)
        const reader = new HeaderReader(block.bytes, 0, block.count)
        const read: { key: string; value: string }[] = []
        while (reader.advance()) read.push({ key: reader.name, value: reader.text })
        expect(read).toEqual(headers)
      }),
    )
  })

  it('takes prepared parts and begins anew after a reset', () => {
    const writer = new HeaderWriter()
    writer.text(headerName('gone'), 'x')
    writer.reset()
    writer.block(
      blockOf([
        { key: 'a', value: '1' },
        { key: 'b', value: '2' },
      ]).copy(),
    )
    writer.text(headerName('c'), '3')
    const [batch] = decodeBatches(encodeBatch({ records: [{ value: null, headers: writer }] }))
    const [record] = batch?.records() ?? []
    expect(record?.headers.map(h => `${h.key}=${h.value}`)).toEqual(['a=1', 'b=2', 'c=3'])
  })
})
