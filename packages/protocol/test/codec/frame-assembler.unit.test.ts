/** Frames out of chunks, however the chunks are cut. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameAssembler } from '../../src/codec/frame-assembler.ts'

const MAX = 1_000_000

const framed = (payload: Buffer): Buffer => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(payload.length, 0)
  return Buffer.concat([size, payload])
}

/** All frames of a stream that comes in these chunks. */
function assemble(chunks: readonly Buffer[], assembler = new FrameAssembler(MAX)): Buffer[] {
  const frames: Buffer[] = []
  for (const chunk of chunks) {
    assembler.push(chunk)
    for (let frame = assembler.next(); frame !== undefined; frame = assembler.next()) {
      frames.push(frame)
    }
  }
  return frames
}

test('every cut of every stream gives the same frames', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 })
  const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 20 })
  fc.assert(
    fc.property(payloads, cuts, (given, at) => {
      const frames = given.map(bytes => Buffer.from(bytes))
      const stream = Buffer.concat(frames.map(framed))
      const ends = [...at.map(cut => Math.min(cut, stream.length)), stream.length]
      ends.sort((a, b) => a - b)
      const chunks = ends.map((end, index) => stream.subarray(ends[index - 1] ?? 0, end))
      const assembler = new FrameAssembler(MAX)
      expect(assemble(chunks, assembler)).toEqual(frames)
      expect(assembler.midFrame).toBe(false)
    }),
  )
})

test('a frame that lies whole in its chunk is not copied', () => {
  const chunk = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))])
  for (const frame of assemble([chunk])) expect(frame.buffer).toBe(chunk.buffer)
})

test('a large frame in many chunks comes whole, and its room grows with what has come', () => {
  const payload = Buffer.from(Array.from({ length: 700_000 }, (_, index) => index & 0xff))
  const stream = framed(payload)
  const chunks = Array.from({ length: Math.ceil(stream.length / 1_000) }, (_, index) =>
    stream.subarray(index * 1_000, (index + 1) * 1_000),
  )
  expect(assemble(chunks)[0]?.equals(payload)).toBe(true)
})

test('the largest size is taken, one more and one less than zero are not', () => {
  const sized = (size: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(size, 0)
    return bytes
  }
  for (const size of [0, 1, MAX]) expect(() => assemble([sized(size)])).not.toThrow()
  for (const size of [MAX + 1, 0x7fff_ffff, -1, -0x8000_0000]) {
    expect(() => assemble([sized(size)])).toThrow(/larger than this side accepts/)
    // Also when the size itself comes in pieces.
    const bytes = sized(size)
    expect(() => assemble([bytes.subarray(0, 1), bytes.subarray(1)])).toThrow(/larger/)
  }
})
