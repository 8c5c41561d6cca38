// A coordinator as one would be added: a machine in a folder of its own, with requests that decide,
// commit and answer. It counts by name, in an internal topic of its own.
import type { Coordinator, CoordinatorContext } from '../../../src/machines/coordinator.ts'
import {
  copiedSnapshot,
  type Machine,
  type MachineRecord,
  type MachineSnapshot,
} from '../../../src/machines/machine.ts'

const COUNTERS_PARTITION = {
  id: 15,
  topic: '__counters',
  topicId: 'AAAAAAAAQACAAAAAAAAADw',
  partition: 0,
}

class CountersMachine implements Machine {
  readonly name = 'counters'
  readonly partition = COUNTERS_PARTITION
  readonly values = new Map<string, number>()

  owns(): boolean {
    return true
  }

  replay({ key, value }: MachineRecord): void {
    if (value === null) this.values.delete(key.toString())
    else this.values.set(key.toString(), value.readInt32BE(0))
  }

  snapshot(): MachineSnapshot {
    return copiedSnapshot([...this.values].map(([name, count]) => record(name, count)))
  }

  restore(records: Iterable<MachineRecord>): void {
    for (const one of records) this.replay(one)
  }
}

export class ToyCounters implements Coordinator {
  readonly machine = new CountersMachine()
  readonly machines: readonly Machine[] = [this.machine]
  readonly #commits: CoordinatorContext['commits']

  constructor({ commits }: CoordinatorContext) {
    this.#commits = commits
  }

  start(): void {}
  close(): void {}

  /** One more; answered when durable. */
  async count(name: string): Promise<number> {
    const next = (this.machine.values.get(name) ?? 0) + 1
    await this.#commits.commit([{ machine: this.machine, records: [record(name, next)] }])
    return next
  }

  async read(name: string): Promise<number> {
    const found = this.machine.values.get(name) ?? 0
    await this.#commits.settled()
    return found
  }
}

function record(name: string, count: number): MachineRecord {
  const value = Buffer.alloc(4)
  value.writeInt32BE(count)
  return { key: Buffer.from(name), value }
}
