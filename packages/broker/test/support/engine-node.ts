/** A node as a test wants it: an engine on a fresh folder behind a listener on a free port. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { resolveSettings, systemOutside } from '@millrace/base'
import type { LogFields } from '@millrace/broker'
import {
  BROKER_SETTINGS,
  type BrokerSettings,
  type Listener,
  startListener,
} from '@millrace/broker'
import { type Engine, type EngineOptions, openEngine } from '@millrace/engine'

export type EngineNode = {
  readonly engine: Engine
  readonly listener: Listener
  readonly bootstrap: string
  stop(): Promise<void>
}

export type LogLine = {
  readonly level: 'info' | 'warn' | 'error'
  readonly fields: LogFields
  readonly message: string
}

export async function startEngineNode(
  options: {
    readonly engine?: Partial<EngineOptions>
    readonly broker?: Partial<BrokerSettings>
    readonly onLine?: (line: LogLine) => void
  } = {},
): Promise<EngineNode> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-broker-'))
  const engine = await openEngine({ folder, ...options.engine })
  const log = (level: LogLine['level']) => (fields: LogFields, message: string) =>
    options.onLine?.({ level, fields, message })
  const listener = await startListener({
    engine,
    host: '127.0.0.1',
    port: 0,
    settings: resolveSettings(BROKER_SETTINGS, options.broker),
    outside: systemOutside({ keepAlive: false }),
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
  })
  return {
    engine,
    listener,
    bootstrap: `${listener.address.host}:${listener.address.port}`,
    stop: async () => {
      await listener.close({ drainMs: 2_000 })
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
