// What a run of the event-store benchmark measures, from the command line. A whole run takes about
// half an hour on two cores; `--quick` has one round, short loads and fewer events, and takes some
// minutes.
import { parseArgs } from 'node:util'
import { resultsFolder } from '../options.ts'
import { type Shapes, type StorePart, storeParts } from './contenders.ts'

/** The settings of a run. */
export interface StoreOptions {
  readonly only: ReadonlySet<StorePart>
  readonly rounds: number
  /** Names of the contenders to run. */
  readonly contenders: ReadonlySet<string>
  /** What each part measures. */
  readonly shapes: { readonly [P in StorePart]: readonly Shapes[P][] }
  /** Connections that a client of PostgreSQL keeps at most. */
  readonly connections: number
  /** Added sync latencies in ms; the whole run is made once for each. */
  readonly syncDelays: readonly number[]
  /** Data folders and results. */
  readonly folder: string
}

const eventsPerAppend = [1, 10]
const loadedEvents = 10_000

const isPart = (name: string): name is StorePart => (storeParts as readonly string[]).includes(name)

const usage = (known: readonly string[]): string => `npm run bench:store -- [options]
  --quick             one round, short loads, fewer events
  --only LIST         of ${storeParts.join(',')}
  --contenders LIST   of ${known.join(',')} (default: all)
  --rounds N          rounds of each measurement; medians are reported (default 3)
  --writers LIST      writers of the appends part (default 1,64,512)
  --connections N     connections of a PostgreSQL client at most (default 16)
  --events N          events of the projection parts and the rebuild, in hundreds (default 100000)
  --seconds N         seconds of each load, after its warm-up (default 5)
  --sync-delays LIST  added sync latencies in ms, one whole run each (default 0)
  --folder DIR        data folders and results (default bench/results)`

/** Reads the command line. Prints the usage and ends the process on --help or a bad value. */
export function readStoreOptions(args: readonly string[], known: readonly string[]): StoreOptions {
  try {
    return parse(args, known)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    console.error(usage(known))
    process.exit(2)
  }
}

/** Whole numbers of a comma-separated list, `least` or more each. */
function numbers(
  name: string,
  text: string | undefined,
  usual: readonly number[],
  least: number,
): readonly number[] {
  if (text === undefined) return usual
  const list = text.split(',').map(Number)
  if (list.some(n => !Number.isInteger(n) || n < least)) {
    throw new Error(`--${name} takes whole numbers from ${least}, not ${text}`)
  }
  return list
}

function parse(args: readonly string[], known: readonly string[]): StoreOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      contenders: { type: 'string' },
      rounds: { type: 'string' },
      writers: { type: 'string' },
      connections: { type: 'string' },
      events: { type: 'string' },
      seconds: { type: 'string' },
      'sync-delays': { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) throw new Error('event stores side by side, turn by turn')
  const { quick } = values
  type Single = 'rounds' | 'connections' | 'events' | 'seconds'
  const number = (name: Single, usual: number, least: number): number =>
    numbers(name, values[name], [usual], least)[0] ?? usual
  const only = (values.only?.split(',') ?? storeParts).map(name => {
    if (!isPart(name)) throw new Error(`no such part: ${name}`)
    return name
  })
  const contenders = values.contenders?.split(',') ?? known
  for (const name of contenders) {
    if (!known.includes(name)) throw new Error(`no such contender: ${name}`)
  }
  const seconds = number('seconds', quick ? 2 : 5, 1)
  const events = number('events', quick ? 20_000 : 100_000, 100)
  if (events % 100 !== 0) throw new Error(`--events takes hundreds, not ${events}`)
  return {
    only: new Set(only),
    rounds: number('rounds', quick ? 1 : 3, 1),
    contenders: new Set(contenders),
    shapes: {
      disk: [{ seconds }],
      appends: numbers('writers', values.writers, [1, 64, 512], 1).flatMap(writers =>
        eventsPerAppend.map(each => ({ writers, eventsPerAppend: each, seconds })),
      ),
      loading: [false, true].map(snapshot => ({ events: loadedEvents, snapshot, seconds })),
      projection: [{ events }],
      'projection-batch': [{ events }],
      rebuild: [{ events }],
    },
    connections: number('connections', 16, 1),
    syncDelays: numbers('sync-delays', values['sync-delays'], [0], 0),
    folder: values.folder ?? resultsFolder,
  }
}
