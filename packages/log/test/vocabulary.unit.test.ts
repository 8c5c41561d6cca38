// Kinds of numbers, as the compiler sees them: each line with a mistake must be an error.
import { expect, it } from 'vitest'
import type { Offset, OffsetPlace, Timestamp } from '../src/index.ts'

it('an offset is not taken for a timestamp, and a plain number is taken for either', () => {
  const offset: Offset = 5
  const timestamp: Timestamp = 1_700_000_000_000
  // @ts-expect-error an offset is no timestamp
  const wrong: Timestamp = offset
  // @ts-expect-error a number in a query of offsets is a timestamp
  const place: OffsetPlace = offset
  // @ts-expect-error a timestamp is no offset
  const back: Offset = timestamp
  const next: Offset = offset + 1
  expect([wrong, place, back, next]).toEqual([5, 5, 1_700_000_000_000, 6])
})
