import { describe, expect, test } from 'vitest'
import { LineSplitter, LineTooLongError } from '../../src/text/line-splitter.ts'

function split(text: string, chunkBytes: number, lineBytesMax = 1_000): string[] {
  const splitter = new LineSplitter(lineBytesMax)
  const bytes = Buffer.from(text)
  const lines: Buffer[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    lines.push(...splitter.push(bytes.subarray(at, at + chunkBytes)))
  }
  const last = splitter.end()
  if (last !== null) lines.push(last)
  return lines.map(String)
}

describe('the line splitter', () => {
  test('gives the same lines however the bytes are cut into chunks', () => {
    const text = 'one\ntwo\r\n\nünïcode ☂\nlast without end'
    const whole = ['one', 'two', '', 'ünïcode ☂', 'last without end']
    for (let chunkBytes = 1; chunkBytes <= text.length + 10; chunkBytes += 1) {
      expect(split(text, chunkBytes)).toEqual(whole)
    }
  })

  test('gives no line for an empty input and no extra line after a final line end', () => {
    expect(split('', 10)).toEqual([])
    expect(split('a\n', 10)).toEqual(['a'])
  })

  test('takes a line at the limit and refuses one byte more, naming the line', () => {
    expect(split(`ok\n${'x'.repeat(8)}\n`, 3, 8)).toEqual(['ok', 'x'.repeat(8)])
    expect(() => split(`ok\n${'x'.repeat(9)}\n`, 3, 8)).toThrow(LineTooLongError)
    expect(() => split(`ok\n${'x'.repeat(9)}\n`, 100, 8)).toThrow('line 2 is longer than 8 bytes')
  })

  test('does not keep more than the limit of a line without an end', () => {
    const splitter = new LineSplitter(100)
    splitter.push(Buffer.alloc(100, 'x'))
    expect(() => splitter.push(Buffer.alloc(1, 'x'))).toThrow(LineTooLongError)
  })
})
