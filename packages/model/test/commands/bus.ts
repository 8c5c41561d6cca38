// A bus with few seats, impatient buyers who ask several nodes, and what must be true afterwards.
import type { Prng } from '@millrace/engine/simulation'
import { expect } from 'vitest'
import type { CommandRunner } from '../../src/commands/command-runner.ts'
import type { Outcome } from '../../src/context.ts'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'

/** Buses, each a stream. */
export const STREAMS = 3
const SEATS = 12
const CLIENTS = 8
const COMMANDS = 4

export type Sold = { readonly seat: number; readonly to: string }
export type Answer = {
  readonly id: string
  readonly commandId: string
  readonly seats: number
  readonly outcome: Outcome<unknown>
}
export type Tally = { accepted: number; duplicates: number; full: number }

/** A decision on an old state would sell one twice. */
export const bus = aggregate('bus', {
  events: { Sold: type<Sold>() },
  initial: () => ({ sold: [] as string[] }),
  evolve: { Sold: (state, { to }) => ({ sold: [...state.sold, to] }) },
  commands: { buy: type<{ to: string; seats: number }>() },
  decide: {
    buy: ({ to, seats }, { sold }, { Sold }) =>
      sold.length + seats > SEATS
        ? reject('full')
        : Array.from({ length: seats }, (_, i) => Sold({ seat: sold.length + i, to })),
  },
})

/** Clients repeat a command, at any node, until it is answered; sometimes once more after that. */
export async function traffic(nodes: readonly CommandRunner[], prng: Prng): Promise<Answer[]> {
  const answers: Answer[] = []
  const client = async (name: number): Promise<void> => {
    for (let n = 0; n < COMMANDS; n += 1) {
      const id = `${prng.below(STREAMS)}`
      const commandId = `${name}-${n}`
      const seats = 1 + prng.below(3)
      const wanted = prng.below(4) === 0 ? 2 : 1
      for (let got = 0; got < wanted; ) {
        const data = { to: commandId, seats }
        const ask = (): Promise<Outcome<unknown>> => {
          const node = nodes[prng.below(nodes.length)] as CommandRunner
          return node.run({ tenant: '', aggregate: 'bus', id, command: 'buy', data, commandId })
        }
        // An impatient client asks two nodes at once.
        const asked = prng.below(3) === 0 ? [ask(), ask()] : [ask()]
        for (const one of await Promise.allSettled(asked)) {
          if (one.status === 'fulfilled') {
            answers.push({ id, commandId, seats, outcome: one.value })
            got += 1
          } else if (one.reason?.retriable !== true) throw one.reason
        }
      }
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, name) => client(name)))
  return answers
}

/** Throws unless each bus is what the accepted commands, one after another, come to. */
export function judge(buses: readonly (readonly Sold[])[], answers: readonly Answer[]): Tally {
  for (const [id, sold] of buses.entries()) {
    expect(sold.length).toBeLessThanOrEqual(SEATS)
    expect(sold.map(({ seat }) => seat)).toEqual(sold.map((_, i) => i))
    // What was answered is what is recorded: whole, once, at the version that was told.
    const answered = answers.filter(one => one.id === `${id}` && one.outcome.ok)
    for (const { commandId, seats, outcome } of answered) {
      const places = sold.flatMap(({ to }, i) => (to === commandId ? [i + 1] : []))
      expect(places).toHaveLength(seats)
      expect(outcome.ok && outcome.version).toBe(places.at(-1))
      expect((places[0] ?? 0) + seats - 1).toBe(places.at(-1))
    }
    // A command that is answered more than once is answered the same each time.
    const refused = answers.filter(one => one.id === `${id}` && !one.outcome.ok)
    for (const { commandId } of refused) {
      expect(answered.map(one => one.commandId)).not.toContain(commandId)
    }
    const buyers = new Set(sold.map(({ to }) => to))
    expect(new Set(answered.map(({ commandId }) => commandId))).toEqual(buyers)
  }
  return {
    accepted: answers.filter(({ outcome }) => outcome.ok && !outcome.duplicate).length,
    duplicates: answers.filter(({ outcome }) => outcome.ok && outcome.duplicate).length,
    full: answers.filter(({ outcome }) => !outcome.ok).length,
  }
}
