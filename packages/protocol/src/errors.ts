/**
 * The closed list of what can go wrong between bytes and messages.
 *
 * Everything that a peer can cause by sending bytes is one of these: the listener closes that
 * connection and logs the code. `VALUE_OUT_OF_RANGE` alone is of our own making: a message handed
 * to the encoder that its grammar cannot carry.
 */
import { type ErrorSpec, ListedError } from '@millrace/base'

export const PROTOCOL_ERRORS = {
  TRUNCATED: {
    retriable: false,
    message: 'the frame ends inside a field',
    operator: 'Look at the client that sent it, and at anything between it and this node.',
  },
  TRAILING_BYTES: {
    retriable: false,
    message: 'bytes are left behind the last field of the frame',
    operator: 'The client and this node disagree about a version; report both versions.',
  },
  FRAME_TOO_LARGE: {
    retriable: false,
    message: 'the frame is larger than this side accepts, or its size is negative',
    operator: 'Raise socket.request.max.bytes, or find what speaks another protocol to this port.',
  },
  COUNT_EXCEEDS_FRAME: {
    retriable: false,
    message: 'an array or section claims more elements than the frame has room for',
    operator: 'Look at the client that sent it.',
  },
  COUNT_EXCEEDS_LIMIT: {
    retriable: false,
    message: 'a message has more array elements or tagged fields than this side accepts',
    operator: 'Ask for fewer topics or partitions in one request.',
  },
  BAD_LENGTH: {
    retriable: false,
    message: 'a length or count is negative where that has no meaning',
    operator: 'Look at the client that sent it.',
  },
  BAD_VARINT: {
    retriable: false,
    message: 'a variable-length integer does not end within 32 bits',
    operator: 'Look at the client that sent it.',
  },
  BAD_TAG: {
    retriable: false,
    message: 'tagged fields are not in ascending order, or one is not as long as it says',
    operator: 'Look at the client that sent it.',
  },
  UNEXPECTED_NULL: {
    retriable: false,
    message: 'null where the grammar has none',
    operator: 'Look at the client that sent it.',
  },
  UNKNOWN_API: {
    retriable: false,
    message: 'no such API here',
    operator: 'The client asks for something that ApiVersions does not list.',
  },
  UNSUPPORTED_VERSION: {
    retriable: false,
    message: 'this version of the API is not spoken here',
    operator: 'Upgrade the older side.',
  },
  CORRELATION_MISMATCH: {
    retriable: false,
    message: 'the answer does not belong to the oldest request in flight',
    operator: 'Report it with what runs between this client and its broker.',
  },
  VALUE_OUT_OF_RANGE: {
    retriable: false,
    message: 'a value does not fit the field that is to carry it',
    operator: 'Report it with the log lines around it.',
  },
} as const

/** One of the codes of {@link PROTOCOL_ERRORS}. */
export type ProtocolErrorCode = keyof typeof PROTOCOL_ERRORS

/** An error of the wire: a code of the closed list, whether to retry, and what the operator does. */
export class ProtocolError extends ListedError<ProtocolErrorCode> {
  override readonly name: string = 'ProtocolError'

  /** @param detail what exactly is wrong here: names the field, the value and the bound */
  constructor(code: ProtocolErrorCode, detail?: string, cause?: unknown) {
    const spec: ErrorSpec = PROTOCOL_ERRORS[code]
    const message = detail === undefined ? spec.message : `${spec.message}: ${detail}`
    super(code, spec, message, { cause })
  }
}
