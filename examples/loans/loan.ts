/**
 * A loan application at a bank, as its employees worked on it in 2011 and 2012: it moves through
 * stages, offers are made for it, and work items are done on it. What may follow what was found in
 * the events of 13,087 real applications (BPI Challenge 2012).
 */
import { aggregate, reject } from 'millrace'
import { z } from 'zod'

/** How far the application is; each stage follows the one before. */
export type Stage =
  | 'none'
  | 'submitted'
  | 'partlySubmitted'
  | 'preAccepted'
  | 'accepted'
  | 'finalized'
/** How it ended, if it did. */
export type End = 'open' | 'approved' | 'declined' | 'cancelled'
/** The offer that the customer has, or had last. */
export type Offer = 'none' | 'created' | 'sent' | 'sentBack' | 'accepted' | 'declined' | 'cancelled'
/** Kinds of work, by the bank's own names. */
export type WorkItem = string

export type Loan = {
  readonly stage: Stage
  readonly end: End
  readonly registered: boolean
  readonly activated: boolean
  /** An offer was chosen and is not written yet. */
  readonly selecting: boolean
  readonly offer: Offer
  readonly work: Readonly<Record<WorkItem, 'waiting' | 'active' | 'done'>>
}

/** Who did it; absent where nobody did. */
const by = z.object({ by: z.string().optional() })
const work = z.object({ item: z.string(), by: z.string().optional() })
const submission = z.object({ amount: z.number().int().nonnegative(), by: z.string().optional() })

/** Why a command is refused: what was asked for does not follow from where the loan is. */
const notNow = (loan: Loan) =>
  reject({ code: 'not now', stage: loan.stage, end: loan.end, offer: loan.offer })

const isOpen = (loan: Loan): boolean => loan.end === 'open'
const isUnderway = (loan: Loan): boolean =>
  isOpen(loan) && loan.stage !== 'none' && loan.stage !== 'submitted'
const hasOffer = (loan: Loan): boolean => loan.offer === 'sent' || loan.offer === 'sentBack'
/** The three last steps come in any order. */
const isClosing = (loan: Loan): boolean =>
  loan.stage === 'finalized' && (loan.end === 'open' || loan.end === 'approved')
/** A new offer may be chosen, also in place of one that the customer has. */
const mayOffer = (loan: Loan): boolean =>
  (loan.stage === 'accepted' || loan.stage === 'finalized') &&
  isOpen(loan) &&
  !loan.selecting &&
  loan.offer !== 'created'

const worked = (loan: Loan, item: WorkItem, state: 'waiting' | 'active' | 'done'): Loan => ({
  ...loan,
  work: { ...loan.work, [item]: state },
})

export const loan = aggregate('loan', {
  events: {
    Submitted: submission,
    PartlySubmitted: by,
    PreAccepted: by,
    Accepted: by,
    Finalized: by,
    Approved: by,
    Registered: by,
    Activated: by,
    Declined: by,
    Cancelled: by,
    OfferSelected: by,
    OfferCreated: by,
    OfferSent: by,
    OfferSentBack: by,
    OfferAccepted: by,
    OfferDeclined: by,
    OfferCancelled: by,
    WorkScheduled: work,
    WorkStarted: work,
    WorkCompleted: work,
  },
  initial: (): Loan => ({
    stage: 'none',
    end: 'open',
    registered: false,
    activated: false,
    selecting: false,
    offer: 'none',
    work: {},
  }),
  evolve: {
    Submitted: loan => ({ ...loan, stage: 'submitted' }),
    PartlySubmitted: loan => ({ ...loan, stage: 'partlySubmitted' }),
    PreAccepted: loan => ({ ...loan, stage: 'preAccepted' }),
    Accepted: loan => ({ ...loan, stage: 'accepted' }),
    Finalized: loan => ({ ...loan, stage: 'finalized' }),
    Approved: loan => ({ ...loan, end: 'approved' }),
    Registered: loan => ({ ...loan, registered: true }),
    Activated: loan => ({ ...loan, activated: true }),
    Declined: loan => ({ ...loan, end: 'declined' }),
    Cancelled: loan => ({ ...loan, end: 'cancelled' }),
    OfferSelected: loan => ({ ...loan, selecting: true }),
    OfferCreated: loan => ({ ...loan, selecting: false, offer: 'created' }),
    OfferSent: loan => ({ ...loan, offer: 'sent' }),
    OfferSentBack: loan => ({ ...loan, offer: 'sentBack' }),
    OfferAccepted: loan => ({ ...loan, offer: 'accepted' }),
    OfferDeclined: loan => ({ ...loan, offer: 'declined' }),
    OfferCancelled: loan => ({ ...loan, offer: 'cancelled' }),
    WorkScheduled: (loan, { item }) => worked(loan, item, 'waiting'),
    WorkStarted: (loan, { item }) => worked(loan, item, 'active'),
    WorkCompleted: (loan, { item }) => worked(loan, item, 'done'),
  },
  commands: {
    submit: submission,
    submitPart: by,
    preAccept: by,
    accept: by,
    finalize: by,
    approve: by,
    register: by,
    activate: by,
    decline: by,
    cancel: by,
    selectOffer: by,
    createOffer: by,
    sendOffer: by,
    receiveOffer: by,
    acceptOffer: by,
    declineOffer: by,
    cancelOffer: by,
    scheduleWork: work,
    startWork: work,
    completeWork: work,
  },
  decide: {
    submit: (data, loan, { Submitted }) =>
      loan.stage === 'none' ? Submitted(data) : reject({ code: 'already submitted' }),
    submitPart: (data, loan, { PartlySubmitted }) =>
      loan.stage === 'submitted' ? PartlySubmitted(data) : notNow(loan),
    preAccept: (data, loan, { PreAccepted }) =>
      isOpen(loan) && loan.stage === 'partlySubmitted' ? PreAccepted(data) : notNow(loan),
    accept: (data, loan, { Accepted }) =>
      isOpen(loan) && loan.stage === 'preAccepted' ? Accepted(data) : notNow(loan),
    finalize: (data, loan, { Finalized }) =>
      isOpen(loan) && loan.stage === 'accepted' ? Finalized(data) : notNow(loan),
    approve: (data, loan, { Approved }) =>
      isClosing(loan) && isOpen(loan) ? Approved(data) : notNow(loan),
    register: (data, loan, { Registered }) =>
      isClosing(loan) && !loan.registered ? Registered(data) : notNow(loan),
    activate: (data, loan, { Activated }) =>
      isClosing(loan) && !loan.activated ? Activated(data) : notNow(loan),
    decline: (data, loan, { Declined }) => (isUnderway(loan) ? Declined(data) : notNow(loan)),
    cancel: (data, loan, { Cancelled }) => (isUnderway(loan) ? Cancelled(data) : notNow(loan)),
    selectOffer: (data, loan, { OfferSelected }) =>
      mayOffer(loan) ? OfferSelected(data) : notNow(loan),
    createOffer: (data, loan, { OfferCreated }) =>
      loan.selecting && !hasOffer(loan) ? OfferCreated(data) : notNow(loan),
    sendOffer: (data, loan, { OfferSent }) =>
      loan.offer === 'created' ? OfferSent(data) : notNow(loan),
    receiveOffer: (data, loan, { OfferSentBack }) =>
      loan.offer === 'sent' ? OfferSentBack(data) : notNow(loan),
    acceptOffer: (data, loan, { OfferAccepted }) =>
      hasOffer(loan) ? OfferAccepted(data) : notNow(loan),
    declineOffer: (data, loan, { OfferDeclined }) =>
      hasOffer(loan) ? OfferDeclined(data) : notNow(loan),
    cancelOffer: (data, loan, { OfferCancelled }) =>
      hasOffer(loan) ? OfferCancelled(data) : notNow(loan),
    scheduleWork: (data, loan, { WorkScheduled }) =>
      loan.stage === 'none' ? notNow(loan) : WorkScheduled(data),
    startWork: (data, loan, { WorkStarted }) =>
      loan.work[data.item] === undefined ? reject({ code: 'no such work' }) : WorkStarted(data),
    completeWork: (data, loan, { WorkCompleted }) =>
      loan.work[data.item] === undefined ? reject({ code: 'no such work' }) : WorkCompleted(data),
  },
})
