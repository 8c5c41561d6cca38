export {
  type Delivery,
  type DeliveryContext,
  type Subscription,
  subscription,
} from './define.ts'
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
  type OwnershipListener,
  soleOwnership,
} from './ownership.ts'
export {
  type ParkedStream,
  type ParkedStreams,
  parkedCategoryOf,
  storedParkedStreams,
} from './parked.ts'
export { checkpointOf, NO_POSITIONS, offsetIn, type Positions, positionsIn } from './positions.ts'
export {
  createSubscription,
  parkedCategory,
  type Redriven,
  type SubscriptionOptions,
  type SubscriptionProcessor,
} from './processor.ts'
export { FOLLOWER_SETTINGS, type FollowerSettings } from './settings.ts'
