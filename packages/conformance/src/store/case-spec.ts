/** What a case of the store's suite is. */
import type { CaseOf } from '../frame/frame.ts'
import type { StoreFeatures } from './place.ts'
import type { StoreScene } from './scene.ts'

/** A case as the files of this folder write it. */
export type CaseSpec = CaseOf<StoreScene> & {
  /** Features without which the promise means nothing. Absent: every store keeps it. */
  readonly needs?: keyof StoreFeatures | readonly (keyof StoreFeatures)[]
}
