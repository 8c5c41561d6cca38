/** The log within a program: no port is opened, nothing else can reach it. */
import { resolve } from 'node:path'
import {
  ENGINE_SETTINGS,
  type EngineEvent,
  type EngineOptions,
  GROUP_SETTINGS,
  openEngine,
} from '@millrace/engine'
import type { Log } from '@millrace/log'
import { resolveConfig } from './config/resolve-config.ts'
import { EMBEDDED_SETTINGS, type EmbeddedSettings, settingsOf } from './config/tables.ts'
import { topicDefaultsOf } from './config/topic-defaults.ts'

/** What an embedded log is opened with: its folder, and settings by their dotted keys. */
export type EmbeddedOptions = EmbeddedSettings & {
  /** Folder of the data; created when it is not there. One process at a time. */
  readonly data: string
  /** Told what an operator should read: recovery, damage, a failed disk. Default: nobody. */
  readonly onEvent?: (event: EngineEvent) => void
}

/**
 * Opens the log in a folder. Close it to let go of the folder.
 *
 *     await using log = await openEmbedded({ data: './data' })
 *
 * Throws ConfigError naming every bad setting; LogError KAFKA_STORAGE_ERROR when the folder is in
 * use by another process or cannot be read.
 */
export function openEmbedded(options: EmbeddedOptions): Promise<Log> {
  return openOn(options, {}, 'openEmbedded()')
}

/**
 * Opens it on a disk that is given.
 *
 * @param caller what a bad setting is said to come from
 */
export async function openOn(
  { data, onEvent, ...values }: EmbeddedOptions,
  place: Pick<EngineOptions, 'disk'>,
  caller: string,
): Promise<Log> {
  const config = resolveConfig(EMBEDDED_SETTINGS, { file: { path: caller, values } })
  return openEngine({
    ...place,
    folder: resolve(data),
    settings: settingsOf(config, ENGINE_SETTINGS),
    groupSettings: settingsOf(config, GROUP_SETTINGS),
    topicDefaults: topicDefaultsOf(config),
    ...(onEvent === undefined ? {} : { onEvent }),
  })
}
