import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfigFile } from '../../src/config/config-file.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-config-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const write = (name: string, text: string) => writeFile(join(folder, name), text)

describe('the configuration file', () => {
  test('is not needed', async () => {
    expect(await readConfigFile(folder)).toBeUndefined()
  })

  test.each([
    ['millrace.config.json', '{ "data": "x" }'],
    ['millrace.config.js', 'module.exports = { data: "x" }'],
    ['millrace.config.ts', 'export default { data: "x" as string }'],
  ])('is found as %s', async (name, text) => {
    await write(name, text)
    const file = await readConfigFile(folder)
    expect(file?.path).toBe(join(folder, name))
    expect(file?.values).toEqual({ data: 'x' })
  })

  test('is the one that was named, relative to the folder', async () => {
    await write('millrace.config.json', '{ "data": "found" }')
    await write('other.json', '{ "data": "named" }')
    expect((await readConfigFile(folder, 'other.json'))?.values).toEqual({ data: 'named' })
  })

  test('is refused by name when it is missing, doubled, broken or no object', async () => {
    await expect(readConfigFile(folder, 'absent.json')).rejects.toThrow(
      /absent\.json does not exist/,
    )
    await write('broken.json', '{')
    await expect(readConfigFile(folder, 'broken.json')).rejects.toThrow(
      /broken\.json cannot be read/,
    )
    await write('list.json', '[]')
    await expect(readConfigFile(folder, 'list.json')).rejects.toThrow(/one object of settings/)
    await write('throws.mjs', 'throw new Error("boom")')
    await expect(readConfigFile(folder, 'throws.mjs')).rejects.toThrow(/cannot be run: boom/)
    await write('millrace.config.json', '{}')
    await write('millrace.config.ts', 'export default {}')
    await expect(readConfigFile(folder)).rejects.toThrow(/more than one configuration file/)
  })
})
