import type { Settings } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import { nearest } from '../../src/config/nearest.ts'
import { mergeTables, resolveConfig } from '../../src/config/resolve-config.ts'
import { environmentName } from '../../src/config/setting-names.ts'
import { ConfigError } from '../../src/errors.ts'

const TABLE = {
  data: { type: 'text', default: 'data', doc: '' },
  'flush.interval.ms': { type: 'integer', default: 100, min: 1, max: 1_000, doc: '' },
  'auto.create': { type: 'boolean', default: true, doc: '' },
  'logging.level': { type: 'choice', default: 'info', choices: ['info', 'warn'], doc: '' },
} as const satisfies Settings

function problemsOf(...sources: Parameters<typeof resolveConfig>[1][]): readonly string[] {
  try {
    resolveConfig(TABLE, ...sources)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems
  }
}

describe('precedence', () => {
  const file = { path: '/x/millrace.config.ts', values: { data: 'file', 'flush.interval.ms': 1 } }
  const environment = { MILLRACE_DATA: 'environment', MILLRACE_FLUSH_INTERVAL_MS: '2' }
  const flags = [{ key: 'data', value: 'flag', flag: '--data' }]

  test('flags win over the environment, it over the file, the file over the defaults', () => {
    const value = (config: ReturnType<typeof resolveConfig>) => config.get('data')?.value
    expect(value(resolveConfig(TABLE))).toBe('data')
    expect(value(resolveConfig(TABLE, { file }))).toBe('file')
    expect(value(resolveConfig(TABLE, { file, environment }))).toBe('environment')
    expect(value(resolveConfig(TABLE, { file, environment, flags }))).toBe('flag')
  })

  test('every value tells where it came from', () => {
    const config = resolveConfig(TABLE, { file, environment, flags })
    const sources = [...config.values()].map(({ key, source, origin }) => [key, source, origin])
    expect(sources).toEqual([
      ['data', 'flag', '--data'],
      ['flush.interval.ms', 'environment', 'MILLRACE_FLUSH_INTERVAL_MS'],
      ['auto.create', 'default', ''],
      ['logging.level', 'default', ''],
    ])
  })
})

describe('values', () => {
  test('text is read by the type of its setting', () => {
    const config = resolveConfig(TABLE, {
      environment: {
        MILLRACE_FLUSH_INTERVAL_MS: '1000',
        MILLRACE_AUTO_CREATE: 'false',
        MILLRACE_LOGGING_LEVEL: 'warn',
      },
    })
    expect([...config.values()].map(line => line.value)).toEqual(['data', 1_000, false, 'warn'])
  })

  test.each([
    ['0', /flush\.interval\.ms must be a whole number from 1 to 1000, not 0/],
    ['1001', /from 1 to 1000, not 1001/],
    ['1e2', /whole number/],
    ['', /whole number/],
    ['ten', /whole number/],
  ])('%s is refused for a number with what is allowed', (text, message) => {
    expect(problemsOf({ environment: { MILLRACE_FLUSH_INTERVAL_MS: text } })).toEqual([
      expect.stringMatching(message),
    ])
  })

  test('bounds themselves are allowed', () => {
    for (const text of ['1', '1000']) {
      expect(problemsOf({ environment: { MILLRACE_FLUSH_INTERVAL_MS: text } })).toEqual([])
    }
  })

  test('a bad value is refused also where a stronger source overrides it', () => {
    const problems = problemsOf({
      environment: { MILLRACE_LOGGING_LEVEL: 'loud' },
      flags: [{ key: 'logging.level', value: 'warn', flag: '--set' }],
    })
    expect(problems).toEqual([
      'logging.level must be one of info, warn, not "loud" (MILLRACE_LOGGING_LEVEL)',
    ])
  })
})

describe('unknown names', () => {
  test('are refused everywhere, all at once, with the nearest known one', () => {
    const problems = problemsOf({
      environment: { MILLRACE_DATTA: 'x', OTHER: 'y' },
      file: { path: 'f.json', values: { 'flush.intervall.ms': 1 } },
      flags: [{ key: 'zzz', value: '1', flag: '--set' }],
    })
    expect(problems).toEqual([
      'flush.intervall.ms is not a setting (f.json); did you mean flush.interval.ms?',
      'MILLRACE_DATTA in the environment is not a setting; did you mean MILLRACE_DATA?',
      'zzz is not a setting (--set); run "millrace config" for all of them',
    ])
  })

  test('names of an object that every object has are unknown too', () => {
    expect(problemsOf({ flags: [{ key: 'constructor', value: '1', flag: '--set' }] })).toEqual([
      expect.stringContaining('constructor is not a setting'),
    ])
  })

  test("variables of the commands and of the project's own tools are let through", () => {
    const environment = {
      MILLRACE_BOOTSTRAP: 'x',
      MILLRACE_CONFIG: 'y',
      MILLRACE_BENCH_ANY: '1',
      MILLRACE_TEST_ANY: '1',
      MILLRACE_PEERS_CACHE: '1',
    }
    expect(problemsOf({ environment })).toEqual([])
  })

  test('a name that resembles nothing gets no suggestion', () => {
    expect(nearest('unrelated', ['data', 'http'])).toBeNull()
    expect(nearest('x'.repeat(100_000), ['data'])).toBeNull()
    expect(nearest('htpt', ['data', 'http'])).toBeNull()
    expect(nearest('htt', ['data', 'http'])).toBe('http')
  })
})

describe('tables', () => {
  test('merge, and a key of two tables is one setting', () => {
    const merged = mergeTables(TABLE, { data: TABLE.data, http: TABLE.data })
    expect(Object.keys(merged)).toEqual([...Object.keys(TABLE), 'http'])
  })

  test('refuse two settings that would share one variable', () => {
    expect(() => mergeTables({ 'a.b': TABLE.data }, { 'a-b': TABLE.data })).toThrow(TypeError)
    expect(() => mergeTables({ a: TABLE.data }, { a: TABLE['auto.create'] })).toThrow(TypeError)
  })

  test('name their variables', () => {
    expect(environmentName('a.b.ms')).toBe('MILLRACE_A_B_MS')
  })
})
