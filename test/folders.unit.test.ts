// Folders are made in one way, by steps. `recursive` of node:fs tries for ever where a parent says
// ENOENT, as /proc does, on the main thread or on one of the pool's: no test could wait for it.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeFolders } from '../packages/base/src/index.ts'

const packages = fileURLToPath(new URL('../packages', import.meta.url))

test('no source makes folders by recursion of node:fs', () => {
  const found = readdirSync(packages).flatMap(name =>
    readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .filter(file =>
        /mkdir(Sync)?\([^)]*recursive/.test(
          readFileSync(join(packages, name, 'src', file), 'utf8'),
        ),
      ),
  )
  expect(found).toEqual([])
})

test('a folder is made with its parents, and once more without an error', () => {
  const root = mkdtempSync(join(tmpdir(), 'folders-'))
  const path = join(root, 'a', 'b', 'c')
  makeFolders(path)
  makeFolders(path)
  expect(existsSync(path)).toBe(true)
  rmSync(root, { recursive: true })
})

test.runIf(existsSync('/proc/self'))('a parent that takes no folder is an error at once', () => {
  expect(() => makeFolders('/proc/self/none/here')).toThrow(/ENOENT/)
})
