import { describe, expect, test } from 'vitest'
import { LatencyHistogram } from '../../src/text/latency-histogram.ts'
import { bytes, count, counted, span } from '../../src/text/quantity.ts'
import { RecordPrinter } from '../../src/text/record-printer.ts'
import { type RecordView, recordJson } from '../../src/text/record-view.ts'
import { renderTable } from '../../src/text/table.ts'
import { compileTemplate } from '../../src/text/template.ts'

const record: RecordView = {
  topic: 'loans',
  partition: 3,
  offset: 41,
  timestamp: Date.parse('2026-01-02T03:04:05.678Z'),
  key: Buffer.from('k1'),
  value: Buffer.from('{"id":7,"who":{"name":"Ada"}}'),
  headers: [
    { key: 'trace', value: Buffer.from('first') },
    { key: 'trace', value: Buffer.from('last') },
    { key: 'none', value: null },
  ],
}

function printed(format: string, ...records: RecordView[]): Buffer {
  const chunks: Buffer[] = []
  const printer = new RecordPrinter(format, chunk => chunks.push(chunk))
  for (const each of records) printer.add(each)
  printer.flush()
  return Buffer.concat(chunks)
}

describe('a record as JSON', () => {
  test('has every field, and headers in their order', () => {
    expect(JSON.parse(recordJson(record))).toEqual({
      topic: 'loans',
      partition: 3,
      offset: 41,
      timestamp: record.timestamp,
      key: 'k1',
      value: '{"id":7,"who":{"name":"Ada"}}',
      headers: [
        { key: 'trace', value: 'first' },
        { key: 'trace', value: 'last' },
        { key: 'none', value: null },
      ],
    })
  })

  test('shows bytes that are not UTF-8 as base64, and says so', () => {
    const binary = { ...record, key: null, value: Buffer.from([0xff, 0x00]), headers: [] }
    expect(JSON.parse(recordJson(binary))).toMatchObject({ key: null, valueBase64: '/wA=' })
  })
})

describe('a template', () => {
  test('fills in every name', () => {
    const line = compileTemplate(
      '{{topic}}/{{partition}}@{{ offset }} {{timestamp}} {{time}} {{key}} {{header.trace}} {{value.who.name}} {{value.id}}',
    )(record)
    expect(line).toBe(`loans/3@41 ${record.timestamp} 2026-01-02T03:04:05.678Z k1 last Ada 7`)
  })

  test('leaves empty what is absent, and what is no JSON has no fields', () => {
    const bare = { ...record, key: null, value: Buffer.from('no json'), headers: [] }
    const line = compileTemplate('[{{key}}][{{header.x}}][{{value.id}}][{{headers}}]')(bare)
    expect(line).toBe('[][][][[]]')
  })

  test('understands escapes', () => {
    expect(compileTemplate('{{offset}}\\t{{key}}\\n\\\\')(record)).toBe('41\tk1\n\\')
  })

  test('never takes text of a record for a placeholder', () => {
    const tricky = { ...record, value: Buffer.from('{{key}} \\n $&') }
    expect(compileTemplate('{{value}}')(tricky)).toBe('{{key}} \\n $&')
  })

  test('refuses an unknown name with those that are known', () => {
    expect(() => compileTemplate('{{ofset}}')).toThrow(/\{\{ofset\}\} is not known; .*offset/)
    expect(() => compileTemplate('{{constructor}}')).toThrow(RangeError)
  })
})

describe('the record printer', () => {
  test('passes values through byte by byte, one a line', () => {
    const binary = { ...record, value: Buffer.from([0xff, 0xfe]) }
    expect(printed('value', binary, { ...record, value: null })).toEqual(
      Buffer.from([0xff, 0xfe, 0x0a, 0x0a]),
    )
  })

  test('refuses a format that is neither a name nor a template', () => {
    expect(() => printed('yaml')).toThrow(/json, value, or a template/)
  })
})

describe('a table', () => {
  test('aligns text left and numbers right, and keeps a row on one line', () => {
    const table = renderTable(
      ['name', 'lag'],
      [
        ['a\nb', 5],
        ['long name', 12_345],
      ],
    )
    expect(table).toBe('NAME          LAG\na b             5\nlong name  12,345\n')
  })
})

describe('quantities', () => {
  test('are readable', () => {
    expect(count(262_200)).toBe('262,200')
    expect(counted(1, 'record')).toBe('1 record')
    expect(bytes(500)).toBe('500 B')
    expect(bytes(1536)).toBe('1.5 KiB')
    expect([span(5), span(1_500), span(185_000), span(7_620_000)]).toEqual([
      '5 ms',
      '1.5 s',
      '3 m 05 s',
      '2 h 07 m',
    ])
  })
})

describe('the latency histogram', () => {
  test('is right to within two percent, and knows the largest value', () => {
    const histogram = new LatencyHistogram()
    for (let ms = 1; ms <= 1_000; ms += 1) histogram.add(ms)
    for (const share of [0.5, 0.95, 0.99]) {
      const exact = share * 1_000
      expect(Math.abs(histogram.percentile(share) - exact)).toBeLessThanOrEqual(exact * 0.021)
    }
    expect(histogram.percentile(1)).toBe(1_000)
    expect(new LatencyHistogram().percentile(0.99)).toBe(0)
  })
})
