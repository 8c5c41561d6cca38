// The broker that client tests talk to: a freshly started node, or the one that
// MILLRACE_TEST_BROKER=host:port names, so that the tests themselves can be proven on Apache Kafka.
import { afterAll, beforeAll } from 'vitest'
import { TestNode } from './node.ts'

const foreign = process.env['MILLRACE_TEST_BROKER']

/** Whether the tests run against another broker than a node of this checkout. */
export const isForeignBroker: boolean = foreign !== undefined

/** Starts a node before the tests of the calling file and stops it cleanly after them. */
export function useBroker(): { readonly bootstrap: string } {
  let node: TestNode | undefined
  beforeAll(async () => {
    if (foreign === undefined) node = await TestNode.start()
  })
  afterAll(async () => {
    try {
      await node?.stop()
    } finally {
      await node?.dispose()
    }
  })
  return {
    get bootstrap() {
      const bootstrap = foreign ?? node?.bootstrap
      if (bootstrap === undefined) throw new Error('no broker before the tests begin')
      return bootstrap
    },
  }
}

let names = 0

/** A name that no other test of any run uses. */
export const uniqueName = (what: string): string =>
  `${what}-${process.pid}-${Date.now().toString(36)}-${names++}`
