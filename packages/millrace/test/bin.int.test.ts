import { spawnSync } from 'node:child_process'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { tempFolder } from './support/temp-folder.ts'

const BIN = fileURLToPath(new URL('../bin/millrace.js', import.meta.url))

test('the command says which Node it needs, on one that is too old', () => {
  const old =
    "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})"
  const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, BIN, '--version']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^error: millrace needs Node 22\.22 or newer; this is 20\.20\.2/)
})

test('the command says how to build it when it is not built', async () => {
  await using folder = await tempFolder()
  await mkdir(join(folder.path, 'bin'))
  const copy = join(folder.path, 'bin', 'millrace.mjs')
  await copyFile(BIN, copy)
  const { status, stderr } = spawnSync(process.execPath, [copy], { encoding: 'utf8' })
  expect(status).toBe(2)
  expect(stderr).toBe('error: millrace is not built yet.\nRun "npm run build" first.\n')
})

test('the command is executable where it is checked out', () => {
  const { status, stdout } = spawnSync(BIN, ['--version'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(process.execPath, '..')}:${process.env['PATH']}` },
  })
  expect({ status, stdout: stdout.trim() }).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+$/),
  })
})
