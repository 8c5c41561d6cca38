/** DescribeConfigs: the effective configuration of topics, and of this node as a broker. */
import type { Engine } from '@millrace/engine'
import { type ConfigEntry, LogError } from '@millrace/log'
import {
  CONFIG_RESOURCE_TYPE,
  type Decoded,
  type DescribeConfigsEntry,
  type DescribeConfigsRequest,
  type DescribeConfigsResponse,
  type DescribeConfigsResult,
  describeConfigs,
  ERROR_CODES,
} from '@millrace/protocol'
import { BROKER_SETTINGS, type BrokerSettings } from '../settings.ts'
import { badResource, requireOwnBroker } from './config-resources.ts'
import { configSourceOf, configTypeOf } from './config-words.ts'
import { expected, failureOf } from './error-mapping.ts'
import type { Endpoint, Handler } from './handler.ts'
import { distinct } from './nested.ts'
import { isTopicName } from './topics.ts'

type Request = Decoded<DescribeConfigsRequest>
type Resource = Request['resources'][number]

/** The handler of DescribeConfigs. */
export const describeConfigsHandler: Handler<DescribeConfigsRequest, DescribeConfigsResponse> = {
  api: describeConfigs,

  handle: async (request, { endpoint }, { engine, settings }) => {
    const resources = distinct(
      request.resources,
      ({ resourceType, resourceName }) => `${resourceType}/${resourceName}`,
    )
    const results = resources.map(resource =>
      describe({ engine, settings, endpoint }, request, resource),
    )
    return { throttleTimeMs: 0, results: await Promise.all(results) }
  },

  failure: ({ resources }, { code, message }) => ({
    throttleTimeMs: 0,
    results: resources.map(({ resourceType, resourceName }) => ({
      errorCode: code,
      errorMessage: message,
      resourceType,
      resourceName,
      configs: [],
    })),
  }),
}

/** What a configuration is made from. */
type Place = {
  readonly engine: Engine
  readonly settings: BrokerSettings
  readonly endpoint: Endpoint
}

async function describe(
  place: Place,
  request: Request,
  resource: Resource,
): Promise<DescribeConfigsResult> {
  const { resourceType, resourceName, configurationKeys } = resource
  const about = { resourceType, resourceName }
  try {
    const entries = await entriesOf(place, resource)
    // No keys ask for all, as null does.
    const wanted =
      configurationKeys === null || configurationKeys.length === 0
        ? undefined
        : new Set(configurationKeys)
    const configs = entries
      .filter(({ name }) => wanted === undefined || wanted.has(name))
      .map(entry => shape(entry, request))
    return { errorCode: ERROR_CODES.NONE, errorMessage: null, ...about, configs }
  } catch (error) {
    const { code: errorCode, message: errorMessage } = failureOf(expected(error))
    return { errorCode, errorMessage, ...about, configs: [] }
  }
}

async function entriesOf(
  { engine, settings, endpoint }: Place,
  { resourceType, resourceName }: Resource,
): Promise<readonly ConfigEntry[]> {
  switch (resourceType) {
    case CONFIG_RESOURCE_TYPE.topic:
      if (isTopicName(resourceName)) return engine.describeConfig(resourceName)
      throw new LogError('INVALID_TOPIC_EXCEPTION', resourceName)
    case CONFIG_RESOURCE_TYPE.broker:
      // The empty name stands for defaults of the whole cluster that can be changed: there are none.
      if (resourceName === '') return []
      requireOwnBroker(engine, resourceName)
      return [...engine.nodeConfig(), ...listenerConfig(settings), ...addresses(endpoint)]
    case CONFIG_RESOURCE_TYPE.brokerLogger:
      requireOwnBroker(engine, resourceName)
      return []
    case CONFIG_RESOURCE_TYPE.clientMetrics:
    case CONFIG_RESOURCE_TYPE.group:
      return []
    default:
      throw badResource(resourceType)
  }
}

/** Where clients connect, as Kafka's brokers say it. */
function addresses({ host, port }: Endpoint): readonly ConfigEntry[] {
  const listener = `PLAINTEXT://${host}:${port}`
  return [
    ['listeners', listener],
    ['advertised.listeners', listener],
    ['listener.security.protocol.map', 'PLAINTEXT:PLAINTEXT'],
    ['inter.broker.listener.name', 'PLAINTEXT'],
  ].map(([name = '', value = '']) => ({
    name,
    value,
    source: 'node',
    type: 'string',
    readOnly: true,
    documentation: '',
  }))
}

/** The listener's own settings; tools read `auto.create.topics.enable` among them. */
const listenerConfig = (settings: BrokerSettings): readonly ConfigEntry[] =>
  Object.entries(BROKER_SETTINGS).map(([name, setting]) => {
    const value = settings[name as keyof BrokerSettings]
    return {
      name,
      value: String(value),
      source: value === setting.default ? 'default' : 'node',
      type: setting.type === 'boolean' ? 'boolean' : 'long',
      readOnly: true,
      documentation: setting.doc,
    }
  })

function shape(
  { name, value, readOnly, source, type, documentation, synonyms }: ConfigEntry,
  { includeSynonyms, includeDocumentation }: Request,
): DescribeConfigsEntry {
  const configSource = configSourceOf(source)
  const places = synonyms ?? [{ name, value, source }]
  return {
    name,
    value,
    readOnly,
    configSource,
    isSensitive: false,
    synonyms: includeSynonyms
      ? places.map(place => ({ ...place, source: configSourceOf(place.source) }))
      : [],
    configType: configTypeOf(type),
    documentation: includeDocumentation ? documentation : null,
  }
}
