/**
 * The conformance suite of the event store's port: promises that every store keeps, each a named
 * case that any test runner can run.
 * `for (const { name, run } of storeConformance(factory)) it(name, run)`.
 */
import { type ConformanceCase, caseOf } from '../frame/frame.ts'
import { aggregateCases } from './aggregate-cases.ts'
import { appendCases } from './append-cases.ts'
import type { CaseSpec } from './case-spec.ts'
import { checkCases } from './check-cases.ts'
import { checkpointCases } from './checkpoint-cases.ts'
import { closeCases } from './close-cases.ts'
import { commandCases } from './command-cases.ts'
import { conditionCases } from './condition-cases.ts'
import { dataCases } from './data-cases.ts'
import { envelopeCases } from './envelope-cases.ts'
import { followAllCases } from './follow-all-cases.ts'
import { followCases } from './follow-cases.ts'
import { foreignCases } from './foreign-cases.ts'
import { identityCases } from './identity-cases.ts'
import { lifecycleCases } from './lifecycle-cases.ts'
import { limitCases } from './limit-cases.ts'
import { openingCases } from './opening-cases.ts'
import { persistenceCases } from './persistence-cases.ts'
import { personalCases } from './personal-cases.ts'
import type { StoreFactory } from './place.ts'
import { raceCases } from './race-cases.ts'
import { readAllCases } from './read-all-cases.ts'
import { readCases } from './read-cases.ts'
import { reservationCases } from './reservation-cases.ts'
import { StoreScene } from './scene.ts'
import { schemaCases } from './schema-cases.ts'
import { searchCases } from './search-cases.ts'
import { severalCases } from './several-cases.ts'
import { snapshotCases } from './snapshot-cases.ts'
import { stateCases } from './state-cases.ts'
import { tenantCases } from './tenant-cases.ts'

export { CASE_MS_MAX, type ConformanceCase, type ConformanceTime } from '../frame/frame.ts'
export {
  type AppendOperation,
  type LinearizabilityOptions,
  linearizabilityProblems,
  type Operation,
  type ReadOperation,
  type StreamHistory,
} from './linearizability.ts'
export type { PlaceOptions, StoreFactory, StoreFeatures, StorePlace } from './place.ts'

const SPECS: readonly CaseSpec[] = [
  ...appendCases,
  ...commandCases,
  ...readCases,
  ...followCases,
  ...stateCases,
  ...lifecycleCases,
  ...envelopeCases,
  ...dataCases,
  ...limitCases,
  ...aggregateCases,
  ...snapshotCases,
  ...readAllCases,
  ...followAllCases,
  ...checkpointCases,
  ...searchCases,
  ...conditionCases,
  ...checkCases,
  ...raceCases,
  ...tenantCases,
  ...schemaCases,
  ...personalCases,
  ...reservationCases,
  ...persistenceCases,
  ...severalCases,
  ...foreignCases,
  ...identityCases,
  ...openingCases,
  ...closeCases,
]

/** The cases that apply to a store with these features. Names are unique. */
export function storeConformance(factory: StoreFactory): readonly ConformanceCase[] {
  return SPECS.filter(({ needs = [] }) =>
    [needs].flat().every(feature => factory.features[feature]),
  ).map(spec => caseOf(spec, async () => new StoreScene(factory)))
}
