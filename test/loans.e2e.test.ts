// The first thing that somebody does with the project, with real data: pipe the events in by the
// project's own command and by kcat, read them back by every client, lose a group's member on the
// way, and get the figures that the data's description states.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchConfluent } from '../scripts/peers/confluent.ts'
import { fetchKcat } from '../scripts/peers/kcat.ts'
import type { Peer } from '../scripts/peers/peer.ts'
import { hasLoans, loanFigures, loanLines, loansFile } from './loans/data.ts'
import { type CommandLine, readAlone, readInGroup } from './loans/reading.ts'
import { isForeignBroker, uniqueName, useBroker } from './support/broker.ts'
import { millraceBin } from './support/node.ts'
import { createTopic, withAdmin } from './support/topics.ts'

const broker = useBroker()
const partitions = 12
const kcat = await fetchKcat()
const confluent = await fetchConfluent()
const ours: Peer = isForeignBroker
  ? { name: 'millrace', available: false, reason: 'MILLRACE_TEST_BROKER is set' }
  : { name: 'millrace', available: true, version: 'this checkout' }
const kafkajs: Peer = { name: 'kafkajs', available: true, version: '2.2.4' }

/** A test that needs a peer: skipped with the reason, or a failure with CI=true. */
const needs = (peer: Peer, context: { skip(note: string): void }): void => {
  if (peer.available) return
  if (process.env['CI'] === 'true') throw new Error(`${peer.name}: ${peer.reason}`)
  context.skip(`${peer.name} is not available: ${peer.reason}`)
}

beforeEach(context => {
  // The data is not part of the project, so that its absence fails nothing, not even in CI.
  if (!hasLoans) context.skip(`no ${loansFile}`)
})

/** Writes the gzipped events, changed by `change`, to the standard input of a program. */
async function pipeInto(line: CommandLine, change: Transform | undefined): Promise<void> {
  const [command, ...args] = line
  const child = spawn(command, args, { stdio: ['pipe', 'inherit', 'inherit'] })
  const closed = once(child, 'close')
  const source = createReadStream(loansFile)
  const write = change === undefined ? [] : [change]
  await pipeline([source, createGunzip(), ...write, child.stdin])
  const [code] = (await closed) as [number | null]
  expect(code, line.join(' ')).toBe(0)
}

/** Puts the application's id and a tab before each line, as kcat takes its keys. */
const keyed = (): Transform => {
  let rest = ''
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      const out = lines.map(line => {
        const id = /"applicationId":"?([^",}]+)/.exec(line)?.[1]
        return `${id}\t${line}\n`
      })
      done(null, out.join(''))
    },
  })
}

const ourCommand = (...args: string[]): CommandLine => [process.execPath, millraceBin, ...args]
const member = (client: string, group: string, topic: string): CommandLine => [
  process.execPath,
  `${import.meta.dirname}/loans/member.ts`,
  ...[client, broker.bootstrap, group, topic],
]

const count = (topic: string): Promise<number[]> =>
  withAdmin(broker.bootstrap, async admin =>
    (await admin.fetchTopicOffsets(topic)).map(each => Number(each.high) - Number(each.low)),
  )

/** Each reader: how it reads alone and in a group, where it can. */
const readers = (topic: string, group: string) =>
  [
    {
      ...{ name: 'millrace consume', peer: ours },
      alone: ourCommand(
        ...['consume', topic, '--from', 'earliest', '--until-end'],
        ...['--format', 'value', '--bootstrap', broker.bootstrap],
      ),
      group: ourCommand(
        ...['consume', topic, '--from', 'earliest', '--group', group],
        ...['--format', 'value', '--bootstrap', broker.bootstrap],
      ),
    },
    {
      ...{ name: 'kcat', peer: kcat },
      alone: ['kcat', '-b', broker.bootstrap, '-C', '-t', topic, '-e', '-q'] as CommandLine,
      group: [
        ...['kcat', '-b', broker.bootstrap, '-q', '-u', '-G', group],
        ...['-X', 'auto.offset.reset=earliest', '-X', 'session.timeout.ms=6000'],
        ...['-X', 'auto.commit.interval.ms=200', topic],
      ] as unknown as CommandLine,
    },
    {
      ...{ name: 'KafkaJS', peer: kafkajs, alone: undefined },
      group: member('kafkajs', group, topic),
    },
    {
      ...{ name: '@confluentinc/kafka-javascript', peer: confluent, alone: undefined },
      group: member('confluent', group, topic),
    },
  ] as const

const readerOf = (name: string, topic: string, group: string) => {
  const reader = readers(topic, group).find(each => each.name === name)
  if (reader === undefined) throw new Error(`no reader ${name}`)
  return reader
}

const foreignReaders = ['kcat', 'KafkaJS', '@confluentinc/kafka-javascript']

describe.each([
  { writer: 'millrace produce', peer: ours, groupReaders: ['millrace consume'] },
  { writer: 'kcat -P', peer: kcat, groupReaders: foreignReaders },
])('the loan applications, written by $writer', ({ writer, peer, groupReaders }) => {
  const topic = uniqueName(`loans-${writer.replaceAll(/\W+/g, '-')}`)
  let written = false

  beforeAll(async () => {
    if (!hasLoans || !peer.available) return
    await createTopic(broker.bootstrap, topic, partitions)
    if (writer === 'kcat -P') {
      // Idempotent, because a plain producer's retries may change the order, whatever the broker does.
      const flags = ['-K', '\t', '-X', 'enable.idempotence=true']
      await pipeInto(['kcat', '-b', broker.bootstrap, '-P', '-t', topic, ...flags], keyed())
    } else {
      const flags = ['--key', 'applicationId', '--quiet', '--bootstrap', broker.bootstrap]
      await pipeInto(ourCommand('produce', topic, ...flags), undefined)
    }
    written = true
  })

  beforeEach(context => {
    needs(peer, context)
    expect(written, `${writer} has written`).toBe(true)
  })

  it('are all stored, over all partitions', async () => {
    const counts = await count(topic)
    expect(counts.length).toBe(partitions)
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(loanFigures['events'])
    expect(Math.min(...counts)).toBeGreaterThan(0)
  })

  for (const name of ['millrace consume', 'kcat']) {
    it(`are read back by ${name}`, async context => {
      const { peer, alone } = readerOf(name, topic, '')
      needs(peer, context)
      if (alone === undefined) throw new Error(`${name} reads in groups only`)
      const tally = await readAlone(alone)
      expect(tally.disorder).toEqual([])
      expect(tally.repeated).toBe(0)
      expect(tally.figures()).toEqual(loanFigures)
    })
  }

  for (const name of groupReaders) {
    it(`are read back by three members of a group, one of them killed: ${name}`, async context => {
      const { peer, group } = readerOf(name, topic, uniqueName('loans'))
      needs(peer, context)
      const { tally, byMember } = await readInGroup(group)
      expect(tally.figures()).toEqual(loanFigures)
      expect(byMember[0], 'the killed member had read').toBeGreaterThan(0)
      expect(Math.max(...byMember.slice(1)), 'others went on').toBeGreaterThan(0)
    })
  }
})

it('is what its description says, before anything touches it', async () => {
  const { LoanTally } = await import('./loans/data.ts')
  const tally = new LoanTally({ ordered: true })
  for await (const line of loanLines()) tally.take(line)
  expect(tally.disorder).toEqual([])
  expect(tally.figures()).toEqual(loanFigures)
})
