/**
 * `millrace/testing`: given-when-then for aggregates, projections and sagas, for any test runner.
 * Everything is that of `@millrace/model/testing`.
 */
export * from '@millrace/model/testing'
