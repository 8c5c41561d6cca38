/** DescribeConfigs: the effective configuration of topics, and of this node as a broker. */
import type { Engine } from '@millrace/engine'
import type { ConfigEntry } from '@millrace/log'
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
import type { Handler } from './handler.ts'
import { distinct } from './nested.ts'

type Request = Decoded<DescribeConfigsRequest>
type Resource = Request['resources'][number]

/** The handler of DescribeConfigs. */
export const describeConfigsHandler: Handler<DescribeConfigsRequest, DescribeConfigsResponse> = {
  api: describeConfigs,

  handle: async (request, _call, { engine, settings }) => {
    const resources = distinct(
      request.resources,
      ({ resourceType, resourceName }) => `${resourceType}/${resourceName}`,
    )
    const results = resources.map(resource => describe(engine, settings, request, resource))
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

async function describe(
  engine: Engine,
  settings: BrokerSettings,
  request: Request,
  resource: Resource,
): Promise<DescribeConfigsResult> {
  const { resourceType, resourceName, configurationKeys } = resource
  const about = { resourceType, resourceName }
  try {
    const entries = await entriesOf(engine, settings, resource)
    const wanted = configurationKeys === null ? undefined : new Set(configurationKeys)
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
  engine: Engine,
  settings: BrokerSettings,
  { resourceType, resourceName }: Resource,
): Promise<readonly ConfigEntry[]> {
  if (resourceType === CONFIG_RESOURCE_TYPE.topic) return engine.describeConfig(resourceName)
  if (resourceType !== CONFIG_RESOURCE_TYPE.broker) throw badResource(resourceType)
  // The empty name stands for defaults of the whole cluster that can be changed: there are none.
  if (resourceName === '') return []
  requireOwnBroker(engine, resourceName)
  return [...engine.nodeConfig(), ...listenerConfig(settings)]
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
  { name, value, readOnly, source, type, documentation }: ConfigEntry,
  { includeSynonyms, includeDocumentation }: Request,
): DescribeConfigsEntry {
  const configSource = configSourceOf(source)
  return {
    name,
    value,
    readOnly,
    configSource,
    isSensitive: false,
    synonyms: includeSynonyms ? [{ name, value, source: configSource }] : [],
    configType: configTypeOf(type),
    documentation: includeDocumentation ? documentation : null,
  }
}
