/** Given-when-then for aggregates, projections and sagas; runner-agnostic. */
export {
  AggregateDecision,
  AggregateScenario,
  type ExpectedEvent,
  type ScenarioEvent,
  type ScenarioOptions,
  scenario,
} from './aggregate.ts'
export { type GivenEvent, MemoryEvents } from './events.ts'
export {
  type ExpectedParked,
  type ProjectedRows,
  ProjectionScenario,
  type ProjectionScenarioOptions,
  projectionScenario,
} from './projection.ts'
export { SagaScenario, type SagaScenarioOptions, sagaScenario } from './saga.ts'
