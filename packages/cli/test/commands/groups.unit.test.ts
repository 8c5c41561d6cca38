import { encodeAssignment } from '@millrace/clients'
import { CommandError } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { deleteGroups, describeGroup, listGroups, resetGroup } from '../../src/commands/groups.ts'
import { produce } from '../../src/commands/produce.ts'
import { commandRun } from '../support/command-run.ts'
import { ScriptedLog } from '../support/scripted-log.ts'

const member = {
  memberId: 'm-1',
  groupInstanceId: null,
  clientId: 'c',
  clientHost: '/127.0.0.1',
  metadata: Buffer.alloc(0),
  assignment: Buffer.alloc(0),
}

/** Five records in partition 1 of loans, of which `readers` has read two. */
async function filled(): Promise<ScriptedLog> {
  const log = new ScriptedLog()
  await log.createTopics([{ name: 'loans', partitions: 2 }])
  await produce(commandRun(log, { stdin: '1\n2\n3\n4\n5\n' }), 'loans', {
    partition: 1,
    quiet: true,
  })
  await log.groups.commit({
    groupId: 'readers',
    memberId: '',
    generationId: -1,
    groupInstanceId: null,
    offsets: [{ topic: 'loans', partition: 1, offset: 2, leaderEpoch: -1, metadata: null }],
  })
  return log
}

const committed = (log: ScriptedLog) =>
  [...(log.committed.get('readers')?.values() ?? [])].map(each => [each.partition, each.offset])

describe('groups', () => {
  test('are listed, by state if asked', async () => {
    const log = await filled()
    const run = commandRun(log, { json: true })
    await listGroups(run, {})
    expect(run.stdout.json).toEqual([
      { group: 'readers', state: 'Empty', protocolType: 'consumer' },
    ])
    const stable = commandRun(log, { json: true })
    await listGroups(stable, { state: ['Stable'] })
    expect(stable.stdout.text).toBe('')
  })

  test('are described with lag, also of partitions without a commit', async () => {
    const log = await filled()
    await produce(commandRun(log, { stdin: 'x\n' }), 'loans', { partition: 0, quiet: true })
    const run = commandRun(log, { json: true })
    await describeGroup(run, 'readers')
    expect(run.stdout.json).toEqual([
      expect.objectContaining({
        group: 'readers',
        lag: 4,
        partitions: [
          { topic: 'loans', partition: 0, committed: -1, latest: 1, lag: 1, member: null },
          { topic: 'loans', partition: 1, committed: 2, latest: 5, lag: 3, member: null },
        ],
      }),
    ])
    const eyes = commandRun(log)
    await describeGroup(eyes, 'readers')
    expect(eyes.stdout.text).toContain('0 members, lag 4')
  })

  test('are described with who reads what, also before the first commit', async () => {
    const log = await filled()
    await log.createTopics([{ name: 'new', partitions: 1 }])
    const partitions = [
      { topic: 'loans', partition: 0 },
      { topic: 'new', partition: 0 },
    ]
    const assignment = encodeAssignment({ partitions, userData: null })
    const unreadable = { ...member, memberId: 'm-2', assignment: Buffer.from([0]) }
    log.members.set('readers', [{ ...member, assignment }, unreadable])
    const run = commandRun(log, { json: true })
    await describeGroup(run, 'readers')
    const [described] = run.stdout.json as { partitions: { member: string | null }[] }[]
    expect(described?.partitions.map(each => each.member)).toEqual(['m-1', null, 'm-1'])
  })

  test('that are not there are told so', async () => {
    await expect(describeGroup(commandRun(new ScriptedLog()), 'absent')).rejects.toThrow(
      CommandError,
    )
  })

  test.each([
    ['earliest', [[1, 0]]],
    ['latest', [[1, 5]]],
    ['3', [[1, 3]]],
    ['99', [[1, 5]]],
    ['2020-01-01', [[1, 0]]],
    ['2999-01-01', [[1, 5]]],
  ])('are reset to %s, kept within the log', async (to, offsets) => {
    const log = await filled()
    expect(await resetGroup(commandRun(log), 'readers', { to })).toBe(0)
    expect(committed(log)).toEqual(offsets)
  })

  test('are left alone by --dry-run, which shows the same', async () => {
    const log = await filled()
    const run = commandRun(log, { json: true })
    await resetGroup(run, 'readers', { to: 'earliest', dryRun: true })
    expect(run.stdout.json).toEqual([{ topic: 'loans', partition: 1, from: 2, to: 0 }])
    expect(committed(log)).toEqual([[1, 2]])
  })

  test('are reset in the topics and partitions that are named', async () => {
    const log = await filled()
    await resetGroup(commandRun(log), 'readers', { to: 'latest', topic: ['loans:0'] })
    expect(committed(log)).toEqual([
      [1, 2],
      [0, 0],
    ])
    const bad = resetGroup(commandRun(log), 'readers', { to: 'latest', topic: ['loans:x'] })
    await expect(bad).rejects.toThrow('"loans:x" is not TOPIC or TOPIC:0,1')
    const absent = resetGroup(commandRun(log), 'readers', { to: 'latest', topic: ['loans:7'] })
    await expect(absent).rejects.toThrow(/partition 7/)
    const nothing = resetGroup(commandRun(log), 'fresh', { to: 'latest' })
    await expect(nothing).rejects.toThrow(/committed nothing/)
  })

  test('are not reset under their members', async () => {
    const log = await filled()
    log.members.set('readers', [member])
    await expect(resetGroup(commandRun(log), 'readers', { to: '0' })).rejects.toThrow(/1 member/)
    expect(committed(log)).toEqual([[1, 2]])
  })

  test('are deleted, each failure told apart', async () => {
    const run = commandRun(await filled())
    expect(await deleteGroups(run, ['readers', 'absent'])).toBe(1)
    expect(run.stdout.text).toBe('readers: deleted\n')
    expect(run.stderr.text).toMatch(/^absent: no such group/)
  })
})
