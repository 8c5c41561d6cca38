import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../../../millrace/test/support/temp-folder.ts'
import { runCommand, startedNode } from '../support/command-process.ts'

const BIN = fileURLToPath(new URL('../../../millrace/bin/millrace.js', import.meta.url))
const LINES = Array.from({ length: 3_000 }, (_, n) => `{"id":"k${n % 31}","n":${n}}`)
const STDIN = `${LINES.join('\n')}\n`

const lines = (text: string) => text.split('\n').slice(0, -1)
const objects = (text: string) => lines(text).map(line => JSON.parse(line) as object)

/** Waits until topic `t` has more records than that; how many it has then. */
async function storedBeyond(bootstrap: string, count: number): Promise<number> {
  for (;;) {
    const { code, stdout } = await runCommand(['offsets', 't', '-b', bootstrap, '--json'])
    const partitions = code === 0 ? (objects(stdout) as { latest: number }[]) : []
    const total = partitions.reduce((sum, { latest }) => sum + latest, 0)
    if (total > count) return total
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

describe('the command against a node', () => {
  test('stores lines and gives them back, by hand and with a group', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    const env = { MILLRACE_BOOTSTRAP: node.kafka }
    const create = ['topics', 'create', 'loans', '--partitions', '4']
    expect(await runCommand(create, { env })).toMatchObject({ code: 0, stdout: 'loans: created\n' })
    const written = await runCommand(['produce', 'loans', '--key', 'id'], { env, stdin: STDIN })
    expect(written).toMatchObject({ code: 0, stdout: '' })
    expect(written.stderr).toMatch(/^3,000 records/)
    const read = ['consume', 'loans', '--until-end', '--format', 'value']
    const byHand = await runCommand(read, { env })
    expect(byHand).toMatchObject({ code: 0, stderr: '' })
    expect(lines(byHand.stdout).sort()).toEqual([...LINES].sort())
    const asMember = await runCommand([...read, '--group', 'g'], { env })
    expect(asMember).toMatchObject({ code: 0, stderr: '' })
    expect(lines(asMember.stdout).sort()).toEqual([...LINES].sort())
    const described = await runCommand(['groups', 'describe', 'g', '--json'], { env })
    expect(objects(described.stdout)).toEqual([expect.objectContaining({ lag: 0 })])
    const reset = await runCommand(['groups', 'reset', 'g', '--to', 'earliest', '--json'], { env })
    expect(objects(reset.stdout)).toHaveLength(4)
    const again = await runCommand([...read, '--group', 'g'], { env })
    expect(lines(again.stdout)).toHaveLength(3_000)
    expect(await runCommand(['groups', 'delete', 'g'], { env })).toMatchObject({ code: 0 })
    expect(await node.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  test('lists, describes, alters and deletes topics', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    const run = (...args: string[]) => runCommand([...args, '-b', node.kafka, '--json'])
    await run('topics', 'create', 'a', 'b', '--partitions', '2', '--config', 'retention.ms=1000')
    expect(objects((await run('topics', 'list')).stdout)).toHaveLength(2)
    expect((await run('topics', 'alter', 'a', '--partitions', '3')).code).toBe(0)
    const [described] = objects((await run('topics', 'describe', 'a')).stdout)
    expect(described).toMatchObject({
      topic: 'a',
      partitions: [{ partition: 0 }, { partition: 1 }, { partition: 2 }],
      configs: [{ name: 'retention.ms', value: '1000', source: 'topic' }],
    })
    const bad = await run('topics', 'alter', 'a', '--config', 'retention.ms=soon')
    expect(bad.code).toBe(1)
    expect(bad.stderr).toContain('retention.ms')
    expect(objects((await run('offsets', 'a')).stdout)).toHaveLength(3)
    expect((await run('topics', 'delete', 'a', 'absent')).code).toBe(1)
    expect(objects((await run('topics', 'list')).stdout)).toHaveLength(1)
  })

  test('tells with exit code 3 that nobody answers', async () => {
    const { code, stderr } = await runCommand(['topics', 'list', '-b', '127.0.0.1:1'])
    expect(code).toBe(3)
    expect(stderr).toContain('no node can be reached at 127.0.0.1:1')
    expect(stderr).toContain('millrace start')
  })

  test('ends quietly when the reader of its output leaves', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    await runCommand(['produce', 't', '-b', node.kafka, '-q'], { stdin: STDIN })
    const consume = `consume t --from earliest -b ${node.kafka} --format value`
    const script = `set -o pipefail; '${process.execPath}' '${BIN}' ${consume} | head -n 1`
    const shell = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    shell.stdout.on('data', chunk => {
      output += String(chunk)
    })
    shell.stderr.on('data', chunk => {
      errors += String(chunk)
    })
    const feed = setInterval(() => {
      void runCommand(['produce', 't', '-b', node.kafka, '-q'], { stdin: 'more\n' })
    }, 300)
    const code = await new Promise(resolve => shell.once('close', resolve))
    clearInterval(feed)
    expect({ code, output: lines(output).length, errors }).toEqual({
      code: 0,
      output: 1,
      errors: '',
    })
  })

  test('produces over a killed node: nothing lost, nothing twice, in order', async () => {
    await using folder = await tempFolder()
    const first = await startedNode(folder.path)
    await using _ = first
    const child = spawn(process.execPath, [
      BIN,
      'produce',
      't',
      '-b',
      first.kafka,
      '-q',
      '--create-partitions',
      '1',
    ])
    const ended = new Promise(resolve => child.once('close', resolve))
    const written: string[] = []
    const feed = setInterval(() => {
      const from = written.length
      for (let n = from; n < from + 200; n += 1) written.push(`line ${n}`)
      child.stdin.write(`${written.slice(from).join('\n')}\n`)
    }, 10)
    const stored = await storedBeyond(first.kafka, 0)
    await first.stop('SIGKILL')
    await using second = await startedNode(folder.path, ['--kafka', first.kafka])
    await storedBeyond(second.kafka, stored)
    clearInterval(feed)
    child.stdin.end()
    expect(await ended).toBe(0)
    const args = ['consume', 't', '-b', second.kafka, '--until-end', '--format', 'value']
    expect(lines((await runCommand(args)).stdout)).toEqual(written)
  })

  test('lets a signal during produce keep what was read, with exit code 130', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    await runCommand(['topics', 'create', 't', '-b', node.kafka])
    const child = spawn(process.execPath, [BIN, 'produce', 't', '-b', node.kafka, '--json'])
    child.stdin.write('first\nsecond\n')
    const total = async () => {
      const { stdout } = await runCommand(['offsets', 't', '-b', node.kafka, '--json'])
      return objects(stdout).reduce((sum, each) => sum + (each as { latest: number }).latest, 0)
    }
    while ((await total()) < 2) await new Promise(resolve => setTimeout(resolve, 50))
    child.kill('SIGINT')
    expect(await new Promise(resolve => child.once('close', resolve))).toBe(130)
    expect(await total()).toBe(2)
  })
})
