/** The groups of an engine that can be closed: afterwards every call throws LOG_CLOSED. */
import type { Groups } from '@millrace/log'

/** Runs `work`, or throws. */
export type Guard = <T>(work: () => Promise<T>) => Promise<T>

/** The same groups behind a guard. */
export const guardedGroups = (groups: Groups, guard: Guard): Groups => ({
  join: request => guard(() => groups.join(request)),
  sync: request => guard(() => groups.sync(request)),
  heartbeat: member => guard(() => groups.heartbeat(member)),
  leave: request => guard(() => groups.leave(request)),
  commit: request => guard(() => groups.commit(request)),
  fetchOffsets: (groupId, partitions, options) =>
    guard(() => groups.fetchOffsets(groupId, partitions, options)),
  list: filter => guard(() => groups.list(filter)),
  describe: groupIds => guard(() => groups.describe(groupIds)),
  delete: groupIds => guard(() => groups.delete(groupIds)),
  deleteOffsets: (groupId, partitions) => guard(() => groups.deleteOffsets(groupId, partitions)),
})
