// One project per cost suffix: unit (pure, milliseconds), sim (seeded simulation, virtual time),
// int (real files, sockets or threads on this machine), e2e (whole processes and foreign clients).
import { defineConfig } from 'vitest/config'

const conditions = ['millrace:source', 'module', 'node', 'development|production']

const project = (suffix: string, testTimeout: number, parallel: boolean) => ({
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
    fileParallelism: parallel,
    pool: 'forks' as const,
  },
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', 20_000, true),
      project('sim', 900_000, true),
      project('int', 60_000, true),
      project('e2e', 300_000, false),
    ],
  },
})
