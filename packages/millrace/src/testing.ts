/**
 * `millrace/testing`: given-when-then for aggregates, projections and sagas, for any test runner, all of
 * `@millrace/model/testing`; and a log in memory for tests of whole applications.
 */
export * from '@millrace/model/testing'
export { openMemoryLog } from './memory-log.ts'
