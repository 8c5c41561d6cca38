// Loan applications of no real customers, as lines of the same form as the real events: enough of
// each path to try an import where the data is not at hand. Several go on side by side, so that
// their lines are mixed; times never fall.
import { seeded } from '../support/seeded.ts'

const atOnce = 40
const begin = Date.parse('2020-01-01T08:00:00Z')

type Step = readonly [activity: string, transition?: 'SCHEDULE' | 'START' | 'COMPLETE']

const offer: readonly Step[] = [['O_SELECTED'], ['O_CREATED'], ['O_SENT']]
const work: readonly Step[] = [
  ['W_Check', 'SCHEDULE'],
  ['W_Check', 'START'],
  ['W_Check', 'COMPLETE'],
]
const begun: readonly Step[] = [['A_SUBMITTED'], ['A_PARTLYSUBMITTED']]
const underway: readonly Step[] = [...begun, ['A_PREACCEPTED'], ...work, ['A_ACCEPTED'], ...offer]
const ends: readonly (readonly Step[])[] = [
  [...begun, ['A_DECLINED']],
  [...underway, ['O_CANCELLED'], ...offer, ['A_CANCELLED']],
  [...underway, ['A_FINALIZED'], ['O_SENT_BACK'], ['O_DECLINED'], ['A_DECLINED']],
  [
    ...underway,
    ...[['A_FINALIZED'] as const, ['O_SENT_BACK'] as const, ['O_ACCEPTED'] as const],
    ...[['A_REGISTERED'] as const, ['A_APPROVED'] as const, ['A_ACTIVATED'] as const],
  ],
  underway,
]

/** Lines of `applications` applications, from a seed. */
export function generatedLines(applications: number, seed: number): readonly string[] {
  const random = seeded(seed)
  const pick = (below: number): number => Math.floor(random() * below)
  const lines: string[] = []
  const open: { id: string; steps: readonly Step[]; seq: number }[] = []
  let time = begin
  let made = 0
  while (made < applications || open.length > 0) {
    while (made < applications && open.length < atOnce) {
      made += 1
      open.push({ id: `g${made}`, steps: ends[pick(ends.length)] ?? begun, seq: 0 })
    }
    const index = pick(open.length)
    const one = open[index]
    const step = one?.steps[one.seq]
    if (one === undefined || step === undefined) {
      open.splice(index, 1)
      continue
    }
    const [activity, transition = 'COMPLETE'] = step
    lines.push(
      JSON.stringify({
        applicationId: one.id,
        seq: one.seq,
        activity,
        transition,
        time: new Date(time).toISOString(),
        ...(pick(10) === 0 ? {} : { resource: String(10_000 + pick(60)) }),
        ...(one.seq === 0 ? { amountRequested: 100 * (1 + pick(500)) } : {}),
      }),
    )
    one.seq += 1
    time += pick(3_600_000)
  }
  return lines
}
