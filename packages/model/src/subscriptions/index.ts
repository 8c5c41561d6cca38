export {
  type Epoch,
  Follower,
  type FollowerOptions,
  type StartPlace,
  type Worker,
} from './follower.ts'
export {
  type BucketPosition,
  groupOwnership,
  type Ownership,
  soleOwnership,
} from './ownership.ts'
export { checkpointOf, NO_POSITIONS, offsetIn, type Positions, positionsIn } from './positions.ts'
export { FOLLOWER_SETTINGS, type FollowerSettings } from './settings.ts'
