import { describe, expect, it } from 'vitest'
import { importLine } from './import.ts'

const line = {
  applicationId: '173688',
  seq: 0,
  activity: 'A_SUBMITTED',
  transition: 'COMPLETE',
  time: '2011-09-30T22:38:44.546Z',
  resource: '112',
  amountRequested: 20_000,
}

describe('a line of the bank', () => {
  it('is a command with its place as its id, and its own time', () => {
    expect(importLine(line)).toEqual({
      aggregate: 'loan',
      id: '173688',
      command: 'submit',
      data: { amount: 20_000, by: '112' },
      commandId: '173688/0',
      version: 0,
      time: Date.parse('2011-09-30T22:38:44.546Z'),
      actor: '112',
    })
  })

  it('names a work item by its transition', () => {
    const { command, data } = importLine({ ...line, activity: 'W_Valideren', transition: 'START' })
    expect({ command, data }).toEqual({
      command: 'startWork',
      data: { item: 'Valideren', by: '112' },
    })
  })

  it.each([
    [{ ...line, activity: 'A_MELTED' }, 'unknown activity A_MELTED'],
    [{ ...line, seq: -1 }, 'seq'],
    [{ ...line, time: 'yesterday' }, 'time'],
    [{}, 'applicationId'],
  ])('that is none is refused with what is wrong: %j', (bad, what) => {
    expect(() => importLine(bad)).toThrow(what)
  })
})
