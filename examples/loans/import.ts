/**
 * The bank's own log, a line an event, as commands. The Dutch names stay with the log: activities
 * that begin with A are the application's, with O the offer's, with W work items.
 */
import { z } from 'zod'

const line = z.object({
  applicationId: z.string(),
  seq: z.number().int().nonnegative(),
  activity: z.string(),
  transition: z.enum(['SCHEDULE', 'START', 'COMPLETE']),
  time: z.iso.datetime(),
  resource: z.string().optional(),
  amountRequested: z.number().int().optional(),
})

const COMMANDS = {
  A_SUBMITTED: 'submit',
  A_PARTLYSUBMITTED: 'submitPart',
  A_PREACCEPTED: 'preAccept',
  A_ACCEPTED: 'accept',
  A_FINALIZED: 'finalize',
  A_APPROVED: 'approve',
  A_REGISTERED: 'register',
  A_ACTIVATED: 'activate',
  A_DECLINED: 'decline',
  A_CANCELLED: 'cancel',
  O_SELECTED: 'selectOffer',
  O_CREATED: 'createOffer',
  O_SENT: 'sendOffer',
  O_SENT_BACK: 'receiveOffer',
  O_ACCEPTED: 'acceptOffer',
  O_DECLINED: 'declineOffer',
  O_CANCELLED: 'cancelOffer',
} as const

const WORK = { SCHEDULE: 'scheduleWork', START: 'startWork', COMPLETE: 'completeWork' } as const

/** One line as a command. The place of the event in its application is its id and its version. */
export function importLine(given: unknown) {
  const event = line.parse(given)
  const by = event.resource === undefined ? {} : { by: event.resource }
  const isWork = event.activity.startsWith('W_')
  const command = isWork
    ? WORK[event.transition]
    : COMMANDS[event.activity as keyof typeof COMMANDS]
  if (command === undefined) throw new Error(`unknown activity ${event.activity}`)
  return {
    aggregate: 'loan',
    id: event.applicationId,
    command,
    data: {
      ...by,
      ...(isWork ? { item: event.activity.slice(2) } : {}),
      ...(command === 'submit' ? { amount: event.amountRequested ?? 0 } : {}),
    },
    commandId: `${event.applicationId}/${event.seq}`,
    version: event.seq,
    time: Date.parse(event.time),
    ...(event.resource === undefined ? {} : { actor: event.resource }),
  }
}
