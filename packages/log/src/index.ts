export {
  COMPRESSIONS,
  type Compression,
  compress,
  compressionNamed,
  DECOMPRESSED_BYTES_MAX,
  decompress,
} from './compression/compression.ts'
export { LOG_ERRORS, LogError, type LogErrorCode } from './errors.ts'
export type {
  AppendEntry,
  AppendOptions,
  AppendResult,
  ConfigChange,
  ConfigEntry,
  ConfigSource,
  ConfigSynonym,
  ConfigType,
  DeleteRecordsOutcome,
  FetchPosition,
  FetchRequest,
  FetchResult,
  InitProducerRequest,
  Log,
  NewTopic,
  OffsetAnswer,
  OffsetQuery,
  PartitionDescription,
  PartitionSize,
  TopicDescription,
  TopicOutcome,
  Transactions,
} from './port.ts'
export {
  type CommitRequest,
  type CommittedOffset,
  type FetchedOffset,
  type GroupDescription,
  type GroupListing,
  type GroupState,
  type Groups,
  IN_PROCESS_HOST,
  type JoinRequest,
  type JoinResponse,
  type LeaveRequest,
  type LeaveResponse,
  type MeantPartition,
  type MemberIdentity,
  NO_GENERATION,
  type PartitionOutcome,
  type SyncRequest,
  type SyncResponse,
} from './port-groups.ts'
export { AbortedTransactions } from './records/aborted-transactions.ts'
export {
  BATCH_BYTES_MAX,
  type BatchBuilderOptions,
  type BatchIdentity,
  encodeBatch,
  type NewBatch,
  RecordBatchBuilder,
  recordBytesMax,
} from './records/batch-builder.ts'
export {
  type BatchFilter,
  deleteHorizonOf,
  emptyBatch,
  type FilteredBatch,
  filterBatch,
} from './records/batch-filter.ts'
export {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_MIN,
  BATCH_LENGTH_OVERHEAD,
  BATCH_MAGIC,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchBytesOf,
  compressionOf,
  computeBatchCrc,
  crcOf,
  hasDeleteHorizon,
  hasUnusedBits,
  isControl,
  isLogAppendTime,
  isTransactional,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  NO_PRODUCER_ID,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  setBatchPosition,
  setLogAppendTime,
  setMaxTimestamp,
  wholeBatchCrc,
  writeBatchHeader,
} from './records/batch-header.ts'
export {
  DECOMPRESSED_BYTES_FREE,
  type JudgeRules,
  judgeBatch,
  judgeInSlices,
  type Verdict,
} from './records/batch-judge.ts'
export {
  findOffsetByTimestamp,
  maxTimestampRecord,
  type PlaceQuestion,
  placeInSlices,
  type RecordPlace,
} from './records/batch-search.ts'
export { type BatchRules, validateBatch } from './records/batch-validation.ts'
export { crc32cBehind, crc32cJoined, crc32cOf } from './records/crc32c.ts'
export {
  type HeaderBlock,
  HeaderReader,
  HeaderWriter,
  headerName,
} from './records/header-block.ts'
export type { Header, LogRecord, NewHeader, NewRecord, NewRecordOrBlock } from './records/record.ts'
export { type DecodeOptions, decodeBatches, RecordBatch } from './records/record-batch.ts'
export type { RecordCursor } from './records/record-cursor.ts'
export { RECORD_ERRORS_MAX, type RecordError, type RecordRules } from './records/record-scanner.ts'
export { writeVarint, writeVarlong } from './records/varint.ts'
export { asLogError } from './thrown.ts'
export {
  type Acks,
  type Isolation,
  NO_LEADER_EPOCH,
  type NumberOf,
  type Offset,
  type OffsetPlace,
  type ProducerIdentity,
  type Timestamp,
  type TopicPartition,
} from './vocabulary.ts'
