/** Projections: read models in SQL, made of events. */
import type { Projection } from '../define/projection.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { SqlProjectionProcessor } from './processor.ts'
import type { ProjectionContext, ProjectionOptions, ProjectionProcessor } from './types.ts'

export type { Change } from './changes.ts'
export { PROJECTION_SETTINGS } from './settings.ts'
export type {
  EventSource,
  ParkedStream,
  ProjectionContext,
  ProjectionOptions,
  ProjectionProcessor,
  ProjectionStatus,
  Redriven,
} from './types.ts'

/**
 * Makes the processor of a projection; it does nothing until it is started.
 *
 * @throws ModelError BAD_DEFINITION for a batch handler with `publish`; RangeError for a bad setting
 */
export function createProjectionProcessor<DB>(
  definition: Projection<DB>,
  context: ProjectionContext,
  sql: SqlDatabase,
  options: ProjectionOptions = {},
): ProjectionProcessor<DB> {
  return new SqlProjectionProcessor(definition, context, sql, options)
}
