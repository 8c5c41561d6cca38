import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type HttpServer, type Readiness, startHttpServer } from '../../src/node/http-server.ts'
import { MetricsPage } from '../../src/node/metrics-page.ts'
import { readinessOf } from '../../src/node/readiness.ts'

let server: HttpServer | undefined

afterEach(() => server?.close())

async function started(readiness: Readiness, connectionsMax = 8): Promise<string> {
  const page = new MetricsPage({
    engine: () => ({ append_records_total: 7, partitions: 3 }),
    listener: () => ({ connections_open: 1 }),
  })
  server = await startHttpServer({
    address: { host: '127.0.0.1', port: 0 },
    connectionsMax,
    requestTimeoutMs: 1_000,
    headersBytesMax: 1_024,
    readiness: () => readiness,
    metrics: () => page.render(),
  })
  return `http://${server.address}`
}

const health = { state: 'ready', partitions: [], diskFull: false, clockHeldBackMs: 0 } as const

describe('the HTTP side', () => {
  test('says that it is alive whatever the engine does', async () => {
    const url = await started({ ready: false, reason: 'starting' })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  test('is ready with 200, and not ready with 503 and the reason', async () => {
    const ready = await started(readinessOf(health))
    expect((await fetch(`${ready}/readyz`)).status).toBe(200)
    await server?.close()
    const fenced = await started(
      readinessOf({ ...health, state: 'fenced', reason: 'a sync failed: EIO' }),
    )
    const response = await fetch(`${fenced}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({
      status: 'not ready',
      reason: 'a sync failed: EIO',
      state: 'fenced',
    })
  })

  test('gives the figures of the parts and of the process as Prometheus text', async () => {
    const response = await fetch(`${await started({ ready: true })}/metrics`)
    expect(response.headers.get('content-type')).toContain('text/plain')
    const text = await response.text()
    expect(text).toContain('# TYPE millrace_engine_append_records_total counter\n')
    expect(text).toContain('millrace_engine_append_records_total 7\n')
    expect(text).toContain('# TYPE millrace_engine_partitions gauge\n')
    expect(text).toContain('millrace_listener_connections_open 1\n')
    expect(text).toContain('process_resident_memory_bytes')
  })

  test('answers nothing else, and only GET', async () => {
    const url = await started({ ready: true })
    expect((await fetch(`${url}/other`)).status).toBe(404)
    expect((await fetch(`${url}/healthz`, { method: 'POST', body: 'x' })).status).toBe(405)
    expect((await fetch(`${url}/readyz?verbose`)).status).toBe(200)
  })

  test('refuses headers beyond its limit', async () => {
    const url = await started({ ready: true })
    const response = await fetch(`${url}/healthz`, { headers: { 'x-large': 'x'.repeat(2_000) } })
    expect(response.status).toBe(431)
  })

  test('closes a connection beyond its limit', async () => {
    const url = new URL(await started({ ready: true }, 1))
    const first = connect(Number(url.port), '127.0.0.1')
    await new Promise(resolve => first.once('connect', resolve))
    const second = connect(Number(url.port), '127.0.0.1')
    await new Promise(resolve => second.once('close', resolve))
    first.destroy()
  })
})

describe('readiness', () => {
  test('is lost when the disk is full, and lists damaged partitions without being lost', () => {
    expect(readinessOf({ ...health, diskFull: true, clockHeldBackMs: 0 })).toMatchObject({ ready: false })
    const partitions = [
      { topic: 't', partition: 0, state: 'quarantined', reason: 'bad checksum' } as const,
    ]
    expect(readinessOf({ ...health, partitions })).toEqual({ ready: true, detail: { partitions } })
  })
})
