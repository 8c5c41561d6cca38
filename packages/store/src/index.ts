export { type CheckpointContent, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
export { STORE_ERRORS, StoreError, type StoreErrorCode } from './errors.ts'
export { openStore } from './open-store.ts'
export type {
  CategoryOptions,
  EventSchema,
  EventTypeOptions,
  KeyProvider,
  PersonalFields,
  StoreEvent,
  StoreOptions,
} from './options.ts'
export * from './port.ts'
export { STORE_SETTINGS } from './settings.ts'
