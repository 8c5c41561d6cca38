/**
 * The closed list of what can go wrong in an application's runtime.
 *
 * A rejection is not among them: it is an answer of the application, typed. What the store or the
 * log report (`StoreError`, `LogError`) passes through as it is; `retriable` and `operator` are
 * read the same way on all three.
 */
import { type ErrorSpec, ListedError } from '@millrace/base'

export const MODEL_ERRORS = {
  BAD_ARGUMENT: {
    retriable: false,
    message: 'an argument is outside its bounds',
    operator: 'The message names the field and the bound; correct the call.',
  },
  BAD_DEFINITION: {
    retriable: false,
    message: 'the definitions of the application contradict each other',
    operator: 'The message names the definition; correct it.',
  },
  UNKNOWN_AGGREGATE: {
    retriable: false,
    message: 'the application has no such aggregate',
    operator: 'Name the aggregate when the application is started.',
  },
  UNKNOWN_COMMAND: {
    retriable: false,
    message: 'the aggregate has no such command',
    operator: 'Correct the name, or deploy the version that has it.',
  },
  INVALID_COMMAND: {
    retriable: false,
    message: 'the data of a command does not pass its schema',
    operator: 'The message names the path; correct the data.',
  },
  INVALID_EVENT: {
    retriable: false,
    message: 'a decision made an event that does not pass its schema',
    operator: 'The message names the path; correct decide or the schema.',
  },
  DECIDE_FAILED: {
    retriable: false,
    message: 'the decision on a command threw',
    operator: 'The cause says why; correct decide. Nothing was appended.',
  },
  EVOLVE_FAILED: {
    retriable: false,
    message: 'the state of a stream could not be made of its events',
    operator: 'The cause says why; correct evolve. The stream takes no commands until then.',
  },
  CONFLICTS_EXCEEDED: {
    retriable: true,
    message: 'a command kept losing to other writers of its stream',
    operator:
      'Repeat it; if it happens often, split the aggregate or send its commands to one node.',
  },
  OVERLOADED: {
    retriable: true,
    message: 'more work is waiting than the application holds',
    operator: 'Wait; if it lasts, the message names the setting.',
  },
  RETRIES_EXHAUSTED: {
    retriable: true,
    message: 'every attempt failed',
    operator: 'The cause is the last failure; repeat when it is mended.',
  },
  CIRCUIT_OPEN: {
    retriable: true,
    message: 'not tried, because too many attempts in a row had failed',
    operator: 'It is probed and closes by itself; look at what it calls.',
  },
  HANDLER_FAILED: {
    retriable: true,
    message: 'a handler of a projection, saga or subscription threw',
    operator:
      'The cause says why; the stream is parked after the last attempt and can be redriven.',
  },
  EFFECT_FAILED: {
    retriable: true,
    message: 'an effect failed',
    operator: 'The cause says why; it is parked after the last attempt and can be redriven.',
  },
  PARKED_EXCEEDED: {
    retriable: false,
    message: 'more streams are parked than the processor may pass over',
    operator: 'The handler is broken: correct it, redrive, and start the processor again.',
  },
  CHECKPOINT_MOVED: {
    retriable: true,
    message: 'another instance has moved the checkpoint',
    operator: 'One instance a processor and bucket goes on; this one starts again from there.',
  },
  SWITCH_REFUSED: {
    retriable: false,
    message: 'a new version of a projection may not take over while it has parked streams',
    operator: 'Redrive them, or let the switch pass over them explicitly.',
  },
  SQL_FAILED: {
    retriable: true,
    message: 'the database of the read models failed',
    operator: 'The cause says why; processors go on by themselves when it answers again.',
  },
  PROCESSOR_STOPPED: {
    retriable: false,
    message: 'the processor is stopped',
    operator: 'Its status says why; start it again.',
  },
  UNKNOWN_PROCESSOR: {
    retriable: false,
    message: 'the application has no such processor',
    operator: 'Correct the name.',
  },
  APPLICATION_CLOSED: {
    retriable: false,
    message: 'the application is closed',
    operator: 'Start it again.',
  },
} as const

MODEL_ERRORS satisfies Record<string, ErrorSpec>

/** A code of {@link MODEL_ERRORS}. */
export type ModelErrorCode = keyof typeof MODEL_ERRORS

/** What the runtime throws. The message says what happened and where; `operator` what to do. */
export class ModelError extends ListedError<ModelErrorCode> {
  override readonly name = 'ModelError'

  constructor(code: ModelErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, MODEL_ERRORS[code], detail ?? MODEL_ERRORS[code].message, options)
  }
}

/** Whether a failure says of itself that repeating cannot help (`retriable: false`). */
export function isFinal(error: unknown): boolean {
  return error instanceof Error && 'retriable' in error && error.retriable === false
}

/** Most characters of a reason: it is recorded, shown and sent. */
export const REASON_LENGTH_MAX = 2000

/** What was thrown, as a text that can be recorded whatever it was: bounded, well-formed. */
export function reasonOf(error: unknown): string {
  let text: string
  try {
    text = textOf(error)
  } catch {
    text = 'what was thrown cannot be shown'
  }
  const cut = text.length > REASON_LENGTH_MAX ? `${text.slice(0, REASON_LENGTH_MAX - 1)}…` : text
  // PostgreSQL takes no zeros in a text.
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

/** Any of it may throw: what user code throws may have getters, or be no more than an object. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? `${String(error.code)}: ${String(error.message)}` : String(error.message)
}
