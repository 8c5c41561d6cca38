/** `millrace config`: the effective configuration, and where each value came from. */

import { EXIT, type ExitCode } from 'millrace/errors'
import type { ConfigLine } from 'millrace/node'
import { environmentName, loadConfig } from 'millrace/node'
import { parseStartArguments } from '../start-options.ts'
import { type CommandContext, printRows } from '../terminal/context.ts'

/** `config`, with the flags of `start` */
export async function showConfig(
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  const { flags, configFile } = parseStartArguments(args)
  const config = await loadConfig({
    flags,
    configFile,
    environment: process.env,
    folder: process.cwd(),
  })
  const lines = [...config.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  printRows(
    context,
    lines,
    {
      setting: line => line.key,
      value: line => (line.value === '' ? '-' : String(line.value)),
      from: fromText,
      allowed: allowedText,
      environment: line => environmentName(line.key),
    },
    line => ({
      key: line.key,
      value: line.value,
      source: line.source,
      origin: line.origin,
      environment: environmentName(line.key),
      allowed: allowedText(line),
      doc: line.setting.doc,
    }),
  )
  return EXIT.ok
}

function fromText(line: ConfigLine): string {
  return line.source === 'default' ? 'default' : `${line.source} ${line.origin}`
}

function allowedText({ setting }: ConfigLine): string {
  switch (setting.type) {
    case 'integer':
      return `${setting.min} to ${setting.max}`
    case 'boolean':
      return 'true, false'
    case 'choice':
      return setting.choices.join(', ')
    case 'text':
      return 'text'
  }
}
