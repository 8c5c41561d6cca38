/**
 * The flags of `start` and `config`, in one table: read here without a library, because a node
 * should take records before commander is loaded; shown by commander in help and completion.
 */
import { parseArgs } from 'node:util'
import { CommandError, EXIT } from 'millrace/errors'
import type { ConfigSources } from 'millrace/node'

/** A flag of `start`. */
type StartFlag = {
  /** Without dashes. */
  readonly name: string
  /** What its value is called; absent for a switch. */
  readonly value?: string
  /** The setting it gives, if it is one. */
  readonly key?: string
  readonly doc: string
}

export const START_FLAGS: readonly StartFlag[] = [
  { name: 'data', value: 'DIR', key: 'data', doc: 'folder of the data (default: data)' },
  {
    name: 'kafka',
    value: 'HOST:PORT',
    key: 'kafka',
    doc: 'where Kafka clients connect (default: 127.0.0.1:9092; port 0: a free one)',
  },
  {
    name: 'http',
    value: 'HOST:PORT',
    key: 'http',
    doc: 'where /healthz, /readyz and /metrics are (default: 127.0.0.1:8080; "off": nowhere)',
  },
  {
    name: 'advertise',
    value: 'HOST:PORT',
    key: 'advertise',
    doc: 'address that clients are told to connect to (default: the one at which they arrived)',
  },
  {
    name: 'insecure-listen',
    key: 'insecure.listen',
    doc: 'listen beyond this machine although nobody has to authenticate',
  },
  {
    name: 'set',
    value: 'KEY=VALUE',
    doc: 'any other setting, repeatable; "millrace config" shows all',
  },
  { name: 'app', value: 'NAME|FILE', doc: 'run an application on the node, and show its figures' },
  { name: 'demo', doc: 'with --app: let the application make traffic of its own' },
  {
    name: 'config',
    value: 'FILE',
    doc: 'configuration file (default: millrace.config.ts|js|json)',
  },
  { name: 'json', doc: 'for machines: one JSON object a line' },
  { name: 'debug', doc: 'show the stack of a failure' },
]

/** The flags as they were given. */
export type StartArguments = {
  readonly flags: NonNullable<ConfigSources['flags']>
  readonly configFile: string | undefined
  readonly json: boolean
  /** Name or path of an application. */
  readonly application: string | undefined
  readonly demo: boolean
}

/** Reads the arguments after `start`. Throws a usage error that names what is wrong. */
export function parseStartArguments(args: readonly string[]): StartArguments {
  const given = parsed(args)
  const flags: { key: string; value: string | boolean; flag: string }[] = []
  for (const { name, key } of START_FLAGS) {
    const value = given[name]
    if (key === undefined || value === undefined || Array.isArray(value)) continue
    flags.push({ key, value, flag: `--${name}` })
  }
  for (const text of setTexts(given['set'])) {
    const at = text.indexOf('=')
    if (at < 1) throw new CommandError(`--set wants KEY=VALUE, not "${text}"`, EXIT.usage)
    flags.push({ key: text.slice(0, at), value: text.slice(at + 1), flag: '--set' })
  }
  const configFile = given['config']
  return {
    flags,
    configFile: typeof configFile === 'string' ? configFile : undefined,
    json: given['json'] === true,
    application: typeof given['app'] === 'string' ? given['app'] : undefined,
    demo: given['demo'] === true,
  }
}

type Given = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

function parsed(args: readonly string[]): Given {
  const options = Object.fromEntries(
    START_FLAGS.map(({ name, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', multiple: name === 'set' } as const,
    ]),
  )
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (cause) {
    // Node's text goes on with advice about positional arguments that does not apply here.
    const message = cause instanceof Error ? cause.message.split('. ', 1)[0] : String(cause)
    throw new CommandError(
      message ?? 'bad arguments',
      EXIT.usage,
      'Run "millrace start --help".',
      cause,
    )
  }
}

function setTexts(value: Given[string]): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}
