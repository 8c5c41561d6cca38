/** ListConfigResources: what has a configuration here: topics and this node. */
import type { Engine } from '@millrace/engine'
import { LogError } from '@millrace/log'
import {
  CONFIG_RESOURCE_TYPE,
  ERROR_CODES,
  type ListConfigResourcesRequest,
  type ListConfigResourcesResponse,
  type ListedConfigResource,
  listConfigResources,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** Version 0 asks for client metrics and nothing else. */
const TYPES_VERSION_MIN = 1
const TYPES: readonly number[] = Object.values(CONFIG_RESOURCE_TYPE)

/** The handler of ListConfigResources. */
export const listConfigResourcesHandler: Handler<
  ListConfigResourcesRequest,
  ListConfigResourcesResponse
> = {
  api: listConfigResources,

  handle: ({ resourceTypes }, { version }, { engine }) => {
    const asked =
      version < TYPES_VERSION_MIN
        ? [CONFIG_RESOURCE_TYPE.clientMetrics]
        : resourceTypes.length === 0
          ? TYPES
          : [...new Set(resourceTypes)]
    for (const type of asked) {
      if (!TYPES.includes(type)) {
        throw new LogError('UNSUPPORTED_VERSION', `configurations of type ${type}`)
      }
    }
    return {
      throttleTimeMs: 0,
      errorCode: ERROR_CODES.NONE,
      configResources: asked.flatMap(type => named(engine, type)),
    }
  },

  failure: (_request, { code: errorCode }) => ({
    throttleTimeMs: 0,
    errorCode,
    configResources: [],
  }),
}

function named(engine: Engine, resourceType: number): readonly ListedConfigResource[] {
  switch (resourceType) {
    case CONFIG_RESOURCE_TYPE.topic:
      return engine.allTopics().map(({ name }) => ({ resourceName: name, resourceType }))
    case CONFIG_RESOURCE_TYPE.broker:
    case CONFIG_RESOURCE_TYPE.brokerLogger:
      return [{ resourceName: String(engine.nodeId), resourceType }]
    default:
      return []
  }
}
