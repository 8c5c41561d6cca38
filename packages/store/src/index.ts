export type { AuditAction, AuditEntry, AuditRecord } from './audit/audit-log.ts'
export { withActor } from './audit/audited-store.ts'
export type { Boundary, NamedBoundary } from './boundary.ts'
export { type CheckpointContent, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
export { STORE_ERRORS, StoreError, type StoreErrorCode } from './errors.ts'
export { checkStreamId } from './names.ts'
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
export {
  addKeyToFile,
  createKeyFile,
  environmentKeys,
  fileKeys,
  memoryKeys,
} from './personal/providers.ts'
export { type RotateKeysOptions, rotateKeys } from './personal/rotate-keys.ts'
export type { Rotation, RotationOptions } from './personal/rotation.ts'
export * from './port.ts'
export {
  confirm,
  type Holder,
  holderOf,
  RESERVATION_MS_MAX,
  type ReservationOf,
  type ReservationOptions,
  type ReservationResult,
  release,
  reservationCategory,
  reserve,
} from './reservations/reservations.ts'
export {
  type RewriteOptions,
  type RewriteProgress,
  type RewriteReport,
  rewriteCategory,
} from './rewrite/rewrite-category.ts'
export { STORE_SETTINGS } from './settings.ts'
