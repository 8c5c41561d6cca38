/**
 * The command line in one place: every command, its arguments, its flags. What a command does is
 * loaded when it runs, so that `millrace topics list` does not read the code of `bench`.
 */
import { Command, Option } from 'commander'
import { addApplicationCommands } from './application-commands.ts'
import type { BenchOptions } from './commands/bench.ts'
import type { ConsumeOptions } from './commands/consume.ts'
import type { DumpOptions } from './commands/dump.ts'
import type { ResetGroupOptions } from './commands/groups.ts'
import type { ProduceOptions } from './commands/produce.ts'
import type { RepairOptions } from './commands/repair.ts'
import type {
  AlterTopicOptions,
  CreateTopicsOptions,
  ListTopicsOptions,
} from './commands/topics.ts'
import {
  aboutFiles,
  aboutLog,
  type CommandFlags,
  collect,
  collectNumbers,
  type LogFlags,
  type Runner,
  wholeNumber,
} from './flags.ts'
import { START_FLAGS } from './start-options.ts'
import { PLACE_HELP } from './text/place.ts'
import { TEMPLATE_NAMES } from './text/template.ts'

const BENCH_RECORDS = 100_000
const BENCH_RECORD_BYTES = 1_024
const BENCH_PARTITIONS = 12

const EXIT_HELP = `
Exit codes:
  0  done                      3  no node reachable at the bootstrap address
  1  failed                    4  damage found (verify, dump, repair)
  2  wrong command line or     5  data folder or port in use by another process
     configuration           130  interrupted

Environment:
  MILLRACE_BOOTSTRAP  default of --bootstrap (127.0.0.1:9092)
  MILLRACE_CONFIG     default of --config
  MILLRACE_*          any setting of the node, see "millrace config"`

/** The whole command line. */
export function buildProgram(runner: Runner, version: string): Command {
  const program = new Command('millrace')
    // First, because subcommands take it over when they are made.
    .exitOverride()
    .description('A durable event log in one process; every Kafka client can talk to it.')
    .version(version)
    .addHelpText('after', EXIT_HELP)
  addNode(program)
  addTopics(program, runner)
  addProduce(program, runner)
  addConsume(program, runner)
  addBench(program, runner)
  addGroups(program, runner)
  addFiles(program, runner)
  addApplicationCommands(program, runner)
  program
    .command('completion')
    .description('print a completion script; see its first lines for how to install it')
    .argument('<shell>', 'bash, zsh or fish')
    .action((shell: string) =>
      runner.alone({}, async context => {
        const { printCompletion } = await import('./commands/completion.ts')
        return printCompletion(context, program, shell)
      }),
    )
  return program
}

function addNode(program: Command): void {
  // Here for help and completion only: main.ts runs both without commander.
  const start = program.command('start').description('run a node until SIGTERM or SIGINT')
  const config = program
    .command('config')
    .description('print the effective configuration and where each value came from')
  for (const { name, value, doc } of START_FLAGS) {
    const flag = value === undefined ? `--${name}` : `--${name} <${value}>`
    start.option(flag, doc)
    config.option(flag, doc)
  }
  // Its flags are read by the table of `start`, which knows the settings behind them.
  config
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new TypeError('config is run by main.ts')
    })
  start.action(() => {
    throw new TypeError('start is run by main.ts')
  })
}

function addTopics(program: Command, runner: Runner): void {
  const topics = program.command('topics').description('list, create, describe, alter, delete')
  aboutLog(topics.command('list').description('all topics'))
    .option('--internal', 'topics of the log itself too')
    .option('--long', 'count records and bytes')
    .action((options: ListTopicsOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/topics.ts')).listTopics(context, options),
      ),
    )
  aboutLog(topics.command('create').description('create topics').argument('<topic...>'))
    .option('--partitions <n>', 'number of partitions (default: that of the node)', wholeNumber)
    .option('--replication-factor <n>', 'copies (default: that of the node)', wholeNumber)
    .option('--config <NAME=VALUE>', 'configuration, repeatable', collect)
    .option('--if-not-exists', 'no failure when the topic exists')
    .option('--dry-run', 'check only')
    .action((names: string[], options: CreateTopicsOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/topics.ts')).createTopics(context, names, options),
      ),
    )
  aboutLog(topics.command('describe').description('partitions and configuration'))
    .argument('<topic>')
    .option('--all', 'configuration that is by default too')
    .action((name: string, options: { all?: boolean } & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/topics.ts')).describeTopic(context, name, options),
      ),
    )
  aboutLog(topics.command('alter').description('add partitions, change configuration'))
    .argument('<topic>')
    .option('--partitions <n>', 'raise the number of partitions to this', wholeNumber)
    .option('--config <NAME=VALUE>', 'set, repeatable', collect)
    .option('--unset <NAME>', 'back to the default, repeatable', collect)
    .option('--dry-run', 'check only')
    .action((name: string, options: AlterTopicOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/topics.ts')).alterTopic(context, name, options),
      ),
    )
  aboutLog(topics.command('delete').description('delete topics and all their records'))
    .argument('<topic...>')
    .option('--if-exists', 'no failure when a topic is not there')
    .action((names: string[], options: { ifExists?: boolean } & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/topics.ts')).deleteTopics(context, names, options),
      ),
    )
}

function addProduce(program: Command, runner: Runner): void {
  const produce = aboutLog(program.command('produce').description('write records, one a line'))
    .argument('<topic>')
    .option('-f, --file <path>', 'read from a file (default: standard input)')
    .option('-k, --key <field>', 'key: a field of each NDJSON line, dotted path')
    .option('-K, --key-separator <text>', 'key: what stands before this text in each line')
    .option('-H, --header <NAME=VALUE>', 'header of every record, repeatable', collect)
    .option('--null-value <text>', 'a value that is this text is written as null (a tombstone)')
    .option('-p, --partition <n>', 'write to this partition only', wholeNumber)
    .option('--create-partitions <n>', 'partitions of the topic if it is created', wholeNumber)
    .option('--no-create', 'fail when the topic does not exist')
    .option('--batch-bytes <n>', 'size of batches', wholeNumber)
    .option('--linger-ms <n>', 'how long a batch waits for more', wholeNumber)
    .option('--line-bytes-max <n>', 'longest line', wholeNumber)
    .option('--strict', 'stop at the first bad line, instead of going on without it')
    .option('-q, --quiet', 'no progress and no summary')
  produce
    .addOption(
      new Option('-z, --compression <codec>', 'compression of batches')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .addOption(
      new Option('--acks <acks>', 'what counts as written')
        .choices(['0', '1', 'all'])
        .default('all'),
    )
    .addOption(
      new Option(
        '--input <format>',
        'what a line is; ndjson checks each (default with --key)',
      ).choices(['lines', 'ndjson']),
    )
    .action((topic: string, options: ProduceOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/produce.ts')).produce(context, topic, options),
      ),
    )
}

function addConsume(program: Command, runner: Runner): void {
  aboutLog(program.command('consume').description('print records; follows until interrupted'))
    .argument('<topic>')
    .option(
      '--from <place>',
      `where to begin: ${PLACE_HELP} (default: latest; with --until-end or --limit: earliest)`,
    )
    .option('--until-end', 'end at the high watermark of now')
    .option('-n, --limit <n>', 'end after so many records', wholeNumber)
    .option('-p, --partition <n>', 'only this partition, repeatable', collectNumbers)
    .option('-g, --group <id>', 'as a member of this group, whose offsets are committed')
    .option(
      '--format <format>',
      `json, value, or a template of {{${TEMPLATE_NAMES.join('}}, {{')}}} (default: value on a terminal, else json)`,
    )
    .action((topic: string, options: ConsumeOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/consume.ts')).consume(context, topic, options),
      ),
    )
  aboutLog(program.command('offsets').description('where partitions begin and end'))
    .argument('<topic>')
    .option('--at <place>', `and the offset of: ${PLACE_HELP}`)
    .action((topic: string, options: { at?: string } & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/offsets.ts')).showOffsets(context, topic, options),
      ),
    )
}

function addBench(program: Command, runner: Runner): void {
  aboutLog(program.command('bench').description('write and read back, and print rate and latency'))
    .option('--topic <name>', 'topic to use and keep (default: a new one, deleted at the end)')
    .option('--records <n>', 'records to write', wholeNumber, BENCH_RECORDS)
    .option('--record-bytes <n>', 'size of each value', wholeNumber, BENCH_RECORD_BYTES)
    .option('--partitions <n>', 'partitions of the new topic', wholeNumber, BENCH_PARTITIONS)
    .option('--rate <n>', 'records a second (default: as many as possible)', wholeNumber)
    .option('--no-consume', 'do not read back')
    .addOption(
      new Option('-z, --compression <codec>', 'compression of batches')
        .choices(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
        .default('none'),
    )
    .action((options: BenchOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/bench.ts')).bench(context, options),
      ),
    )
}

function addGroups(program: Command, runner: Runner): void {
  const groups = program.command('groups').description('list, describe, reset, delete')
  aboutLog(groups.command('list').description('all consumer groups'))
    .option('--state <state>', 'only groups in this state, repeatable', collect)
    .action((options: { state?: string[] } & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/groups.ts')).listGroups(context, options),
      ),
    )
  aboutLog(groups.command('describe').description('members, committed offsets, lag'))
    .argument('<group>')
    .action((group: string, options: LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/groups.ts')).describeGroup(context, group),
      ),
    )
  aboutLog(groups.command('reset').description('move the committed offsets of an empty group'))
    .argument('<group>')
    .requiredOption('--to <place>', PLACE_HELP)
    .option('--topic <TOPIC[:0,1]>', 'only these, repeatable (default: all committed)', collect)
    .option('--dry-run', 'show what would change')
    .action((group: string, options: ResetGroupOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/groups.ts')).resetGroup(context, group, options),
      ),
    )
  aboutLog(groups.command('delete').description('forget groups and their offsets'))
    .argument('<group...>')
    .action((ids: string[], options: LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/groups.ts')).deleteGroups(context, ids),
      ),
    )
}

function addFiles(program: Command, runner: Runner): void {
  aboutFiles(program.command('verify').description('check a data folder that nobody has open'))
    .argument('<dir>')
    .action((folder: string, options: CommandFlags) =>
      runner.alone(options, async context =>
        (await import('./commands/verify.ts')).verify(context, folder),
      ),
    )
  aboutFiles(
    program.command('repair').description('go on without what is damaged in a data folder'),
  )
    .argument('<dir>')
    .option('--accept-loss', 'give up what is damaged; without it nothing is changed')
    .action((folder: string, options: RepairOptions & CommandFlags) =>
      runner.alone(options, async context =>
        (await import('./commands/repair.ts')).repair(context, folder, options),
      ),
    )
  aboutFiles(program.command('dump').description('print a segment, or the journal of a folder'))
    .argument('<file-or-dir>')
    .option('--records', 'the records of each batch too')
    .action((path: string, options: DumpOptions & CommandFlags) =>
      runner.alone(options, async context =>
        (await import('./commands/dump.ts')).dump(context, path, options),
      ),
    )
}
