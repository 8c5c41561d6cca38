// A class name means one thing in the whole repository: who reads it in a stack trace, a profile or a
// search knows which.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const CLASS = /^(?:export )?(?:default )?(?:abstract )?class (\w+)/gm

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), {
    recursive: true,
    encoding: 'utf8',
    withFileTypes: false,
  })
    .filter(file => file.endsWith('.ts') && !/(^|\/)(node_modules|dist)\//.test(file))
    .map(file => join(root, folder, file))
}

test('no class name is used twice', () => {
  const folders = ['bench', 'examples', 'scripts', 'test']
  for (const name of readdirSync(join(root, 'packages'))) {
    folders.push(`packages/${name}/src`, `packages/${name}/test`)
  }
  const places = new Map<string, string[]>()
  for (const file of folders.flatMap(filesBelow)) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(CLASS)) {
      places.set(name, [...(places.get(name) ?? []), relative(root, file)])
    }
  }
  const twice = [...places].filter(([, files]) => files.length > 1)
  expect(Object.fromEntries(twice)).toEqual({})
})
