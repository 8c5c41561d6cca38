/**
 * IncrementalAlterConfigs and AlterConfigs: changes of topics' configuration. That of the node is
 * set where it is started: nothing of it can be set here, so there is nothing to take back either, and
 * tools that do so (after every reassignment, for one) are told that it is done.
 */
import type { Engine } from '@millrace/engine'
import { type ConfigChange, LogError } from '@millrace/log'
import {
  type AlterConfigsRequest,
  type AlterConfigsResponse,
  type AlterConfigsResult,
  alterConfigs,
  CONFIG_OPERATION,
  CONFIG_RESOURCE_TYPE,
  type Decoded,
  ERROR_CODES,
  type IncrementalAlterConfigsRequest,
  type IncrementalAlterConfigsResponse,
  incrementalAlterConfigs,
} from '@millrace/protocol'
import { badResource, requireOwnBroker } from './config-resources.ts'
import { expected, failureOf } from './error-mapping.ts'
import type { Failure, Handler } from './handler.ts'
import { repeated } from './nested.ts'
import { isTopicName } from './topics.ts'

type Resource = { readonly resourceType: number; readonly resourceName: string }
type Incremental = Decoded<IncrementalAlterConfigsRequest>['resources'][number]
type Whole = Decoded<AlterConfigsRequest>['resources'][number]

const OPERATIONS: ReadonlyMap<number, ConfigChange['operation']> = new Map([
  [CONFIG_OPERATION.set, 'set'],
  [CONFIG_OPERATION.delete, 'delete'],
  [CONFIG_OPERATION.append, 'append'],
  [CONFIG_OPERATION.subtract, 'subtract'],
])

/** The handler of IncrementalAlterConfigs. */
export const incrementalAlterConfigsHandler: Handler<
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse
> = {
  api: incrementalAlterConfigs,
  handle: async ({ resources, validateOnly }, _call, { engine }) => ({
    throttleTimeMs: 0,
    responses: await alterEach(engine, resources, validateOnly, async resource =>
      incrementalChanges(resource),
    ),
  }),
  failure: ({ resources }, failure) => failAll(resources, failure),
}

/** The handler of AlterConfigs. */
export const alterConfigsHandler: Handler<AlterConfigsRequest, AlterConfigsResponse> = {
  api: alterConfigs,
  handle: async ({ resources, validateOnly }, _call, { engine }) => ({
    throttleTimeMs: 0,
    responses: await alterEach(engine, resources, validateOnly, resource =>
      wholeChanges(engine, resource),
    ),
  }),
  failure: ({ resources }, failure) => failAll(resources, failure),
}

/** One resource after the other; the failure of one does not touch the others. */
async function alterEach<R extends Resource>(
  engine: Engine,
  resources: readonly R[],
  validateOnly: boolean,
  changesOf: (resource: R) => Promise<readonly ConfigChange[]>,
): Promise<readonly AlterConfigsResult[]> {
  const twice = repeated(resources.map(keyOf))
  const results: AlterConfigsResult[] = []
  for (const resource of resources) {
    const { resourceType, resourceName } = resource
    try {
      if (twice.has(keyOf(resource))) {
        throw new LogError('INVALID_REQUEST', `${resourceName} occurs twice`)
      }
      requireResource(engine, resource)
      const changes = await changesOf(resource)
      if (resourceType === CONFIG_RESOURCE_TYPE.broker) requireNothingSet(changes)
      else await engine.alterConfig(resourceName, changes, { validateOnly })
      results.push({ errorCode: ERROR_CODES.NONE, errorMessage: null, resourceType, resourceName })
    } catch (error) {
      const { code: errorCode, message: errorMessage } = failureOf(expected(error))
      results.push({ errorCode, errorMessage, resourceType, resourceName })
    }
  }
  return results
}

const keyOf = ({ resourceType, resourceName }: Resource): string =>
  `${resourceType}/${resourceName}`

function requireResource(engine: Engine, { resourceType, resourceName }: Resource): void {
  switch (resourceType) {
    case CONFIG_RESOURCE_TYPE.topic:
      if (resourceName === '')
        throw new LogError('INVALID_REQUEST', 'topics have no common default')
      if (!isTopicName(resourceName)) throw new LogError('INVALID_TOPIC_EXCEPTION', resourceName)
      return
    case CONFIG_RESOURCE_TYPE.broker:
      // The empty name stands for all brokers.
      if (resourceName !== '') requireOwnBroker(engine, resourceName)
      return
    default:
      throw badResource(resourceType)
  }
}

function requireNothingSet(changes: readonly ConfigChange[]): void {
  if (changes.every(({ operation }) => operation === 'delete')) return
  throw new LogError(
    'INVALID_REQUEST',
    'the configuration of the node is set where it is started, not by clients',
  )
}

function requireEachOnce(names: readonly string[]): void {
  for (const name of repeated(names)) throw new LogError('INVALID_REQUEST', `${name} occurs twice`)
}

function incrementalChanges({ configs }: Incremental): readonly ConfigChange[] {
  requireEachOnce(configs.map(({ name }) => name))
  return configs.map(({ name, configOperation, value }) => {
    const operation = OPERATIONS.get(configOperation)
    if (operation === undefined) {
      throw new LogError('INVALID_REQUEST', `operation ${configOperation} of ${name}`)
    }
    if (value === null && operation !== 'delete') {
      throw new LogError('INVALID_REQUEST', `${name} has no value`)
    }
    return { name, operation, value: operation === 'delete' ? null : value }
  })
}

/** Sets what is named; everything else that the topic has of its own goes back to its default. */
async function wholeChanges(
  engine: Engine,
  { resourceType, resourceName, configs }: Whole,
): Promise<readonly ConfigChange[]> {
  const names = configs.map(({ name }) => name)
  requireEachOnce(names)
  const kept = new Set(names)
  const changes: ConfigChange[] = configs.map(({ name, value }) => {
    if (value === null) throw new LogError('INVALID_REQUEST', `${name} has no value`)
    return { name, operation: 'set', value }
  })
  if (resourceType !== CONFIG_RESOURCE_TYPE.topic) return changes
  for (const { name, source } of await engine.describeConfig(resourceName)) {
    if (source !== 'topic' || kept.has(name)) continue
    changes.push({ name, operation: 'delete', value: null })
  }
  return changes
}

function failAll(resources: readonly Resource[], failure: Failure): AlterConfigsResponse {
  const { code: errorCode, message: errorMessage } = failure
  return {
    throttleTimeMs: 0,
    responses: resources.map(({ resourceType, resourceName }) => ({
      errorCode,
      errorMessage,
      resourceType,
      resourceName,
    })),
  }
}
