/**
 * The machines of an engine, by name and by partition: what checkpoints copy, recovery feeds and
 * verification reads.
 */
import {
  FIRST_CLIENT_PARTITION_ID,
  type InternalPartition,
  type Machine,
  type MachineRecord,
  type MachineSnapshot,
} from './machine.ts'

/** Snapshots of all machines at one moment, by name. */
export type MachineSnapshots = ReadonlyMap<string, MachineSnapshot>

/** All machines; the catalogue first. */
export class MachineRegistry {
  /** Its records are replayed before all others: they say which partitions there are. */
  readonly first: Machine
  readonly machines: readonly Machine[]
  readonly #byName = new Map<string, Machine>()
  readonly #byPartition = new Map<number, Machine[]>()

  /** Throws on two machines that cannot be told apart: a defect of the composition. */
  constructor(first: Machine, others: readonly Machine[]) {
    this.first = first
    this.machines = [first, ...others]
    for (const machine of this.machines) this.#add(machine)
    if (this.#byPartition.get(first.partition.id)?.length !== 1) {
      throw new Error(`${first.name} is replayed first and shares its partition with nobody`)
    }
  }

  /** The partitions of all machines, each once. */
  get partitions(): readonly InternalPartition[] {
    return [...this.#byPartition.values()].flatMap(([machine]) =>
      machine === undefined ? [] : [machine.partition],
    )
  }

  /** The machine that a record of this partition belongs to; undefined for kinds nobody knows. */
  ownerOf(partitionId: number, key: Buffer): Machine | undefined {
    return this.#byPartition.get(partitionId)?.find(machine => machine.owns(key))
  }

  /** Whether records of machines are in this partition. */
  has(partitionId: number): boolean {
    return this.#byPartition.has(partitionId)
  }

  /** Gives a record to its machine. False where none knows it. */
  replay(partitionId: number, record: MachineRecord): boolean {
    const machine = this.ownerOf(partitionId, record.key)
    machine?.replay(record)
    return machine !== undefined
  }

  /** All states as they are now. Whoever takes them releases each. */
  snapshot(): MachineSnapshots {
    return new Map(this.machines.map(machine => [machine.name, machine.snapshot()]))
  }

  /**
   * Gives each machine its part of a checkpoint, the first one's first. Answers the names that no
   * machine has: their state would be lost with the next checkpoint.
   */
  restore(parts: ReadonlyMap<string, Iterable<MachineRecord>>): readonly string[] {
    for (const { name } of this.machines) {
      const records = parts.get(name)
      if (records !== undefined) this.#byName.get(name)?.restore(records)
    }
    return [...parts.keys()].filter(name => !this.#byName.has(name))
  }

  #add(machine: Machine): void {
    const { name, partition } = machine
    if (this.#byName.has(name)) throw new Error(`two machines are called ${name}`)
    if (partition.id >= FIRST_CLIENT_PARTITION_ID) {
      throw new Error(`${name}: partition id ${partition.id} belongs to clients`)
    }
    const there = this.#byPartition.get(partition.id) ?? []
    if (there.some(other => other.partition !== partition)) {
      throw new Error(`${name}: partition id ${partition.id} is that of another partition`)
    }
    this.#byName.set(name, machine)
    this.#byPartition.set(partition.id, [...there, machine])
  }
}

/** Lets all snapshots go. */
export function releaseAll(snapshots: MachineSnapshots): void {
  for (const snapshot of snapshots.values()) snapshot.release()
}
