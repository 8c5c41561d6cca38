/** What has a configuration here: topics, and this node. */
import type { Engine } from '@millrace/engine'
import { LogError } from '@millrace/log'

/** The error for a resource that has none. */
export function badResource(resourceType: number): LogError {
  return new LogError('INVALID_REQUEST', `resources of type ${resourceType} have none here`)
}

/** Throws INVALID_REQUEST unless the name of a broker is this node's id. */
export function requireOwnBroker(engine: Engine, name: string): void {
  if (name === String(engine.nodeId)) return
  throw new LogError('INVALID_REQUEST', `broker ${name}, only ${engine.nodeId} is here`)
}
