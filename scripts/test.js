// `npm test`: builds, checks format, lint and all types, fetches the foreign software, runs every
// test, and ends with one plain line, `N passed, N failed, N skipped`. Skipped tests print why.
// A check that fails counts as one failure and does not keep the tests from running; a build that
// fails does. MILLRACE_TEST_ARGS goes to vitest, for example "--project unit".
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const bin = join(root, 'node_modules', '.bin')
const results = join(root, '.cache', 'test-results.json')

/**
 * Runs a step with its output shown; true when it ended well.
 * @param {string} title
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {boolean}
 */
const step = (title, command, args) => {
  console.log(`\n# ${title}`)
  const began = Date.now()
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) console.error(error.message)
  const seconds = ((Date.now() - began) / 1000).toFixed(1)
  if (status !== 0) console.error(`${title}: failed (${status}) after ${seconds} s`)
  return status === 0
}

/**
 * Runs a step beside others and shows its output when it is over; true when it ended well.
 * @param {string} title
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<boolean>}
 */
const stepBeside = async (title, command, args) => {
  const began = Date.now()
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', piece => {
      output += piece
    })
  }
  const status = await new Promise(resolve => {
    child.once('error', error => resolve(error.message)).once('close', resolve)
  })
  console.log(`\n# ${title}\n${output.trimEnd()}`)
  const seconds = ((Date.now() - began) / 1000).toFixed(1)
  if (status !== 0) console.error(`${title}: failed (${status}) after ${seconds} s`)
  return status === 0
}

/**
 * Prints the closing line and ends.
 * @param {number} passed
 * @param {number} failed
 * @param {number} skipped
 */
const finish = (passed, failed, skipped) => {
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exit(failed === 0 ? 0 : 1)
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`the tests need Node 22.22 or newer, this is ${process.versions.node}`)
  finish(0, 1, 0)
}

// Mostly downloads: they go on while types and lint are checked.
const peers = stepBeside('foreign software', process.execPath, ['scripts/peers/main.ts'])
const tsc = join(bin, 'tsc')
if (!step('build', tsc, ['-b'])) finish(0, 1, 0)
let failedChecks = 0
/** @type {readonly [string, string, readonly string[]][]} */
const checks = [
  ['format and lint', join(bin, 'biome'), ['ci', '.']],
  ['types of the packages’ tests', tsc, ['-b', 'tsconfig.tests.json']],
  ['types of the scripts, benchmarks and other tests', tsc, ['-p', 'test/tsconfig.json']],
]
for (const [title, command, args] of checks) if (!step(title, command, args)) failedChecks++
if (!(await peers)) failedChecks++

mkdirSync(join(root, '.cache'), { recursive: true })
rmSync(results, { force: true })
const more = (process.env.MILLRACE_TEST_ARGS ?? '').split(' ').filter(word => word !== '')
const ranWell = step('tests', join(bin, 'vitest'), [
  'run',
  '--reporter=verbose',
  '--reporter=json',
  `--outputFile.json=${results}`,
  ...more,
])
/** @type {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number }} */
let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
try {
  counts = JSON.parse(readFileSync(results, 'utf8'))
} catch (error) {
  console.error(`no test results: ${error}`)
}
// A file that cannot be loaded, or an error outside of any test, fails the run without a failed test.
const failedTests = Math.max(counts.numFailedTests, ranWell ? 0 : 1)
finish(
  counts.numPassedTests,
  failedTests + failedChecks,
  counts.numPendingTests + counts.numTodoTests,
)
