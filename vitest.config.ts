// One project per cost suffix: unit (pure, milliseconds), sim (seeded simulation, virtual time),
// int (real files, sockets or threads on this machine), e2e (whole processes and foreign clients).
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const conditions = ['millrace:source', 'module', 'node', 'development|production']

/** Files that take longest, in that order: begun first, so that none of them is left over alone. */
const LONGEST = [
  'loans-application.e2e',
  'exhaustive.sim',
  'damage.sim',
  'kafka-conformance.e2e',
  'java.e2e',
  'crash.sim',
  'turns.int',
  'embedded.int',
  'loans.e2e',
  'listener-fuzz.int',
  'damage.repair.int',
  'compaction-exhaustive.sim',
  'store.e2e',
  'kill.e2e',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex(name => moduleId.endsWith(`/${name}.test.ts`))
      return place === -1 ? LONGEST.length : place
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

const project = (suffix: string, testTimeout: number) => ({
  ssr: { resolve: { conditions } },
  resolve: { conditions },
  test: {
    name: suffix,
    include: [
      `packages/*/test/**/*.${suffix}.test.ts`,
      `test/**/*.${suffix}.test.ts`,
      `examples/**/*.${suffix}.test.ts`,
    ],
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
    // Pure files keep nothing behind: loading all modules anew for each costs more than most of them.
    isolate: suffix !== 'unit',
  },
})

export default defineConfig({
  test: {
    // Files of whole processes wait more than they work: beside each other and beside the simulations.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      project('unit', 20_000),
      project('sim', 900_000),
      project('int', 60_000),
      project('e2e', 300_000),
    ],
  },
})
