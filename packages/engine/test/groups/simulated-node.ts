// A node with a group coordinator that can crash and come back from what its sink kept; calls to it
// take time, may lose their answer, and break when it crashes.
import type { Groups } from '@millrace/log'
import { GroupCoordinator } from '../../src/coordinators/groups/group-coordinator.ts'
import { createMachines } from '../../src/coordinators/machines.ts'
import { TimerWheel } from '../../src/timer-wheel.ts'
import { fill, outsideOf, type Rng, snapshotOf, VirtualSink, VirtualTime } from './virtual.ts'

export class NetworkError extends Error {}

export class SimulatedNode {
  readonly time = new VirtualTime()
  readonly #random: Rng
  sink: VirtualSink
  coordinator: GroupCoordinator | null = null
  /** Share of answers that get lost. */
  loss = 0
  #wheel: TimerWheel | null = null
  readonly #calls = new Set<(error: NetworkError) => void>()

  constructor(random: Rng) {
    this.#random = random
    this.sink = new VirtualSink(this.time)
    this.start()
  }

  start(): void {
    const outside = outsideOf(this.time, this.#random)
    this.#wheel = new TimerWheel(outside)
    this.coordinator = new GroupCoordinator({
      machines: createMachines(),
      commits: this.sink,
      outside,
      wheel: this.#wheel,
      partitionExists: () => true,
    })
    fill(this.coordinator.machines, this.sink.entered)
    this.coordinator.start()
  }

  /** kill -9, perhaps with a power cut: memory is gone, the sink keeps what it must and perhaps more. */
  crash(): void {
    if (this.coordinator === null) return
    const { latency } = this.sink
    const kept = this.sink.crash(this.#random)
    // Half of the time recovery starts from a snapshot, as after a checkpoint.
    const records = this.#random.chance(0.5) ? kept : throughSnapshot(kept)
    this.sink = new VirtualSink(this.time, records)
    this.sink.latency = latency
    this.#wheel?.close()
    this.coordinator = null
    for (const fail of [...this.#calls]) fail(new NetworkError('connection lost'))
  }

  async call<Response>(
    timeoutMs: number,
    ask: (groups: Groups) => Promise<Response>,
  ): Promise<Response> {
    await this.time.sleep(this.#random.below(5))
    const { coordinator } = this
    if (coordinator === null) throw new NetworkError('refused')
    const lost = this.#random.chance(this.loss)
    const response = await new Promise<Response>((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        this.#calls.delete(fail)
      }
      const fail = (error: NetworkError): void => {
        end()
        reject(error)
      }
      const timer = this.time.after(timeoutMs, () => fail(new NetworkError('timed out')))
      this.#calls.add(fail)
      ask(coordinator).then(
        answer => {
          if (lost) return
          end()
          resolve(answer)
        },
        () => fail(new NetworkError('failed')),
      )
    })
    await this.time.sleep(this.#random.below(5))
    return response
  }
}

function throughSnapshot(records: VirtualSink['entered']): VirtualSink['entered'] {
  const machines = Object.values(createMachines())
  fill(machines, records)
  return snapshotOf(machines)
}
