/**
 * `millrace repair DIR --accept-loss`: the operator's decision to go on without what is damaged.
 *
 * Nothing is given up that intact bytes still prove: of a damaged segment every whole batch stays, one
 * wrong bit beside a batch's content is put right, files that were swapped are found again, and what a
 * journal has lost is looked for in the segments. What is given up is listed, by topic, partition and
 * offsets, and those are not given out again. Without the flag nothing is changed: the command shows
 * what `verify` finds.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type GivenUp, openEngine } from '@millrace/engine'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { type CommandContext, printRows } from '../terminal/context.ts'
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
  const givenUp: GivenUp[] = []
  const engine = await openEngine({
    folder: path,
    acceptLoss: true,
    onGivenUp: offsets => givenUp.push(...offsets),
  })
  await engine.close()
  tellGivenUp(context, givenUp)
  return await verify(context, path)
}

function tellGivenUp(context: CommandContext, givenUp: readonly GivenUp[]): void {
  if (context.json) {
    context.stdout.write(`${JSON.stringify({ givenUp })}\n`)
    return
  }
  if (givenUp.length === 0) {
    context.stdout.write('\nRepaired. No offset that is known of was given up.\n\n')
    return
  }
  context.stdout.write('\nRepaired. These offsets were given up:\n\n')
  printRows(context, givenUp, {
    topic: ({ topic }) => topic ?? '(its creation is lost)',
    partition: ({ partition }) => partition,
    from: ({ from }) => from,
    to: ({ to }) => to,
  })
  context.stdout.write('\n')
}
