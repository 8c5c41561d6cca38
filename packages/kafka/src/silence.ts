/** What stands for an answer that leaves out something that was asked for. */
import { LogError } from '@millrace/log'

/** The error of a thing that the broker's answer does not mention. */
export const silentAbout = (name: string): LogError =>
  new LogError('UNKNOWN_SERVER_ERROR', `the broker said nothing of ${name}`)
