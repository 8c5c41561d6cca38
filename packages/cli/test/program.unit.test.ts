import { CommanderError } from 'commander'
import { EXIT } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { printCompletion } from '../src/commands/completion.ts'
import type { LogFlags, Runner } from '../src/flags.ts'
import { buildProgram } from '../src/program.ts'
import { commandRun } from './support/command-run.ts'
import { ScriptedLog } from './support/scripted-log.ts'

/** Runs a command line on a log in memory; what commander itself would print is kept apart. */
async function run(log: ScriptedLog, args: readonly string[], stdin = '') {
  let flags: LogFlags = {}
  let code: number | null = null
  const surroundings = commandRun(log, { stdin, json: args.includes('--json') })
  const runner: Runner = {
    async withLog(given, body) {
      flags = given
      code = await body(surroundings)
    },
    async alone(_, body) {
      code = await body(surroundings)
    },
  }
  let printed = ''
  const program = buildProgram(runner, '1.2.3')
  const keep = (text: string): void => {
    printed += text
  }
  for (const each of [program, ...program.commands.flatMap(one => [one, ...one.commands])]) {
    each.configureOutput({ writeOut: keep, writeErr: keep })
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    code = error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
  return { code, flags, printed, out: surroundings.stdout, err: surroundings.stderr }
}

describe('the command line', () => {
  test('reaches every command about a log with its flags', async () => {
    const log = new ScriptedLog()
    const created = await run(log, ['topics', 'create', 't', '--partitions', '3', '-b', 'h:1'])
    expect(created).toMatchObject({ code: 0, flags: { bootstrap: 'h:1', partitions: 3 } })
    const produced = await run(
      log,
      ['produce', 't', '-k', 'id', '-H', 'a=1', '-H', 'b=2'],
      '{"id":1}\n',
    )
    expect(produced.code).toBe(0)
    const consumed = await run(log, [
      'consume',
      't',
      '--until-end',
      '--format',
      '{{header.b}} {{key}}',
    ])
    expect(consumed.out.text).toBe('2 1\n')
    const offsets = await run(log, ['offsets', 't', '--json'])
    expect(offsets.out.json).toHaveLength(3)
    const chosen = await run(log, ['consume', 't', '-p', '0', '-p', '1', '-n', '0'])
    expect(chosen.flags).toMatchObject({ partition: [0, 1], limit: 0 })
    expect((await run(log, ['groups', 'list'])).code).toBe(0)
    expect((await run(log, ['topics', 'delete', 't'])).code).toBe(0)
  })

  test('is a usage error where it is wrong, and names what was probably meant', async () => {
    const log = new ScriptedLog()
    for (const args of [
      ['produse'],
      ['topics', 'create'],
      ['consume', 't', '--limit', 'ten'],
      ['consume', 't', '--limit', '-1'],
      ['produce', 't', '--acks', '2'],
      ['groups', 'reset', 'g'],
      ['topics'],
      [],
    ]) {
      expect([args, (await run(log, args)).code]).toEqual([args, EXIT.usage])
    }
    expect((await run(log, ['produse'])).printed).toContain('Did you mean produce?')
    expect((await run(log, ['consume', 't', '--untilend'])).printed).toContain('--until-end')
  })

  test('explains itself, exit codes included', async () => {
    const { code, printed } = await run(new ScriptedLog(), ['--help'])
    expect(code).toBe(EXIT.ok)
    for (const name of ['start', 'config', 'topics', 'produce', 'consume', 'groups', 'offsets']) {
      expect(printed).toContain(`\n  ${name}`)
    }
    for (const name of ['verify', 'dump', 'bench', 'completion', 'Exit codes:']) {
      expect(printed).toContain(name)
    }
    expect((await run(new ScriptedLog(), ['start', '--help'])).printed).toContain('--advertise')
    expect((await run(new ScriptedLog(), ['--version'])).printed).toBe('1.2.3\n')
  })

  test('measures itself with bench, and leaves nothing behind', async () => {
    const log = new ScriptedLog()
    const args = [
      'bench',
      '--records',
      '500',
      '--record-bytes',
      '100',
      '--partitions',
      '2',
      '--json',
    ]
    const { code, out } = await run(log, args)
    expect(code).toBe(0)
    expect(out.json).toEqual([
      expect.objectContaining({ phase: 'produce', records: 500, bytes: 50_000 }),
      expect.objectContaining({ phase: 'consume', records: 500, bytes: 50_000 }),
    ])
    expect(log.topics.size).toBe(0)
  })
})

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])('of %s knows commands, subcommands and flags', async shell => {
    const { code, out } = await run(new ScriptedLog(), ['completion', shell])
    expect(code).toBe(0)
    for (const word of ['produce', 'describe', 'until-end', 'insecure-listen']) {
      expect(out.text).toContain(word)
    }
  })

  test('of another shell is refused with those that there are', () => {
    const program = buildProgram({ withLog: async () => {}, alone: async () => {} }, '1')
    const context = commandRun(new ScriptedLog())
    expect(() => printCompletion(context, program, 'csh')).toThrow('no completion for csh')
  })
})
