export { AwakeClock } from './awake-clock.ts'
export { type Disk, DiskError, type DiskErrorCode, type DiskFile } from './disk/disk.ts'
export { nodeDisk } from './disk/node-disk.ts'
export type {
  CompactedPartition,
  Engine,
  EngineHealth,
  EngineMetrics,
  GroupMoments,
  ProducerState,
  RecordSlice,
  SlicedFetchResult,
  TopicView,
} from './engine.ts'
export { GROUP_SETTINGS, type GroupSettings } from './group-settings.ts'
export { type EngineEvent, type EngineOptions, openEngine } from './open-engine.ts'
export { ENGINE_SETTINGS, type EngineSettings } from './settings.ts'
export {
  type DumpedBatch,
  type DumpedGroup,
  type DumpedRecord,
  type DumpLine,
  dumpJournal,
  dumpSegment,
} from './storage/dump.ts'
export type { Finding } from './storage/finding.ts'
export type { GivenUp } from './storage/salvage.ts'
export type { VerifyReport } from './storage/verify.ts'
export { TimerWheel } from './timer-wheel.ts'
export { verifyFolder } from './verify-folder.ts'
