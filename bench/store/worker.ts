// The process under measurement: `worker.ts JOB`, one measurement of one contender, whose figures
// are the last line of its output. What a job is stands in {@link Job}.
import type { Contender, Figures, Place, Postgres, Shapes, StorePart } from './contenders.ts'
import { contenders } from './roster.ts'

/** One measurement, as the worker's only argument in JSON. */
export interface Job {
  readonly contender: string
  readonly part: StorePart
  readonly shape: Shapes[StorePart]
  readonly folder: string
  readonly postgres?: Postgres
}

function measure<P extends StorePart>(
  contender: Contender,
  part: P,
  place: Place,
  shape: Shapes[P],
): Promise<Figures> {
  const measure = contender.measures[part]
  if (measure === undefined) throw new Error(`${contender.name} takes no part in ${part}`)
  return measure(place, shape)
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job
const contender = contenders.find(each => each.name === job.contender)
if (contender === undefined) throw new Error(`no such contender: ${job.contender}`)
const place: Place = { folder: job.folder, postgres: job.postgres }
console.log(JSON.stringify(await measure(contender, job.part, place, job.shape)))
