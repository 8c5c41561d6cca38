import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { printCompletion } from '../src/commands/completion.ts'
import { buildProgram } from '../src/program.ts'
import { commandRun } from './support/command-run.ts'
import { ScriptedLog } from './support/scripted-log.ts'

function completed(line: string): string[] {
  const context = commandRun(new ScriptedLog())
  printCompletion(
    context,
    buildProgram({ withLog: async () => {}, alone: async () => {} }, '1'),
    'bash',
  )
  const words = line.split(' ')
  const script = `${context.stdout.text}
COMP_WORDS=(${words.map(word => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_millrace
printf '%s\\n' "\${COMPREPLY[@]}"`
  const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  expect(run.stderr).toBe('')
  return run.stdout.split('\n').filter(Boolean)
}

test('bash completes commands, subcommands and flags', () => {
  expect(completed('millrace prod')).toEqual(['produce'])
  expect(completed('millrace topics d')).toEqual(['describe', 'delete'])
  expect(completed('millrace consume loans --until')).toEqual(['--until-end'])
  expect(completed('millrace groups reset g --dry')).toEqual(['--dry-run'])
})
