// How far an import runs ahead of what is not done yet.
import type { CommandMessage } from '@millrace/model'
import type { ImportedCommand } from 'millrace'
import { expect, it } from 'vitest'
import { Importer, LINES_AHEAD_MAX } from '../../src/application/importer.ts'
import type { RunningApplication } from '../../src/application/run-application.ts'

const concurrency = 512

/** An application whose stream `stuck` answers when it is let go, and every other one at once. */
function stuckApplication() {
  const stuck = Promise.withResolvers<void>()
  const application = {
    commands: {
      run: async ({ id }: CommandMessage) => {
        if (id === 'stuck') await stuck.promise
        return { ok: true, version: 1, duplicate: false }
      },
    },
    store: { state: async () => ({ version: 0 }) },
  } as unknown as RunningApplication
  return { application, letGo: stuck.resolve }
}

it('an import runs a bounded number of lines ahead of one that is not done', async () => {
  const { application, letGo } = stuckApplication()
  const importLine = (id: unknown): ImportedCommand => ({
    ...{ aggregate: 'loan', command: 'submit', data: {} },
    ...{ id: String(id), commandId: `${id}/0`, version: 0 },
  })
  const importer = new Importer(application, importLine, concurrency)
  const feeding = (async () => {
    await importer.line('"stuck"')
    for (let line = 0; line < 3 * LINES_AHEAD_MAX; line += 1) await importer.line(String(line))
  })()
  for (let turn = 0; turn < 10 * LINES_AHEAD_MAX; turn += 1) await Promise.resolve()
  await new Promise(setImmediate)
  expect(importer.progress.lines).toBe(1 + LINES_AHEAD_MAX)
  letGo()
  await feeding
  expect(await importer.end()).toMatchObject({ imported: 1 + 3 * LINES_AHEAD_MAX, known: 0 })
})
