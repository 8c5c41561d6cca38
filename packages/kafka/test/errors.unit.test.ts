// Numbers of the protocol become errors of the log, none of them nameless.

import { KAFKA_CODE_OF } from '@millrace/broker'
import { LOG_ERRORS, type LogErrorCode } from '@millrace/log'
import { ERROR_CODES } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { errorOf } from '../src/errors.ts'
import { parseBootstrap } from '../src/outside.ts'

describe('an error of the wire', () => {
  it('comes back as the code that the node sent', () => {
    for (const code of Object.keys(LOG_ERRORS) as LogErrorCode[]) {
      // A closed log has no number of its own: it looks like a coordinator that is going.
      const expected = code === 'LOG_CLOSED' ? 'COORDINATOR_NOT_AVAILABLE' : code
      expect(errorOf(KAFKA_CODE_OF[code])?.code).toBe(expected)
    }
  })

  it('that the log has no code for carries its name', () => {
    const error = errorOf(ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED, 'not you')
    expect(error?.code).toBe('UNKNOWN_SERVER_ERROR')
    expect(error?.message).toContain('CLUSTER_AUTHORIZATION_FAILED: not you')
  })

  it('that is newer than this side carries its number', () => {
    expect(errorOf(9_999)?.message).toContain('error 9999')
  })

  it('that only a cluster knows is retriable where its own is', () => {
    for (const name of ['LEADER_NOT_AVAILABLE', 'NOT_ENOUGH_REPLICAS'] as const) {
      const error = errorOf(ERROR_CODES[name])
      expect(error?.retriable).toBe(true)
      expect(error?.message).toContain(name)
    }
  })

  it('says what the node says, once', () => {
    const message = `${LOG_ERRORS.INVALID_CONFIG.message}: retention.ms is -5`
    expect(errorOf(KAFKA_CODE_OF.INVALID_CONFIG, message)?.message).toBe(message)
    const other = errorOf(KAFKA_CODE_OF.INVALID_CONFIG, 'Invalid value -5')
    expect(other?.message).toBe(`${LOG_ERRORS.INVALID_CONFIG.message}: Invalid value -5`)
  })

  it('is none for none', () => {
    expect(errorOf(0)).toBeUndefined()
  })
})

describe('a bootstrap', () => {
  it('names one broker or several, IPv6 in brackets', () => {
    const three = [
      { host: 'a', port: 1 },
      { host: '10.0.0.1', port: 9092 },
      { host: '::1', port: 65_535 },
    ]
    expect(parseBootstrap('a:1, 10.0.0.1:9092,[::1]:65535')).toEqual(three)
    expect(parseBootstrap(['a:1', '10.0.0.1:9092', '[::1]:65535'])).toEqual(three)
  })
})
