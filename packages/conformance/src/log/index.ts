/**
 * The conformance suite of the port: promises that every engine keeps, each a named case that any
 * test runner can run. `for (const { name, run } of logConformance(factory)) it(name, run)`.
 */
import { type ConformanceCase, caseOf } from '../frame/frame.ts'
import { appendCases } from './append-cases.ts'
import { batchCases } from './batch-cases.ts'
import type { CaseSpec } from './case-spec.ts'
import { compactionCases } from './compaction-cases.ts'
import { configCases } from './config-cases.ts'
import type { LogFactory } from './factory.ts'
import { fetchCases } from './fetch-cases.ts'
import { groupCases } from './group-cases.ts'
import { groupOffsetCases } from './group-offset-cases.ts'
import { offsetCases } from './offset-cases.ts'
import { producerCases } from './producer-cases.ts'
import { rebalanceCases } from './rebalance-cases.ts'
import { LogScene } from './scene.ts'
import { staticMemberCases } from './static-member-cases.ts'
import { topicCases } from './topic-cases.ts'

export { CASE_MS_MAX, type ConformanceCase, type ConformanceTime } from '../frame/frame.ts'
export type { LogFactory, LogFeatures } from './factory.ts'
export {
  goodRecords,
  MALFORMED,
  type MalformedBatch,
  RAW_TIME,
  type RawHeader,
  type RawRecord,
  rawBatch,
  rawRecord,
} from './malformed-batches.ts'

const SPECS: readonly CaseSpec[] = [
  ...topicCases,
  ...configCases,
  ...appendCases,
  ...batchCases,
  ...fetchCases,
  ...offsetCases,
  ...producerCases,
  ...compactionCases,
  ...groupCases,
  ...rebalanceCases,
  ...staticMemberCases,
  ...groupOffsetCases,
]

/** The cases that apply to an engine with these features. Names are unique. */
export function logConformance(factory: LogFactory): readonly ConformanceCase[] {
  return SPECS.filter(spec => spec.needs?.(factory.features, factory) ?? true).map(spec =>
    caseOf(spec, async () => new LogScene(await factory.open(), factory)),
  )
}
