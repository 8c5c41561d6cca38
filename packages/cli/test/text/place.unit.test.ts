import { describe, expect, test } from 'vitest'
import { parsePlace, parseSpan } from '../../src/text/place.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const time = (iso: string) => ({ kind: 'time', timestamp: Date.parse(iso) })

describe('a place', () => {
  test.each([
    ['earliest', { kind: 'earliest' }],
    ['latest', { kind: 'latest' }],
    ['0', { kind: 'offset', offset: 0 }],
    ['9007199254740991', { kind: 'offset', offset: Number.MAX_SAFE_INTEGER }],
    ['@1700000000000', { kind: 'time', timestamp: 1_700_000_000_000 }],
    ['-1h', time('2026-03-01T11:00:00Z')],
    ['-1h30m', time('2026-03-01T10:30:00Z')],
    ['-7d', time('2026-02-22T12:00:00Z')],
    ['2026-01-31', time('2026-01-31T00:00:00Z')],
    ['2026-01-31T12:30', time('2026-01-31T12:30:00Z')],
    ['2026-01-31 12:30:15', time('2026-01-31T12:30:15Z')],
    ['2026-01-31T12:30:15.250+02:00', time('2026-01-31T10:30:15.250Z')],
  ])('%s is understood', (text, place) => {
    expect(parsePlace(text, NOW)).toEqual(place)
  })

  test.each([
    '',
    'first',
    '-',
    '-1',
    '-1x',
    '1.5',
    '2026-13-01',
    '2026-01-31T25:00',
    '9007199254740993',
    '12:30',
  ])('"%s" is refused with what is allowed', text => {
    expect(() => parsePlace(text, NOW)).toThrow(RangeError)
  })
})

describe('a span', () => {
  test.each([
    ['500ms', 500],
    ['1.5s', 1_500],
    ['2w', 1_209_600_000],
    ['1h30m', 5_400_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseSpan(text)).toBe(ms)
  })

  test.each(['', '5', 'h', '1h 30m', '1y', '1hour'])('"%s" is refused', text => {
    expect(() => parseSpan(text)).toThrow(RangeError)
  })
})
