/** Time and chance under control: for simulations of whatever takes its outside as a parameter. */
export {
  type Choose,
  type EveryOutcomeOptions,
  everyOutcome,
  Prng,
  scriptedChoose,
  seededChoose,
} from './choose.ts'
export { type DriveOptions, VirtualOutside } from './virtual-outside.ts'
