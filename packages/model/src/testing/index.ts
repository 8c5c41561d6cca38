/** Given-when-then for aggregates, projections and sagas; runner-agnostic. */
export {
  AggregateDecision,
  AggregateScenario,
  type ExpectedEvent,
  type ScenarioEvent,
  type ScenarioOptions,
  scenario,
} from './aggregate.ts'
export { SagaScenario, type SagaScenarioOptions, sagaScenario } from './saga.ts'
