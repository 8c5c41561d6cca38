/**
 * The work of one request, spread over as many turns of the event loop as it takes: its handling in
 * parts, and the encoding of a large answer.
 */
import type { Turns } from '@millrace/base'
import { type AnyApi, encodeResponseInSteps, type Frame } from '@millrace/protocol'
import { failureOf } from '../handlers/error-mapping.ts'
import type { AnyHandler, Call, HandlerNode } from '../handlers/handler.ts'

/** Requests of fewer bytes are handled in the turn in which they arrive. */
const LARGE_REQUEST_BYTES = 16 * 1024
/** Answers with fewer elements are encoded at once. */
const LARGE_ANSWER_ELEMENTS = 512
/** Elements written between two looks at the clock. */
const ELEMENTS_A_STEP = 32

/** A request and whoever asks. */
export type Work = {
  readonly handler: AnyHandler
  readonly request: object
  readonly call: Call
  readonly node: HandlerNode
  readonly turns: Turns
  /** Whether the connection is over: what has not begun then need not. */
  readonly isOver: () => boolean
}

/** Whether a request has to be spread: it is large, and not only for the records in it. */
export function isSpread(handler: AnyHandler, request: object, requestBytes: number): boolean {
  if (requestBytes < LARGE_REQUEST_BYTES) return false
  const { parts } = handler
  return (
    handler.isSilent === undefined || (parts !== undefined && parts.count(request) > parts.size)
  )
}

/**
 * The parts of a request, begun one after the other; resolves when all have begun, with what they will
 * answer together. A part that fails is answered as such, the others as they are. A node that stops
 * still begins all parts of what it has begun.
 *
 * @param begun told how long each part has held the loop
 */
export async function handleSpread(
  { handler, request, call, node, turns, isOver }: Work,
  begun: (work: () => unknown) => void,
): Promise<() => Promise<object>> {
  await turns.next()
  const { parts } = handler
  if (parts === undefined || parts.count(request) <= parts.size) {
    let answer: Promise<object> | undefined
    begun(() => {
      answer = started(() => handler.handle(request, call, node))
    })
    return () => answer ?? Promise.reject(new Error('it was not begun'))
  }
  let pieces: readonly object[] = []
  begun(() => {
    pieces = parts.split(request)
  })
  const answers: Promise<object>[] = []
  const isSilent = handler.isSilent?.(request) === true
  for (const piece of pieces) {
    // What the part before goes on with in promises is part of its turn.
    await drained()
    if (turns.spent()) await turns.next()
    if (isOver()) break
    begun(() => {
      const answer = started(() => handler.handle(piece, call, node))
      // A failure that nobody is told of is one of the whole.
      answers.push(isSilent ? answer : answer.catch(e => handler.failure(piece, failed(e), call)))
      // Nobody looks at it before all have begun.
      answers.at(-1)?.catch(() => undefined)
    })
  }
  return async () => {
    // All of them: as long as one is worked on, the memory of the request is in use.
    const settled = await Promise.allSettled(answers)
    const responses = settled.map(each => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    })
    return parts.join(responses, request)
  }
}

/** Resolves when all promises that can go on now have done so. */
const drained = (): Promise<void> => new Promise(resolve => process.nextTick(resolve))

/** Failures of another kind are reported where the whole request fails with them. */
function failed(error: unknown): ReturnType<typeof failureOf> {
  const failure = failureOf(error)
  if (failure.message === null) throw error
  return failure
}

/** What is thrown at once is a rejection like another, and one that is handled. */
function started(work: () => object | Promise<object>): Promise<object> {
  const answer = new Promise<object>(resolve => resolve(work()))
  answer.catch(() => undefined)
  return answer
}

/** Whether an answer is so long that encoding it at once would hold the loop. */
export function isLongAnswer(response: object): boolean {
  let elements = 0
  for (const value of Object.values(response)) {
    if (!Array.isArray(value)) continue
    elements += value.length
    for (const element of value as readonly unknown[]) {
      if (elements > LARGE_ANSWER_ELEMENTS) return true
      if (typeof element !== 'object' || element === null) break
      for (const inner of Object.values(element)) {
        if (Array.isArray(inner)) elements += innerElements(inner)
      }
    }
  }
  return elements > LARGE_ANSWER_ELEMENTS
}

/** An array within an element: what its own elements hold is taken from the first of them. */
function innerElements(inner: readonly unknown[]): number {
  const [first] = inner
  if (typeof first !== 'object' || first === null || Buffer.isBuffer(first)) return inner.length
  let within = 1
  for (const value of Object.values(first)) if (Array.isArray(value)) within += value.length
  return inner.length * within
}

/** The frame of a long answer; undefined when nobody waits for it any more. */
export async function encodeSpread(
  api: AnyApi,
  { version, correlationId }: { readonly version: number; readonly correlationId: number },
  response: object,
  turns: Turns,
  isOver: () => boolean,
): Promise<Frame | undefined> {
  const steps = encodeResponseInSteps(api, version, correlationId, response)
  for (let count = 0; ; count += 1) {
    if (count % ELEMENTS_A_STEP === 0 && turns.spent()) await turns.next()
    if (isOver()) return undefined
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
