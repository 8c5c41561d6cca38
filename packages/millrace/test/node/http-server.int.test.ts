import { request } from 'node:http'
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
    hosts: ['node.example'],
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

  test('lets nobody shut a probe out with connections that send nothing, or slowly', async () => {
    const url = new URL(await started({ ready: true }, 4))
    const slow = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const socket = connect(Number(url.port), '127.0.0.1')
        socket.on('error', () => undefined)
        await new Promise(resolve => socket.once('connect', resolve))
        if (i % 2 === 0) socket.write('GET /healthz HTTP/1.1\r\nHo')
        return socket
      }),
    )
    expect((await fetch(`${url.origin}/healthz`)).status).toBe(200)
    expect((await fetch(`${url.origin}/readyz`)).status).toBe(200)
    for (const socket of slow) socket.destroy()
  })

  test('closes a connection whose request does not arrive in time', async () => {
    const url = new URL(await started({ ready: true }))
    const socket = connect(Number(url.port), '127.0.0.1')
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => undefined)
    socket.write('GET /healthz HTTP/1.1\r\nHo')
    socket.resume()
    await closed
  })

  test.each(['/healthz', '/readyz', '/metrics'])(
    'answers %s to who asks by address, localhost or a name of its own, and to no other',
    async path => {
      const { port } = new URL(await started({ ready: true }))
      const statusFor = (host: string): Promise<number> =>
        new Promise((resolve, reject) => {
          const asked = request({ host: '127.0.0.1', port, path, headers: { host } }, response => {
            response.resume()
            resolve(response.statusCode ?? 0)
          })
          asked.on('error', reject)
          asked.end()
        })
      for (const own of [`127.0.0.1:${port}`, 'localhost', '[::1]:80', 'Node.Example:9']) {
        expect(await statusFor(own), own).toBe(200)
      }
      for (const foreign of ['evil.example', `localhost.evil.example:${port}`, '127.0.0.1.a.b']) {
        expect(await statusFor(foreign), foreign).toBe(421)
      }
    },
  )
})

describe('readiness', () => {
  test('is lost when the disk is full, and lists damaged partitions without being lost', () => {
    expect(readinessOf({ ...health, diskFull: true, clockHeldBackMs: 0 })).toMatchObject({
      ready: false,
    })
    const partitions = [
      { topic: 't', partition: 0, state: 'quarantined', reason: 'bad checksum' } as const,
    ]
    expect(readinessOf({ ...health, partitions })).toEqual({ ready: true, detail: { partitions } })
  })
})
