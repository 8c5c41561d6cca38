// A program with the engine in it does not end in the middle of a call that it awaits, and ends by
// itself when it awaits nothing, also where nobody has closed the engine.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../storage/support.ts'
import { CALLS } from './alive-calls.ts'

const CHILD = fileURLToPath(new URL('./alive-child.ts', import.meta.url))
/** Node's code of a program whose top level awaits what will never come. */
const UNSETTLED = 13

test.each(Object.keys(CALLS))(
  'a program that awaits %s has its answer, and then ends',
  async name => {
    const args = ['--conditions=millrace:source', CHILD, temporaryFolder(), name]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', piece => (text += piece))
    const code = await new Promise(resolve => child.once('close', resolve))
    expect(code, text).not.toBe(UNSETTLED)
    expect([code, text]).toEqual([0, `${name} is done\n`])
  },
)
