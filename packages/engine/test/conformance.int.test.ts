// The embedded engine keeps every promise of the port, on real files.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logConformance } from '@millrace/conformance/log'
import type { Log } from '@millrace/log'
import { afterAll, describe, test } from 'vitest'
import { type Engine, openEngine } from '../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-conformance-'))
const folders = new WeakMap<Log, string>()
let opened = 0

async function openIn(folder: string): Promise<Engine> {
  const log = await openEngine({
    folder,
    // Small files and groups, so that rolling, checkpoints and cleaning happen in the cases.
    settings: {
      'journal.file.bytes': 2 << 20,
      'checkpoint.bytes': 256 << 10,
      'log.cleaner.backoff.ms': 100,
    },
    groupSettings: { 'group.min.session.timeout.ms': 1000 },
  })
  folders.set(log, folder)
  return log
}

afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('the embedded engine', () => {
  const cases = logConformance({
    open: () => openIn(join(root, String(opened++))),
    reopen: async log => {
      await log.close()
      return openIn(folders.get(log) ?? root)
    },
    features: {
      compactedTopics: true,
      cleansSoon: true,
      singleNode: true,
      durability: true,
      refusesTransactions: true,
      closes: true,
      sessionTimeoutMsMin: 1000,
    },
  })
  for (const { name, run } of cases) test.concurrent(name, run)
})
