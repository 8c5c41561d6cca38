/** Typed configuration files: `export default defineConfig({ 'log.retention.ms': -1 })`. */
import type { MillraceConfig } from './tables.ts'

/** Gives its argument back; an editor checks and completes its keys. */
export function defineConfig(config: MillraceConfig): MillraceConfig {
  return config
}
