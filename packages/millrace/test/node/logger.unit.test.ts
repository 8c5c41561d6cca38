import { describe, expect, test } from 'vitest'
import { NodeLogger } from '../../src/node/logger.ts'

const NOW = Date.parse('2026-01-02T03:04:05.678Z')

function logger(isTTY: boolean, level: 'info' | 'warn' | 'error' | 'silent' = 'info') {
  const lines: string[] = []
  const target = { isTTY, write: (text: string) => lines.push(text) }
  return { lines, log: new NodeLogger(level, target, () => NOW) }
}

describe('the logger', () => {
  test('writes for eyes on a terminal, at once', () => {
    const { lines, log } = logger(true)
    log.warn({ peer: '127.0.0.1:5', reason: 'too large' }, 'connection closed')
    expect(lines).toEqual([
      '03:04:05.678 WARN  connection closed peer=127.0.0.1:5 reason="too large"\n',
    ])
  })

  test('writes JSON elsewhere, keeping what comes while it is loaded, with its time', async () => {
    const { lines, log } = logger(false)
    log.info({ part: 'engine' }, 'recovered')
    expect(lines).toEqual([])
    await log.flush()
    expect(lines).toHaveLength(1)
    log.error({ error: new Error('boom') }, 'failed')
    expect(lines.map(line => JSON.parse(line))).toEqual([
      { level: 'info', time: '2026-01-02T03:04:05.678Z', part: 'engine', msg: 'recovered' },
      expect.objectContaining({
        level: 'error',
        msg: 'failed',
        error: expect.objectContaining({ message: 'boom' }),
      }),
    ])
  })

  test('keeps at most a thousand lines while it is loaded, and tells how many it lost', async () => {
    const { lines, log } = logger(false)
    for (let line = 0; line < 1_005; line += 1) log.info({}, `line ${line}`)
    await log.flush()
    expect(lines).toHaveLength(1_001)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'warn', lines: 5 })
  })

  test('leaves out what is below its level', async () => {
    const { lines, log } = logger(true, 'error')
    log.warn({}, 'not shown')
    log.error({}, 'shown')
    expect(lines).toHaveLength(1)
    const silent = logger(true, 'silent')
    silent.log.error({}, 'not shown')
    expect(silent.lines).toEqual([])
  })
})
