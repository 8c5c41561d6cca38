import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../../../millrace/test/support/temp-folder.ts'
import { CommandProcess, runCommand, startedNode } from '../support/command-process.ts'

describe('millrace start', () => {
  test('says in one line of JSON where it listens and where its data is', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    expect(node).toMatchObject({ event: 'listening', data: resolve(folder.path) })
    expect(node.kafka).toMatch(/^127\.0\.0\.1:\d+$/)
    expect((await fetch(`http://${node.http}/healthz`)).status).toBe(200)
    expect((await fetch(`http://${node.http}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`http://${node.http}/metrics`)).text()
    expect(metrics).toContain('millrace_engine_append_records_total 0')
    expect(metrics).toContain('millrace_listener_connections_open 0')
  })

  test('tells a person what to paste', async () => {
    await using folder = await tempFolder()
    const args = ['--data', 'data', '--kafka', '127.0.0.1:0', '--http', 'off']
    await using command = new CommandProcess(['start', ...args], { cwd: folder.path })
    await command.firstLine()
    await new Promise(resolve => setTimeout(resolve, 50))
    command.signal('SIGINT')
    const { code, stdout } = await command.ended
    expect(code).toBe(0)
    expect(stdout).toMatch(/Kafka {3}127\.0\.0\.1:\d+/)
    expect(stdout).toContain('./data')
    expect(stdout).toContain('npx millrace produce greetings --key id --bootstrap 127.0.0.1:')
    expect(stdout).toContain('npx millrace consume greetings --from earliest')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops it cleanly', async signal => {
    await using folder = await tempFolder()
    {
      await using node = await startedNode(folder.path)
      expect(await node.stop(signal)).toMatchObject({ code: 0, stderr: '' })
    }
    // A start that had to recover would say so.
    await using again = await startedNode(folder.path)
    expect(await again.stop()).toMatchObject({ code: 0, stderr: '' })
  })

  test('a signal that comes twice at once, as under npm, stops it cleanly too', async () => {
    await using folder = await tempFolder()
    await using node = await startedNode(folder.path)
    node.command.signal('SIGINT')
    // Soon enough that the node is still stopping: an idle one is gone after a few milliseconds, and a
    // signal that finds a process without its handlers ends it as a signal does.
    await new Promise(done => setTimeout(done, 2))
    expect(await node.stop('SIGINT')).toMatchObject({ code: 0, stderr: '' })
  })

  test('is refused with code 5 on a folder that another process has open', async () => {
    await using folder = await tempFolder()
    await using _node = await startedNode(folder.path)
    const args = ['--data', folder.path, '--kafka', '127.0.0.1:0', '--http', 'off']
    const { code, stdout, stderr } = await runCommand(['start', ...args])
    expect(code).toBe(5)
    expect(stdout).toBe('')
    expect(stderr).toBe(
      `error: the data folder ${resolve(folder.path)} is in use by another process\n` +
        'Stop that process, or give this one a folder of its own with --data DIR.\n',
    )
  })

  test('is refused with code 5 on a port that is taken, and lets go of its folder', async () => {
    await using folder = await tempFolder()
    const taken = createServer()
    await new Promise<void>(done => taken.listen(0, '127.0.0.1', done))
    const address = taken.address()
    const port = typeof address === 'object' ? address?.port : 0
    for (const [kafka, http] of [
      [`127.0.0.1:${port}`, 'off'],
      ['127.0.0.1:0', `127.0.0.1:${port}`],
    ] as const) {
      const args = ['--data', folder.path, '--kafka', kafka, '--http', http]
      const { code, stderr } = await runCommand(['start', ...args])
      expect(code).toBe(5)
      expect(stderr).toContain(`127.0.0.1:${port} is in use: another process listens there`)
    }
    taken.close()
    await using node = await startedNode(folder.path)
    expect(node.event).toBe('listening')
  })

  test('listens beyond this machine only when told to', async () => {
    await using folder = await tempFolder()
    const args = ['--data', folder.path, '--kafka', '0.0.0.0:0', '--http', '0.0.0.0:0']
    const { code, stderr } = await runCommand(['start', ...args])
    expect(code).toBe(2)
    expect(stderr).toContain('kafka 0.0.0.0:0 can be reached from other machines')
    expect(stderr).toContain('http 0.0.0.0:0 can be reached from other machines')
    expect(stderr).toContain('--insecure-listen')
    await using node = new CommandProcess(['start', ...args, '--insecure-listen', '--json'])
    expect(JSON.parse(await node.firstLine())).toMatchObject({ event: 'listening' })
  })

  test('refuses unknown flags, variables and keys, all bad ones at once', async () => {
    await using folder = await tempFolder()
    const flag = await runCommand(['start', '--dta', 'x'])
    expect(flag).toMatchObject({ code: 2, stderr: expect.stringContaining("'--dta'") })
    await writeFile(join(folder.path, 'millrace.config.json'), '{ "num.partition": 3 }')
    const bad = await runCommand(['start'], { cwd: folder.path, env: { MILLRACE_KAFA: 'x' } })
    expect(bad.code).toBe(2)
    expect(bad.stderr).toContain('num.partition is not a setting')
    expect(bad.stderr).toContain('did you mean num.partitions?')
    expect(bad.stderr).toContain('did you mean MILLRACE_KAFKA?')
  })
})

describe('millrace config', () => {
  test('prints every value with its origin, as the node would use it', async () => {
    await using folder = await tempFolder()
    const text = "export default { 'num.partitions': 7, data: 'from-file' }"
    await writeFile(join(folder.path, 'millrace.config.ts'), text)
    const { code, stdout, stderr } = await runCommand(['config', '--json', '--data', 'from-flag'], {
      cwd: folder.path,
      env: { MILLRACE_LOG_RETENTION_MS: '-1' },
    })
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { key: string })
    const line = (key: string) => lines.find(each => each.key === key)
    expect(line('data')).toMatchObject({ value: 'from-flag', source: 'flag', origin: '--data' })
    expect(line('num.partitions')).toMatchObject({ value: 7, source: 'file' })
    expect(line('log.retention.ms')).toMatchObject({
      value: -1,
      source: 'environment',
      origin: 'MILLRACE_LOG_RETENTION_MS',
    })
    expect(line('http')).toMatchObject({ value: '127.0.0.1:8080', source: 'default' })
    expect(line('connections.max')).toMatchObject({ allowed: '1 to 100000' })
  })
})
