export type { SagaInstance } from './events.ts'
export {
  createSagaProcessor,
  type ParkedSaga,
  type SagaProcessor,
  type SagaProcessorOptions,
  type SagaStatus,
  sagaCategory,
} from './processor.ts'
export { SAGA_SETTINGS, type SagaSettings } from './settings.ts'
