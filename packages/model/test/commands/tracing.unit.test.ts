// Spans around commands, and the trace that goes with events, seen by a recorder in place of an SDK.
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  type SpanStatus,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CommandRunner } from '../../src/commands/command-runner.ts'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { carrierOf, spanContextOf, traced } from '../../src/tracing/tracing.ts'
import { MemoryStore } from './memory-store.ts'

type Recorded = {
  name: string
  parent: SpanContext | undefined
  self: SpanContext
  attributes: Attributes
  links: readonly Link[]
  status: SpanStatus | undefined
  ended: boolean
}

const spans: Recorded[] = []

const tracer = {
  startSpan(name: string, options: SpanOptions = {}, from: Context = ROOT_CONTEXT): Span {
    const parent = trace.getSpanContext(from)
    const self: SpanContext = {
      traceId: parent?.traceId ?? `${spans.length + 1}`.padStart(32, 'a'),
      spanId: `${spans.length + 1}`.padStart(16, 'b'),
      traceFlags: 1,
    }
    const span: Recorded = {
      name,
      parent,
      self,
      attributes: { ...options.attributes },
      links: options.links ?? [],
      status: undefined,
      ended: false,
    }
    spans.push(span)
    return {
      spanContext: () => self,
      setAttribute: (key: string, value: string) => {
        span.attributes[key] = value
      },
      setStatus: (status: SpanStatus) => {
        span.status = status
      },
      recordException: () => {},
      end: () => {
        span.ended = true
      },
    } as unknown as Span
  },
} as unknown as Tracer

const storage = new AsyncLocalStorage<Context>()
const register = () => {
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, fn, self, ...args) => storage.run(active, () => fn.apply(self, args)),
    bind: (_context, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  })
}
const unregister = () => {
  trace.disable()
  context.disable()
}

const light = aggregate('light', {
  events: { Switched: type<{ on: boolean }>() },
  initial: () => ({ on: false }),
  evolve: { Switched: (_, { on }) => ({ on }) },
  commands: { press: type<void>(), dim: type<void>(), burst: type<void>() },
  decide: {
    press: (_, { on }, { Switched }) => Switched({ on: !on }),
    dim: () => reject('no dimmer'),
    burst: () => {
      throw new Error('glass')
    },
  },
})

const scene = () => {
  const store = new MemoryStore()
  const runner = new CommandRunner({ store: store.port, aggregates: [light] })
  const run = (command: string, metadata: Record<string, string> = {}) =>
    runner.run({ tenant: '', aggregate: 'light', id: 'hall', command, data: undefined, metadata })
  const metadata = () => store.stream({ category: 'light', id: 'hall' }).events.at(-1)?.metadata
  return { run, metadata }
}

beforeEach(() => {
  spans.length = 0
})
afterEach(unregister)

describe('without an SDK', () => {
  test('nothing is written into events', async () => {
    const { run, metadata } = scene()
    await run('press')
    expect(metadata()).toEqual({})
    expect(spans).toEqual([])
  })

  test('no attribute is made', async () => {
    const attributes = () => {
      throw new Error('not needed')
    }
    expect(await traced({ name: 'x', attributes }, async span => span)).toBeUndefined()
  })
})

describe('with an SDK', () => {
  beforeEach(register)

  test('a command is a span that says what came of it', async () => {
    const { run } = scene()
    await run('press')
    await run('dim')
    await run('burst').catch(() => {})
    expect(spans.map(span => [span.name, span.status?.code, span.ended])).toEqual([
      ['light.press', undefined, true],
      ['light.dim', undefined, true],
      ['light.burst', 2, true],
    ])
    expect(spans[0]?.attributes).toMatchObject({
      'millrace.aggregate': 'light',
      'millrace.command': 'press',
      'millrace.stream': 'hall',
      'millrace.outcome': 'accepted',
      'millrace.stream.version': 1,
    })
    expect(spans[0]?.attributes['millrace.correlation.id']).toMatch(/^[\w-]{22}$/)
    expect(spans[1]?.attributes).toMatchObject({ 'millrace.outcome': 'rejected' })
    expect(spans[2]?.status?.message).toBe('DECIDE_FAILED: light.burst: glass')
  })

  test('events carry the span on, and what follows is in its trace', async () => {
    const { run, metadata } = scene()
    await run('press')
    const carried = metadata()
    expect(carried).toEqual({
      traceparent: `00-${spans[0]?.self.traceId}-${spans[0]?.self.spanId}-01`,
    })
    await run('press', { ...carried, channel: 'saga' })
    expect(spans[1]?.parent).toMatchObject({ ...spans[0]?.self, isRemote: true })
    expect(spans[1]?.self.traceId).toBe(spans[0]?.self.traceId)
    expect(metadata()?.['channel']).toBe('saga')
    expect(metadata()?.['traceparent']).toContain(spans[1]?.self.spanId)
  })

  test('within an active span, that is the parent, and the cause a link', async () => {
    const { run } = scene()
    const cause = { traceparent: `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01` }
    await traced({ name: 'request', attributes: () => ({}) }, () => run('press', cause))
    expect(spans[1]?.parent).toEqual(spans[0]?.self)
    expect(spans[1]?.links).toMatchObject([{ context: { traceId: 'c'.repeat(32) } }])
  })

  test('a batch links its first events, not all of a thousand', async () => {
    const of = Array.from({ length: 1000 }, () => ({
      traceparent: `00-${'c'.repeat(32)}-${'d'.repeat(16)}-00`,
    }))
    await traced({ name: 'batch', of, attributes: () => ({}) }, async () => {})
    expect(spans[0]?.links).toHaveLength(32)
  })
})

test('what is no trace is none', () => {
  const zero = '0'.repeat(32)
  const bad = [
    '',
    'x',
    `00-${zero}-${'d'.repeat(16)}-01`,
    `00-${'c'.repeat(31)}-${'d'.repeat(16)}-01`,
    `00-${'C'.repeat(32)}-${'d'.repeat(16)}-01`,
  ]
  for (const traceparent of bad) expect(spanContextOf({ traceparent }), traceparent).toBeUndefined()
  expect(spanContextOf(undefined)).toBeUndefined()
  expect(carrierOf(undefined)).toBeUndefined()
  const state = { traceparent: `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`, tracestate: 'a=1' }
  expect(spanContextOf(state)?.traceState?.get('a')).toBe('1')
})
