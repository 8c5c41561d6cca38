// What others chose - client ids, group ids, records - reaches a terminal as text only.
import { Writable } from 'node:stream'
import { NodeLogger } from 'millrace/node'
import { expect, test } from 'vitest'
import { streamOutput } from '../src/terminal/output.ts'
import { printable } from '../src/text/printable.ts'
import { renderTable } from '../src/text/table.ts'

const CLEAR = '\u001b[2J'
const HOSTILE = `${CLEAR}\u009b31mred\u0007\u202e`
const CONTROLS = /(?![\t\n])[\p{Cc}\u202e]/u

function kept(isTTY: boolean) {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk, _, done) {
      chunks.push(chunk)
      done()
    },
  })
  const output = streamOutput(Object.assign(stream, { isTTY }), () => undefined)
  return { output, bytes: () => Buffer.concat(chunks) }
}

test.each([true, false])(
  'a table shows control characters and does not send them, terminal: %s',
  isTTY => {
    const { output, bytes } = kept(isTTY)
    output.write(renderTable(['client'], [[HOSTILE]]))
    expect(bytes().toString()).not.toMatch(CONTROLS)
    expect(bytes().toString()).toContain('\\u001b[2J\\u009b31mred\\u0007\\u202e')
  },
)

test('a line of JSON keeps its value', () => {
  const { output, bytes } = kept(false)
  output.write(`${JSON.stringify({ client: HOSTILE })}\n`)
  expect(bytes().toString()).not.toMatch(CONTROLS)
  expect(JSON.parse(bytes().toString())).toEqual({ client: HOSTILE })
})

test('records go to a pipe as they are, and to a terminal as text', () => {
  const value = Buffer.from(`${HOSTILE}\r\n\tnext\n`)
  const pipe = kept(false)
  pipe.output.write(value)
  expect(pipe.bytes()).toEqual(value)
  const terminal = kept(true)
  terminal.output.write(value)
  expect(terminal.bytes().toString()).toMatch(/\\u001b\[2J.*\r\n\tnext\n$/)
})

test.each([true, false])('a line of the log shows them, terminal: %s', async isTTY => {
  const { output, bytes } = kept(isTTY)
  const target = { isTTY, write: (text: string) => output.write(text) }
  const logger = new NodeLogger('info', target, () => 0)
  logger.warn({ client: HOSTILE, peer: `${CLEAR}x` }, `refused ${HOSTILE}`)
  await logger.flush()
  expect(bytes().toString()).toContain('refused')
  expect(bytes().toString()).not.toMatch(CONTROLS)
})

test("bold is the commands' own, and what only begins like it is not", () => {
  expect(printable('\u001b[1mKafka\u001b[22m')).toBe('\u001b[1mKafka\u001b[22m')
  expect(printable('\u001b[10mKafka')).toBe('\\u001b[10mKafka')
  expect(printable('plain\tand\nwhole')).toBe('plain\tand\nwhole')
})
