/** The listener as a whole: where it says it is, what it refuses to start with, its log lines. */
import { connect, createServer } from 'node:net'
import { resolveSettings, systemOutside } from '@millrace/base'
import { metadata } from '@millrace/protocol'
import { expect, test } from 'vitest'
import { LINES_PER_SWEEP, LimitedLogger } from '../../src/listener/limited-logger.ts'
import { type ListenerOptions, startListener } from '../../src/listener/listener.ts'
import { BROKER_SETTINGS } from '../../src/settings.ts'
import { FakeEngine } from '../support/fake-engine.ts'
import { Peer, startHarness } from '../support/harness.ts'

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

const options = (given: Partial<ListenerOptions> = {}): ListenerOptions => ({
  engine: new FakeEngine().engine,
  host: '127.0.0.1',
  port: 0,
  settings: resolveSettings(BROKER_SETTINGS),
  outside: systemOutside({ keepAlive: false }),
  logger: silent,
  ...given,
})

test('clients are told the address at which they arrived, or the one that is advertised', async () => {
  const plain = await startHarness()
  const { brokers } = await (await plain.connect()).call(metadata, 9, { topics: [] })
  expect(brokers).toMatchObject([{ host: '127.0.0.1', port: plain.listener.address.port }])
  await plain.stop()

  const advertise = { host: 'broker.example', port: 19_092 }
  const listener = await startListener(options({ advertise }))
  const peer = new Peer(connect(listener.address.port, '127.0.0.1'))
  const told = await peer.call(metadata, 9, { topics: [] })
  expect(told.brokers).toMatchObject([advertise])
  peer.socket.destroy()
  await listener.close({ drainMs: 1_000 })
})

test('a largest request that does not fit into the bytes in flight is refused at the start', async () => {
  const settings = resolveSettings(BROKER_SETTINGS, {
    'socket.request.max.bytes': 200_001,
    'queued.max.request.bytes': 200_000,
  })
  await expect(startListener(options({ settings }))).rejects.toThrow(/socket.request.max.bytes/)
})

test('a port in use is told as such', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(startListener(options({ port }))).rejects.toMatchObject({ code: 'EADDRINUSE' })
  await new Promise(resolve => taken.close(resolve))
})

test('closing twice, or without any connection, ends at once', async () => {
  const listener = await startListener(options())
  await listener.close({ drainMs: 60_000 })
  await listener.close({ drainMs: 60_000 })
})

test('a flood of bad connections writes so many lines and one about the rest', () => {
  const lines: string[] = []
  const note = (_fields: object, message: string): void => void lines.push(message)
  const logger = new LimitedLogger({ info: note, warn: note, error: note })
  for (let index = 0; index < LINES_PER_SWEEP + 7; index += 1) logger.warn({}, 'bad')
  expect(lines).toHaveLength(LINES_PER_SWEEP)
  logger.sweep()
  expect(lines.at(-1)).toContain('left out')
  logger.sweep()
  expect(lines).toHaveLength(LINES_PER_SWEEP + 1)
  logger.error({}, 'bad')
  expect(lines).toHaveLength(LINES_PER_SWEEP + 2)
})
