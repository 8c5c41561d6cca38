/**
 * Spans through the OpenTelemetry API, and the trace that goes with events.
 *
 * Where no SDK is registered, nothing is made and nothing is written. The trace travels in the
 * metadata of commands and events as the W3C's `traceparent` and `tracestate`, whatever propagator
 * the program has configured for its own calls; so projections, sagas and effects continue the trace
 * of the command that their event came from, in other processes and after restarts too.
 */
import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  isSpanContextValid,
  type Link,
  ProxyTracerProvider,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { reasonOf } from '../errors.ts'

const TRACER_NAME = '@millrace/model'

/** Metadata of a command or an event, as far as it tells of a trace. */
export type TraceCarrier = Readonly<Record<string, string>> | undefined

/** What a span is made of. */
export type SpanInput = {
  readonly name: string
  readonly kind?: 'internal' | 'consumer' | 'producer'
  /** What caused it: the parent where no span is active, else a link. */
  readonly from?: TraceCarrier
  /** What it works on, when that is more than one thing: links. */
  readonly of?: readonly TraceCarrier[]
  readonly attributes: () => Attributes
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  consumer: SpanKind.CONSUMER,
  producer: SpanKind.PRODUCER,
} as const

/** Links of one span; a batch of a thousand events names the first ones. */
const LINKS_MAX = 32

/**
 * Runs `work` within a span; without an SDK it just runs it. The span is ended with what `work`
 * throws, if it does.
 */
export function traced<T>(
  input: SpanInput,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const tracer = registeredTracer()
  return tracer === undefined ? work(undefined) : tracedBy(tracer, input, work)
}

async function tracedBy<T>(
  tracer: Tracer,
  input: SpanInput,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const active = context.active()
  const remote = spanContextOf(input.from)
  const isRoot = trace.getSpan(active) === undefined
  const parent: Context =
    isRoot && remote !== undefined ? trace.setSpanContext(active, remote) : active
  const links: Link[] = isRoot || remote === undefined ? [] : [{ context: remote }]
  for (const carrier of input.of?.slice(0, LINKS_MAX) ?? []) {
    const linked = spanContextOf(carrier)
    if (linked !== undefined) links.push({ context: linked })
  }
  const span = tracer.startSpan(
    input.name,
    { kind: KINDS[input.kind ?? 'internal'], attributes: input.attributes(), links },
    parent,
  )
  try {
    return await context.with(trace.setSpan(parent, span), () => work(span))
  } catch (error) {
    span.recordException(error instanceof Error ? error : String(error))
    span.setStatus({ code: SpanStatusCode.ERROR, message: reasonOf(error) })
    throw error
  } finally {
    span.end()
  }
}

/** The tracer of the SDK that is registered now; undefined without one. */
function registeredTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider()
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer(TRACER_NAME)
    : provider.getTracer(TRACER_NAME)
}

/** What metadata must carry so that others continue the span's trace. */
export function carrierOf(span: Span | undefined): Readonly<Record<string, string>> | undefined {
  const spanContext = span?.spanContext()
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return undefined
  const flags = spanContext.traceFlags.toString(16).padStart(2, '0')
  const traceparent = `00-${spanContext.traceId}-${spanContext.spanId}-${flags}`
  const tracestate = spanContext.traceState?.serialize()
  return tracestate ? { traceparent, tracestate } : { traceparent }
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/

/** The span that metadata tells of; undefined where it tells of none or of nonsense. */
export function spanContextOf(carrier: TraceCarrier): SpanContext | undefined {
  const match = TRACEPARENT.exec(carrier?.['traceparent'] ?? '')
  const [, traceId, spanId, flags] = match ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  const tracestate = carrier?.['tracestate']
  const spanContext: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  }
  return isSpanContextValid(spanContext) ? spanContext : undefined
}
