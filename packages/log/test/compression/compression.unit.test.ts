import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressSync as rawSnappy } from 'snappy'
import { describe, expect, it } from 'vitest'
import {
  COMPRESSIONS,
  type Compression,
  compress,
  compressionNamed,
  decompress,
  decompressionError,
} from '../../src/compression/compression.ts'
import { load } from '../../src/compression/libraries.ts'
import { LogError } from '../../src/errors.ts'

const CODECS = COMPRESSIONS.filter(codec => codec !== 'none')
const CORRUPTIONS = Number(process.env['CORRUPTIONS'] ?? 2_000)

/** A small generator of repeatable randomness (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

function sample(bytes: number, seed: number, alphabet: number): Buffer {
  const random = randomFrom(seed)
  const data = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i++) data[i] = Math.floor(random() * alphabet)
  return data
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'no error'
  } catch (error) {
    if (error instanceof LogError) return error.code
    throw error
  }
}

describe.each(CODECS)('%s', codec => {
  it.each([0, 1, 100, 32_767, 32_768, 32_769, 65_536, 300_000, 5_000_000])(
    'gives %d bytes back as they were',
    bytes => {
      for (const alphabet of [1, 4, 256]) {
        const data = sample(bytes, bytes + alphabet, alphabet)
        const back = decompress(codec, compress(codec, data))
        expect(back.equals(data)).toBe(true)
      }
    },
  )

  it('gives exactly the bound, and refuses one byte more', () => {
    for (const alphabet of [1, 256]) {
      const data = sample(100_000, 7, alphabet)
      const packed = compress(codec, data)
      expect(decompress(codec, packed, 100_000).length).toBe(100_000)
      expect(codeOf(() => decompress(codec, packed, 99_999))).toBe('MESSAGE_TOO_LARGE')
      expect(codeOf(() => decompress(codec, packed, 0))).toBe('MESSAGE_TOO_LARGE')
    }
  })

  it('refuses every truncation', () => {
    const packed = compress(codec, sample(200, 3, 8))
    for (let length = 0; length < packed.length; length++) {
      const cut = packed.subarray(0, length)
      // Cut between header and first block, snappy framing holds nothing: that is whole.
      if (codec === 'snappy' && length === 16) continue
      expect([length, codeOf(() => decompress(codec, cut))]).toEqual([length, 'CORRUPT_MESSAGE'])
    }
  })

  it('answers every corruption with its bytes or an error of the closed list', () => {
    const seed = Number(process.env['SEED'] ?? 20261121)
    const random = randomFrom(seed)
    const originals = [sample(500, 1, 4), sample(3_000, 2, 256), sample(70_000, 3, 16)]
    const packed = originals.map(data => compress(codec, data))
    for (let run = 0; run < CORRUPTIONS; run++) {
      const victim = Buffer.from(packed[run % 3] ?? Buffer.alloc(0))
      const flips = 1 + Math.floor(random() * 4)
      for (let i = 0; i < flips; i++) {
        // Half of the damage goes to the first 24 bytes, where the headers are.
        const range = random() < 0.5 ? Math.min(24, victim.length) : victim.length
        victim[Math.floor(random() * range)] = Math.floor(random() * 256)
      }
      const cut = random() < 0.2 ? Math.floor(random() * victim.length) : victim.length
      const code = codeOf(() => decompress(codec, victim.subarray(0, cut), 1_000_000))
      expect(
        ['no error', 'CORRUPT_MESSAGE', 'MESSAGE_TOO_LARGE'],
        `run ${run}; again: SEED=${seed} npx vitest run --project unit compression`,
      ).toContain(code)
    }
    // And the library still works.
    for (const [i, data] of originals.entries()) {
      expect(decompress(codec, packed[i] ?? Buffer.alloc(0)).equals(data)).toBe(true)
    }
  })
})

describe('formats', () => {
  it('writes snappy as snappy-java frames it, in blocks of 32 KiB', () => {
    const packed = compress('snappy', sample(40_000, 1, 256))
    expect(packed.subarray(0, 16).toString('hex')).toBe('82534e41505059000000000100000001')
    const first = packed.readInt32BE(16)
    const second = packed.readInt32BE(20 + first)
    expect(20 + first + 4 + second).toBe(packed.length)
  })

  it('reads raw snappy, and framed streams one behind the other', () => {
    const data = sample(50_000, 9, 16)
    expect(decompress('snappy', rawSnappy(data)).equals(data)).toBe(true)
    const twice = Buffer.concat([compress('snappy', data), compress('snappy', data)])
    expect(decompress('snappy', twice).equals(Buffer.concat([data, data]))).toBe(true)
  })

  it('refuses a snappy block that claims a gigabyte before taking memory for it', () => {
    const claim = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04, 0, 0, 0])
    expect(codeOf(() => decompress('snappy', claim, 2 ** 31))).toBe('CORRUPT_MESSAGE')
  })

  it('writes LZ4 frames with independent blocks and a checksum in the header', () => {
    const packed = compress('lz4', Buffer.from('abc'))
    expect(packed.toString('hex')).toBe('04224d186040820300008061626300000000')
  })

  it('reads an LZ4 frame that states its content size, and holds the bound by it', () => {
    const framed = Buffer.from('04224d1868400b00000000000000b90b000080', 'hex')
    const whole = Buffer.concat([framed, Buffer.from('hello world'), Buffer.alloc(4)])
    expect(codeOf(() => decompress('lz4', whole, 10))).toBe('MESSAGE_TOO_LARGE')
  })

  it('refuses a second LZ4 frame, a cut end mark, and a frame with a dictionary', () => {
    const packed = compress('lz4', sample(1_000, 1, 8))
    const twice = Buffer.concat([packed, packed])
    expect(codeOf(() => decompress('lz4', twice))).toBe('CORRUPT_MESSAGE')
    const withDictionary = Buffer.from(packed)
    withDictionary[4] = 0x61
    expect(codeOf(() => decompress('lz4', withDictionary))).toBe('CORRUPT_MESSAGE')
  })

  it('reads several zstd frames in a row, and skips skippable ones', () => {
    const [a, b] = [sample(300_000, 1, 16), sample(10, 2, 256)]
    const skippable = Buffer.from('502a4d180300000001020304', 'hex').subarray(0, 11)
    const joined = Buffer.concat([zstdCompressSync(a), skippable, zstdCompressSync(b)])
    expect(decompress('zstd', joined).equals(Buffer.concat([a, b]))).toBe(true)
    expect(codeOf(() => decompress('zstd', joined, 300_009))).toBe('MESSAGE_TOO_LARGE')
  })

  it('reads several gzip members in a row', () => {
    const joined = Buffer.concat([gzipSync('one'), gzipSync('two')])
    expect(decompress('gzip', joined).toString()).toBe('onetwo')
  })

  it('takes a level where the codec has one', () => {
    const words = [...sample(20_000, 5, 200)].map(n => `word${n * n}`)
    const data = Buffer.from(words.join(' '))
    for (const [codec, low, high] of [
      ['gzip', 1, 9],
      ['zstd', 1, 19],
    ] as [Compression, number, number][]) {
      expect(compress(codec, data, high).length).toBeLessThan(compress(codec, data, low).length)
    }
  })

  it('names the codecs by their numbers, and knows no others', () => {
    expect([0, 1, 2, 3, 4].map(compressionNamed)).toEqual(COMPRESSIONS)
    expect(codeOf(() => compressionNamed(5))).toBe('UNSUPPORTED_COMPRESSION_TYPE')
  })

  it('passes uncompressed bytes through, within the bound', () => {
    const data = Buffer.from('abc')
    expect(compress('none', data)).toBe(data)
    expect(decompress('none', data, 3)).toBe(data)
    expect(codeOf(() => decompress('none', data, 2))).toBe('MESSAGE_TOO_LARGE')
  })
})

describe('what says nothing of the bytes is not told as their damage', () => {
  it('a library that cannot be loaded', () => {
    const missing = (): never => {
      throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' })
    }
    expect(codeOf(() => load('snappy', missing))).toBe('UNKNOWN_SERVER_ERROR')
    const thrown = new LogError('UNKNOWN_SERVER_ERROR', 'the library snappy cannot be loaded')
    expect(decompressionError('snappy', 100, thrown)).toBe(thrown)
  })

  it.each([
    new RangeError('Array buffer allocation failed'),
    Object.assign(new Error('no memory'), { code: 'ERR_MEMORY_ALLOCATION_FAILED' }),
    Object.assign(new Error('insufficient memory'), { code: 'Z_MEM_ERROR' }),
    Object.assign(new Error('not enough memory'), { code: 'ZSTD_error_memory_allocation' }),
  ])('memory that is lacking: $message', thrown => {
    const error = decompressionError('zstd', 100, thrown)
    expect(error.code).toBe('KAFKA_STORAGE_ERROR')
    expect(error.retriable).toBe(true)
  })
})
