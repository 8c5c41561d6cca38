import { describe, expect, test } from 'vitest'
import { formatAddress, isLoopback, parseAddress } from '../src/address.ts'

describe('an address', () => {
  test.each([
    ['127.0.0.1:9092', '127.0.0.1', 9092],
    ['localhost:0', 'localhost', 0],
    ['[::1]:65535', '::1', 65_535],
    ['kafka.example.org:1', 'kafka.example.org', 1],
  ])('%s is read and written back', (text, host, port) => {
    expect(parseAddress(text, 'kafka')).toEqual({ host, port })
    expect(formatAddress({ host, port })).toBe(text)
  })

  test.each(['', '9092', ':9092', 'host', 'host:', 'host:65536', '::1:9092', 'a b:1', 'h:1x'])(
    '"%s" is refused with the name of its setting',
    text => {
      expect(() => parseAddress(text, 'kafka')).toThrow(/^kafka must be HOST:PORT/)
    },
  )

  test('of this machine alone is told from one that others reach', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
      expect(isLoopback(host)).toBe(true)
    }
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org', 'host']) {
      expect(isLoopback(host)).toBe(false)
    }
  })
})
