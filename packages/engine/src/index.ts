export type {
  Engine,
  EngineHealth,
  EngineMetrics,
  RecordSlice,
  SlicedFetchResult,
  TopicView,
} from './engine.ts'
export {
  type Clock,
  type Outside,
  type Random,
  systemOutside,
  type Timer,
  type Timers,
} from './outside.ts'
