/** The commands about applications: imports, replays, streams, projections, categories. */
import type { Command } from 'commander'
import type { ExitCode } from 'millrace/errors'
import type { ImportOptions, ReplayOptions } from './commands/applications.ts'
import type { RewriteCategoryOptions } from './commands/category.ts'
import type { ProjectionFlags, Projections, RedriveOptions } from './commands/projections.ts'
import type {
  DiffStreamOptions,
  ListStreamsOptions,
  ShowStreamOptions,
} from './commands/streams.ts'
import {
  aboutFiles,
  aboutLog,
  type CommandFlags,
  type LogFlags,
  type Runner,
  wholeNumber,
  withData,
} from './flags.ts'
import type { CommandContext } from './terminal/context.ts'

const IMPORT_CONCURRENCY = 512

/** Adds all of them. */
export function addApplicationCommands(program: Command, runner: Runner): void {
  addImports(program, runner)
  addStreams(program, runner)
  addProjections(program, runner)
  addCategory(program, runner)
}

function addImports(program: Command, runner: Runner): void {
  withData(aboutLog(program.command('import').description('run the lines of a file as commands')))
    .argument('<application>', 'name or file of an application')
    .argument('[file]', 'NDJSON (default: standard input)')
    .option('--concurrency <n>', 'commands under way at once', wholeNumber, IMPORT_CONCURRENCY)
    .option('-q, --quiet', 'no progress and no summary')
    .action((name: string, file: string | undefined, options: ImportOptions & LogFlags) =>
      runner.withLog({ ...options, makesData: true }, async context =>
        (await import('./commands/applications.ts')).importFile(context, name, file, options),
      ),
    )
  withData(
    aboutLog(program.command('replay').description('the read models as they were at a time')),
  )
    .argument('<application>', 'name or file of an application')
    .option('--at <time>', 'such as 2012-01-01T00:00:00Z (default: now)')
    .action((name: string, options: ReplayOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/applications.ts')).replay(context, name, options),
      ),
    )
}

function addStreams(program: Command, runner: Runner): void {
  const streams = program.command('streams').description('list, show, diff')
  aboutStreams(streams.command('list').description('streams of a category, by id'))
    .argument('<category>')
    .option('--prefix <text>', 'only ids that begin with it')
    .option('--after <id>', 'only ids after this one')
    .option('-n, --limit <n>', 'at most so many (default: 100)', wholeNumber)
    .action((category: string, options: ListStreamsOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/streams.ts')).listStreams(context, category, options),
      ),
    )
  aboutStreams(streams.command('show').description('the events of a stream'))
    .argument('<category>')
    .argument('<id>')
    .option('--from <version>', 'first version', wholeNumber)
    .option('--to <version>', 'last version', wholeNumber)
    .option('-n, --limit <n>', 'at most so many', wholeNumber)
    .option('--backwards', 'the last one first')
    .action((category: string, id: string, options: ShowStreamOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/streams.ts')).showStream(context, category, id, options),
      ),
    )
  aboutStreams(streams.command('diff').description('what changed in the state of a stream'))
    .argument('<category>')
    .argument('<id>')
    .option('--from <version>', 'before (default: the version before --to)', wholeNumber)
    .option('--to <version>', 'after (default: the last)', wholeNumber)
    .action((category: string, id: string, options: DiffStreamOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/streams.ts')).diffStream(context, category, id, options),
      ),
    )
}

function addProjections(program: Command, runner: Runner): void {
  const projections = program.command('projections').description('list, rebuild, parked, redrive')
  const about = (command: Command): Command =>
    withData(aboutFiles(command)).option(
      '--http <HOST:PORT>',
      'HTTP side of the node that runs it (MILLRACE_HTTP; 127.0.0.1:8080)',
    )
  type Flags = ProjectionFlags & CommandFlags
  const run = async (
    name: string,
    flags: Flags,
    body: (context: CommandContext, projections: Projections) => Promise<ExitCode>,
  ): Promise<void> => {
    const { inFolder, onNode } = await import('./commands/projections.ts')
    const { data } = flags
    if (data === undefined) {
      return runner.alone(flags, context => body(context, onNode(name, flags)))
    }
    return runner.withLog({ ...flags, data }, context =>
      inFolder(context, name, data, own => body(context, own)),
    )
  }
  about(projections.command('list').description('the read models of an application'))
    .argument('<application>')
    .action((name: string, flags: Flags) =>
      run(name, flags, async (context, all) =>
        (await import('./commands/projections.ts')).listProjections(context, all),
      ),
    )
  about(
    projections.command('rebuild').description('make a read model anew, beside the present one'),
  )
    .argument('<application>')
    .argument('<projection>')
    .action((name: string, projection: string, flags: Flags) =>
      run(name, flags, async (context, all) =>
        (await import('./commands/projections.ts')).rebuildProjection(context, all, projection),
      ),
    )
  about(projections.command('parked').description('streams that are passed over, and why'))
    .argument('<application>')
    .argument('[projection]')
    .action((name: string, projection: string | undefined, flags: Flags) =>
      run(name, flags, async (context, all) =>
        (await import('./commands/projections.ts')).listParked(context, all, projection),
      ),
    )
  about(projections.command('redrive').description('handle parked streams after all'))
    .argument('<application>')
    .argument('<projection>')
    .option('-n, --limit <n>', 'at most so many, the oldest first (default: 100)', wholeNumber)
    .option('--stream <CATEGORY/ID>', 'only this one')
    .option('--tenant <name>', 'with --stream: its tenant')
    .action((name: string, projection: string, flags: Flags & RedriveOptions) =>
      run(name, flags, async (context, all) =>
        (await import('./commands/projections.ts')).redriveProjection(
          context,
          all,
          projection,
          flags,
        ),
      ),
    )
}

function aboutStreams(command: Command): Command {
  return withData(aboutLog(command))
    .option('--app <application>', 'name or file of the application that knows the events')
    .option('--tenant <name>', 'streams of this tenant')
}

function addCategory(program: Command, runner: Runner): void {
  const category = program.command('category').description('rewrite')
  aboutFiles(
    category.command('rewrite').description('write a category anew, without what is no event'),
  )
    .argument('<category>')
    .requiredOption('--data <DIR>', 'a data folder that no node has open')
    .option('--buckets <n>', 'spread the streams over so many (needs --app)', wholeNumber)
    .option('--app <application>', 'with --buckets: the application whose category it is')
    .option('--drop-truncated', 'drop the data of events that were truncated')
    .option('--drop-tombstoned', 'drop the data of streams that were deleted')
    .option('--dry-run', 'count only')
    .action((name: string, options: RewriteCategoryOptions & LogFlags) =>
      runner.withLog(options, async context =>
        (await import('./commands/category.ts')).rewrite(context, name, options),
      ),
    )
}
