/** Verification of a whole data folder, with the machines that the engine has. */
import { Catalogue, type CatalogueEvents } from './coordinators/catalogue/catalogue.ts'
import { createMachines } from './coordinators/machines.ts'
import type { Disk } from './disk/disk.ts'
import type { Machine } from './machines/machine.ts'
import { MachineRegistry } from './machines/registry.ts'
import { type VerifyReport, verifyStore } from './storage/verify.ts'

const NOBODY: CatalogueEvents = {
  topicConfigured: () => undefined,
  partitionAdded: () => undefined,
  topicDeleted: () => undefined,
  logStartMoved: () => undefined,
}

/** Verifies a data folder that nobody has open. Throws DiskError when it cannot be read. */
export function verifyFolder(disk: Disk): VerifyReport {
  return verifyWith(disk, [])
}

/** {@link verifyFolder} of an engine that has further machines. */
export function verifyWith(disk: Disk, more: readonly Machine[]): VerifyReport {
  // Limits bound decisions, not replay.
  const catalogue = new Catalogue(NOBODY, { topicsMax: 0, partitionsMax: 0, internalTopics: [] })
  const registry = new MachineRegistry(catalogue, [...Object.values(createMachines()), ...more])
  return verifyStore(disk, { registry, directory: catalogue })
}
