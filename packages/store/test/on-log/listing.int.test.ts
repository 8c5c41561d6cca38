// Streams are listed in the order of their ids' bytes, also behind an id, where texts compare otherwise.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { afterAll, expect, it } from 'vitest'
import { openStore } from '../../src/index.ts'

const folder = await mkdtemp(join(tmpdir(), 'millrace-listing-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

it('pages of streams bring each stream once, whatever characters its id has', async () => {
  await using log = await openEngine({ folder })
  await using store = await openStore({ log, folder: null, categories: { thing: { buckets: 3 } } })
  const ids = ['a', 'z', 'ä', '\uffee', '😀', '😀a', '\u{10ffff}']
  for (const id of ids) await store.append({ category: 'thing', id }, [{ type: 'T', data: {} }])
  const listed: string[] = []
  for (;;) {
    const after = listed.at(-1)
    const options = { limit: 1, ...(after === undefined ? {} : { after }) }
    const before = listed.length
    for await (const { stream } of store.streams('thing', options)) listed.push(stream.id)
    if (listed.length === before) break
  }
  expect(listed).toEqual(ids)
  // Of all tenants they come tenant by tenant: an id alone is no place there.
  const all = store.streams('thing', { tenant: null, after: 'a' })[Symbol.asyncIterator]().next()
  await expect(all).rejects.toMatchObject({ code: 'BAD_ARGUMENT' })
})
