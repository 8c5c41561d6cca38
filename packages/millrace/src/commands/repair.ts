/**
 * `millrace repair DIR --accept-loss`: the operator's decision to go on without what is damaged.
 *
 * Each damaged segment keeps what is whole in front of its damage, later segments stay, a damaged
 * journal ends at its damage. Offsets that are lost are not given out again. Without the flag
 * nothing is changed: the command shows what `verify` finds.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { openEngine } from '@millrace/engine'
import type { CommandContext } from '../cli/context.ts'
import { CommandError, EXIT, type ExitCode } from '../exit-codes.ts'
import { verify } from './verify.ts'

/** Flags of `repair`. */
export type RepairOptions = { readonly acceptLoss?: boolean }

/** `repair DIR` */
export async function repair(
  context: CommandContext,
  folder: string,
  options: RepairOptions,
): Promise<ExitCode> {
  const path = resolve(folder)
  if (!existsSync(path)) throw new CommandError(`there is no folder ${path}`, EXIT.usage)
  const found = await verify(context, path)
  if (found !== EXIT.damage) return found
  if (options.acceptLoss !== true) {
    throw new CommandError(
      'nothing has been changed',
      EXIT.damage,
      'Restore the files from a copy if there is one. To go on without what is damaged: --accept-loss',
    )
  }
  const engine = await openEngine({ folder: path, acceptLoss: true })
  await engine.close()
  return await verify(context, path)
}
