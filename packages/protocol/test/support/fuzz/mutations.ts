/**
 * Ways to spoil the bytes of a frame, each as real networks, bugs or attackers do.
 *
 * A mutation gets whole frames with their size in front. Those that change the length either leave
 * the size as it was, so that the frame lies, or put it right, so that the lie is further in.
 */
import type { Random } from './random.ts'

/** A mutation: returns new bytes, or changes those that it was given. */
export type Mutation = {
  readonly label: string
  readonly apply: (random: Random, frame: Buffer) => Buffer
}

const SIZE_BYTES = 4
const API_KEY_AT = 4
const API_VERSION_AT = 6
const HEADER_END = 14

const HUGE = [0x7fff_ffff, -0x8000_0000, -2, 1_000_001, 0x00ff_ffff, 104_857_601] as const
const ENDLESS_VARINT: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
const HUGE_UVARINT: Buffer = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])

function resized(frame: Buffer): Buffer {
  if (frame.length >= SIZE_BYTES) frame.writeInt32BE(frame.length - SIZE_BYTES, 0)
  return frame
}

function spliced(frame: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([frame.subarray(0, at), insert, frame.subarray(at + remove)])
}

/** A position behind the size. */
function inside(random: Random, frame: Buffer): number {
  return SIZE_BYTES + random.below(Math.max(1, frame.length - SIZE_BYTES))
}

function overwrite(frame: Buffer, at: number, bytes: Buffer): Buffer {
  bytes.copy(frame, at)
  return frame
}

/** All mutations of frames. */
export const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  { label: 'whole', apply: (_, frame) => frame },
  {
    label: 'flipped bits',
    apply: (random, frame) => {
      for (let count = 1 + random.below(8); count > 0; count -= 1) {
        const at = inside(random, frame)
        frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8))
      }
      return frame
    },
  },
  {
    label: 'cut, size kept',
    apply: (random, frame) => frame.subarray(0, random.below(frame.length)),
  },
  {
    label: 'cut, size right',
    apply: (random, frame) => resized(frame.subarray(0, inside(random, frame))),
  },
  {
    label: 'size lies',
    apply: (random, frame) => {
      const size = frame.length - SIZE_BYTES
      frame.writeInt32BE(random.pick([0, -1, 1, 7, size - 1, size + 1, ...HUGE]), 0)
      return frame
    },
  },
  {
    label: 'count lies',
    apply: (random, frame) => {
      const at = inside(random, frame)
      if (at + 4 <= frame.length) frame.writeInt32BE(random.pick(HUGE), at)
      return frame
    },
  },
  {
    label: 'compact count lies',
    apply: (random, frame) =>
      overwrite(frame, inside(random, frame), random.pick([HUGE_UVARINT, ENDLESS_VARINT])),
  },
  {
    label: 'bytes inserted',
    apply: (random, frame) =>
      resized(spliced(frame, inside(random, frame), 0, random.bytes(1 + random.below(9)))),
  },
  {
    label: 'bytes removed',
    apply: (random, frame) =>
      resized(spliced(frame, inside(random, frame), 1 + random.below(9), Buffer.alloc(0))),
  },
  {
    label: 'part repeated',
    apply: (random, frame) => {
      const at = inside(random, frame)
      const part = frame.subarray(at, at + 1 + random.below(40))
      return resized(spliced(frame, at, 0, part))
    },
  },
  {
    label: 'trailing bytes',
    apply: (random, frame) => resized(Buffer.concat([frame, random.bytes(1 + random.below(30))])),
  },
  {
    label: 'version swapped',
    apply: (random, frame) => {
      frame.writeInt16BE(random.pick([random.below(14), 99, -1, 32_767]), API_VERSION_AT)
      return frame
    },
  },
  {
    label: 'API swapped',
    apply: (random, frame) => {
      frame.writeInt16BE(random.pick([random.below(93), 93, -1, 32_767]), API_KEY_AT)
      return frame
    },
  },
  {
    label: 'header only',
    apply: (random, frame) => resized(frame.subarray(0, SIZE_BYTES + random.below(HEADER_END))),
  },
]

const HTTP: Buffer = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n')
// The record and handshake headers of a TLS 1.2 ClientHello; what follows is random.
const TLS_HELLO: Buffer = Buffer.from('16030100c2010000be0303', 'hex')

/** Bytes that were never meant for this protocol. */
export function foreignBytes(random: Random): { readonly bytes: Buffer; readonly label: string } {
  switch (random.below(6)) {
    case 0:
      return { label: 'HTTP', bytes: HTTP }
    case 1:
      return { label: 'TLS hello', bytes: Buffer.concat([TLS_HELLO, random.bytes(188)]) }
    case 2:
      return { label: 'zeros', bytes: Buffer.alloc(1 + random.below(64)) }
    case 3:
      return { label: 'nothing', bytes: Buffer.alloc(0) }
    case 4:
      return { label: 'ones', bytes: Buffer.alloc(1 + random.below(64), 0xff) }
    default:
      return { label: 'noise', bytes: random.bytes(1 + random.below(300)) }
  }
}
