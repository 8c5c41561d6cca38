// Who takes part, in the order of the tables' columns.
import type { Contender } from './contenders.ts'
import { disk } from './disk.ts'
import { emmett } from './emmett.ts'
import { millrace } from './millrace.ts'
import { rawPostgres } from './raw-postgres.ts'

/** All contenders. */
export const contenders: readonly Contender[] = [millrace, emmett, rawPostgres, disk]
