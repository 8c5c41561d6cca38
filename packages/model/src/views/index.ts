/** Views: a value a key in SQL, or a state in memory. */
export { memoryCache, type ViewCache } from './cache.ts'
export {
  type KeyValueRead,
  KeyValueReader,
  type KeyValueReaderOptions,
  type KeyValueTables,
  type KeyValueView,
  keyValueView,
} from './key-value-view.ts'
export {
  type LiveView,
  type LiveViewContext,
  LiveViewProcessor,
  liveView,
  type PassedOver,
} from './live-view.ts'
export { VIEW_SETTINGS } from './settings.ts'
