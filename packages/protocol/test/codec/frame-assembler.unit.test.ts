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

test('with memory for frames, chunks may be written over at once, however the stream is cut', () => {
  const frames = [0, 1, 3, 4, 70, 5000, 70_000, 300_000].map((bytes, n) =>
    Buffer.alloc(bytes, n + 1),
  )
  const stream = Buffer.concat(
    frames.flatMap(frame => {
      const size = Buffer.alloc(4)
      size.writeInt32BE(frame.length, 0)
      return [size, frame]
    }),
  )
  for (const cut of [1, 2, 3, 5, 17, 4096, 65_536, stream.length]) {
    let lent = 0
    const assembler = new FrameAssembler(1 << 20, {
      take: bytes => {
        lent += 1
        return Buffer.alloc(bytes + 100)
      },
      give: frame => {
        lent -= 1
        frame.fill(0xee)
      },
    })
    const chunk = Buffer.alloc(cut)
    const found: Buffer[] = []
    for (let at = 0; at < stream.length; at += cut) {
      const bytes = stream.copy(chunk, 0, at, at + cut)
      assembler.push(chunk.subarray(0, bytes))
      // One frame now, the rest after the chunk has been kept and written over.
      const first = assembler.next()
      if (first !== undefined) found.push(first)
      assembler.keepRest()
      chunk.fill(0xff)
      for (let next = assembler.next(); next !== undefined; next = assembler.next())
        found.push(next)
    }
    expect(found.map(frame => frame.length)).toEqual(frames.map(frame => frame.length))
    for (const [i, frame] of found.entries()) {
      expect(frame.equals(frames[i] ?? Buffer.alloc(0)), `cut ${cut}, frame ${i}`).toBe(true)
    }
    expect(lent).toBe(frames.length)
  }
})
