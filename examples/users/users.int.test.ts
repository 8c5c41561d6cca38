// Erasure on a real log: what was written stays where it is, and nobody reads it any more.
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ERASED, startApplication } from 'millrace'
import { describe, expect, it } from 'vitest'
import { eventually, withLog } from '../support.ts'
import definition from './application.ts'
import { ownKeys } from './keys.ts'

const ada = { name: 'Ada Lovelace', email: 'ada@example.org' }

async function filesWith(folder: string, text: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if ((await readFile(path)).includes(text)) found.push(path)
  }
  return found
}

describe('the users application', () => {
  it('makes the mail address of an erased user unreadable, and that of others not', async () => {
    await withLog(async (log, folder) => {
      const keys = ownKeys(join(folder, 'users.keys'))
      await using service = await startApplication({ ...definition, log, folder, keys })
      const read = async (id: string): Promise<unknown> => {
        const event = await service.store.event({ category: 'user', id }, 1)
        return (event?.data as { readonly email: unknown } | undefined)?.email
      }
      await service.user('7').register(ada)
      await service.user('8').register({ name: 'Bob', email: 'bob@example.org' })
      expect(await read('7')).toBe('ada@example.org')

      await service.user('7').erase({ because: 'asked' })
      await eventually('the key is destroyed', async () =>
        (await read('7')) === ERASED ? true : undefined,
      )
      expect(await read('8')).toBe('bob@example.org')
      const { projections } = service
      await eventually('the row is gone', async () => {
        const rows = await projections.newsletter.db.selectFrom('users').select('id').execute()
        return rows.length === 1 && rows[0]?.id === '8' ? true : undefined
      })
    })
  })

  it('never writes a name or an address into the log as it is', async () => {
    await withLog(async (log, folder) => {
      const keys = ownKeys(join(folder, 'users.keys'))
      await using service = await startApplication({ ...definition, log, folder, keys })
      const done = await service.user('7').register(ada)
      if (!done.ok) throw new Error(JSON.stringify(done))
      await service.store.state({ category: 'user', id: '7' })
      expect(await filesWith(join(folder, 'data'), ada.email)).toEqual([])
      expect(await filesWith(join(folder, 'index'), ada.email)).toEqual([])
    })
  })

  it('keeps its master key in a file of its own that others cannot read', async () => {
    await withLog(async (log, folder) => {
      const path = join(folder, 'users.keys')
      const keys = ownKeys(path)
      await using service = await startApplication({ ...definition, log, folder, keys })
      await service.user('7').register(ada)
      expect((await stat(path)).mode & 0o777).toBe(0o600)
    })
  })
})
