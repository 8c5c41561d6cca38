import { CommandError } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { parseStartArguments } from '../src/start-options.ts'

describe('the flags of start', () => {
  test('become settings with the flag as their origin', () => {
    const args = [
      '--data',
      'd',
      '--kafka=h:1',
      '--insecure-listen',
      '--set',
      'a.b=c=d',
      '--set',
      'e=1',
    ]
    expect(parseStartArguments([...args, '--config', 'f.json', '--json'])).toEqual({
      flags: [
        { key: 'data', value: 'd', flag: '--data' },
        { key: 'kafka', value: 'h:1', flag: '--kafka' },
        { key: 'insecure.listen', value: true, flag: '--insecure-listen' },
        { key: 'a.b', value: 'c=d', flag: '--set' },
        { key: 'e', value: '1', flag: '--set' },
      ],
      configFile: 'f.json',
      json: true,
      application: undefined,
      demo: false,
    })
  })

  test('name an application, and whether it makes traffic', () => {
    const given = parseStartArguments(['--app', 'loans', '--demo'])
    expect(given).toMatchObject({ application: 'loans', demo: true })
  })

  test.each([[['--dta', 'x']], [['folder']], [['--data']], [['--set', 'novalue']], [['--json=1']]])(
    '%j is a usage error',
    args => {
      expect(() => parseStartArguments(args)).toThrow(CommandError)
    },
  )
})
