/** Refuses projections that cannot run, before anything is opened for them. */
import type { Projection } from '../define/projection.ts'
import { ModelError } from '../errors.ts'

const PARALLEL_MAX = 64
/** Names of physical tables end with it, and are bounded. */
const VERSION_MAX = 999_999

/** @throws ModelError BAD_DEFINITION, naming the field and its bound */
export function checkDefinition(definition: Projection): void {
  const { name, version, on, batch, types, options } = definition
  const { parallel = 1, publish } = options
  const bad = (what: string): ModelError =>
    new ModelError('BAD_DEFINITION', `projection ${name}: ${what}`)
  if (!isWithin(version, VERSION_MAX)) {
    throw bad(`version must be a whole number from 1 to ${VERSION_MAX}, not ${version}`)
  }
  if (!isWithin(parallel, PARALLEL_MAX)) {
    throw bad(`parallel must be a whole number from 1 to ${PARALLEL_MAX}, not ${parallel}`)
  }
  const hasHandlers = Object.keys(on).length > 0
  if (hasHandlers === (batch !== undefined)) throw bad('it needs one of on and batch')
  if (types !== undefined && batch === undefined) throw bad('types are for batch; on names its own')
  if (publish !== undefined && batch !== undefined) {
    throw bad('changes are published by stream, and a batch has many; use on')
  }
}

const isWithin = (value: unknown, max: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max
