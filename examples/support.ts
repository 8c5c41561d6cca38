/** For the tests of the examples: an application on a log in a temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbedded } from 'millrace'

/** Runs `body` with a log in a new folder, and removes both. */
export async function withLog<T>(
  body: (log: Awaited<ReturnType<typeof openEmbedded>>, folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-example-'))
  try {
    await using log = await openEmbedded({ data: join(folder, 'data') })
    return await body(log, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Asks until the answer is there, at most 30 s. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 30_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error(`${what}: not within 30 s`)
    await new Promise(next => setTimeout(next, 20))
  }
}
