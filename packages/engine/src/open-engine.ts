/**
 * Opens the embedded engine: lock, recover, begin a new generation of the journal, serve.
 *
 * Nothing is answered before the checkpoint of the new generation is durable (see `recovery.ts`).
 */
import { type Outside, resolveSettings, systemOutside, Turns } from '@millrace/base'
import { LogError } from '@millrace/log'
import { AwakeClock } from './awake-clock.ts'
import { Catalogue } from './coordinators/catalogue/catalogue.ts'
import { GroupCoordinator } from './coordinators/groups/group-coordinator.ts'
import { createMachines } from './coordinators/machines.ts'
import { type Disk, DiskError } from './disk/disk.ts'
import { FreezableDisk } from './disk/freezable-disk.ts'
import { nodeDisk } from './disk/node-disk.ts'
import type { Engine } from './engine.ts'
import { GROUP_SETTINGS, type GroupSettings } from './group-settings.ts'
import { KeepAlive } from './keep-alive.ts'
import type { Coordinator, CoordinatorContext } from './machines/coordinator.ts'
import { MachineRegistry } from './machines/registry.ts'
import { MachineRuntime } from './machines/runtime.ts'
import { PARTITIONS_FOLDER, type PartitionLog } from './partitions/partition-log.ts'
import { TimeSearch } from './partitions/time-search.ts'
import { canonicalTopicConfig } from './partitions/topic-config.ts'
import { FileCache } from './segments/file-cache.ts'
import { Appends } from './service/appends.ts'
import { Clockwork } from './service/clockwork.ts'
import { EmbeddedEngine } from './service/embedded-engine.ts'
import { Fetches } from './service/fetches.ts'
import { TopicAdmin } from './service/topic-admin.ts'
import { TopicTable } from './service/topic-table.ts'
import { Troubles } from './service/troubles.ts'
import { ENGINE_SETTINGS, type EngineSettings } from './settings.ts'
import type { CheckpointHead } from './storage/checkpoint.ts'
import { Checkpointer } from './storage/checkpointer.ts'
import { readClock } from './storage/clock-file.ts'
import { CommitSequence } from './storage/commit-sequence.ts'
import { Cleaner } from './storage/compaction/cleaner.ts'
import { planDescriptors } from './storage/descriptor-plan.ts'
import { ExpiryClock } from './storage/expiry-clock.ts'
import { FENCED_MARKER } from './storage/generation.ts'
import { LogStore } from './storage/log-store.ts'
import { JournalOpening } from './storage/open-journal.ts'
import { type RecoveryReport, recover } from './storage/recovery.ts'
import { Retention } from './storage/retention.ts'
import { JOURNAL_FOLDER } from './storage/ring-register.ts'
import type { GivenUp } from './storage/salvage.ts'
import { StoreCommits } from './storage/store-commits.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TURN_BUDGET_MS } from './turns.ts'

/** How often the clock of group members is looked at while there are any, in ms. */
const AWAKE_LOOK_MS = 500

/** How to open an engine. */
export type EngineOptions = {
  /** The data folder; created if absent. */
  readonly folder: string
  readonly settings?: Partial<EngineSettings>
  readonly groupSettings?: Partial<GroupSettings>
  /** The node's defaults for topic configuration, by Kafka's names of topic keys. */
  readonly topicDefaults?: Readonly<Record<string, string>>
  readonly disk?: Disk
  readonly outside?: Outside
  /**
   * The operator has decided: what is damaged is given up, the rest is served again. Without it
   * damage is quarantined and nothing is thrown away.
   */
  readonly acceptLoss?: boolean
  /** With `acceptLoss`: told which offsets are given up, once that is durable. */
  readonly onGivenUp?: (offsets: readonly GivenUp[]) => void
  /** Told what an operator should read: recovery, damage, fences. */
  readonly onEvent?: (event: EngineEvent) => void
}

/** Something that an operator should read. */
export type EngineEvent = {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
}

/**
 * Opens an engine on a data folder. Throws LogError KAFKA_STORAGE_ERROR when the folder is in use or
 * cannot be read, RangeError on a bad setting, INVALID_CONFIG on a bad topic default.
 */
export function openEngine(options: EngineOptions): Promise<Engine> {
  return openWith(options, [])
}

/** Makes a coordinator for an engine that is being opened. */
export type CoordinatorFactory = (context: CoordinatorContext) => Coordinator

/** {@link openEngine} with further coordinators: their machines are in the registry like the engine's own. */
export async function openWith(
  options: EngineOptions,
  more: readonly CoordinatorFactory[],
): Promise<Engine> {
  const settings = resolveSettings(ENGINE_SETTINGS, options.settings)
  const groupSettings = resolveSettings(GROUP_SETTINGS, options.groupSettings)
  const topicDefaults = canonicalTopicConfig(options.topicDefaults ?? {})
  const outside = options.outside ?? systemOutside({ keepAlive: false })
  const disk = new FreezableDisk(options.disk ?? nodeDisk(options.folder))
  try {
    disk.lock()
  } catch (cause) {
    await disk.close()
    throw storageError(cause)
  }
  let opening: EngineOpening | undefined
  try {
    opening = new EngineOpening({
      ...options,
      settings,
      groupSettings,
      topicDefaults,
      outside,
      disk,
      more,
    })
    return await new KeepAlive(outside.timers).during(opening.run())
  } catch (cause) {
    opening?.abandon()
    disk.unlock()
    await disk.close()
    throw storageError(cause)
  }
}

type OpeningOptions = Omit<EngineOptions, 'settings' | 'groupSettings'> & {
  readonly settings: EngineSettings
  readonly groupSettings: GroupSettings
  readonly topicDefaults: Readonly<Record<string, string>>
  readonly outside: Outside
  readonly disk: FreezableDisk
  readonly more: readonly CoordinatorFactory[]
}

/** The steps of opening, and the wires between the parts. */
class EngineOpening {
  /** Whether the journal was found damaged: then nothing is written. */
  #isDamaged = false
  readonly #options: OpeningOptions
  readonly #store: LogStore
  readonly #topics: TopicTable
  readonly #catalogue: Catalogue
  readonly #registry: MachineRegistry
  readonly #runtime: MachineRuntime
  readonly #sequence: CommitSequence
  readonly #groups: GroupCoordinator
  readonly #coordinators: readonly Coordinator[]
  readonly #wheel: TimerWheel
  /** Waiting reads keep the process alive: a program that only consumes goes on. */
  readonly #readWheel: TimerWheel
  readonly #appends: Appends
  /** What reads may take of each turn, all together. */
  readonly #turns: Turns
  readonly #descriptorsLeft: number
  readonly #ages: ExpiryClock
  #checkpointer: Checkpointer | undefined
  #clockwork: Clockwork | undefined

  constructor(options: OpeningOptions) {
    const { disk, outside, settings } = options
    this.#options = options
    const { descriptorsMax, warnings } = disk.surroundings()
    const { files, left } = planDescriptors(descriptorsMax, settings)
    this.#descriptorsLeft = left
    for (const warning of warnings) this.#event('warn', warning)
    if (files < settings['files.open.max']) {
      this.#event(
        'warn',
        `the process may open ${descriptorsMax} files (ulimit -n): at most ${files} segments are open at once, not files.open.max=${settings['files.open.max']}`,
      )
    }
    this.#ages = new ExpiryClock({
      clock: outside.clock,
      limits: {
        jumpMaxMs: settings['clock.jump.max.ms'],
        startJumpMaxMs: settings['clock.start.jump.max.ms'],
        holdMs: settings['clock.jump.hold.ms'],
      },
      memory: readClock(disk),
      onEvent: event => this.#event(event.level, event.message),
    })
    const cache = new FileCache(disk, files)
    this.#store = new LogStore({ disk, cache, outside, settings })
    this.#sequence = new CommitSequence({
      apply: group => this.#store.applyGroup(group),
      position: () => this.#store.journal.position,
      checkpointer: () => this.#checkpointer,
      afterGroup: () => this.#clockwork?.afterGroup(),
    })
    this.#turns = new Turns(outside, TURN_BUDGET_MS)
    this.#topics = new TopicTable({
      turns: this.#turns,
      store: this.#store,
      nodeConfig: options.topicDefaults,
      whenDurable: effect => this.#sequence.whenComplete(this.#store.journal.openSeq, effect),
    })
    // Who did not hear from its members because it stood still does not expel them.
    this.#wheel = new TimerWheel(
      { clock: new AwakeClock(outside.clock, 2 * AWAKE_LOOK_MS), timers: outside.timers },
      { armMaxMs: AWAKE_LOOK_MS },
    )
    this.#readWheel = new TimerWheel({
      clock: outside.clock,
      timers: {
        after: (ms, callback) => outside.timers.after(ms, callback, true),
        soon: callback => outside.timers.soon(callback),
      },
    })
    this.#runtime = new MachineRuntime(new StoreCommits(this.#store))
    const machines = createMachines()
    this.#groups = new GroupCoordinator({
      machines,
      commits: this.#runtime,
      outside,
      wheel: this.#wheel,
      settings: options.groupSettings,
      isAnother: (topic, topicId) => this.#topics.isAnother(topic, topicId),
      partitionExists: (topic, partition) => this.#topics.partition(topic, partition) !== undefined,
      ageOf: timestamp => this.#ages.ageOf(timestamp),
      onWarning: message => this.#event('warn', message),
    })
    const context = { commits: this.#runtime, outside }
    const more = options.more.map(create => create(context))
    this.#coordinators = [this.#groups, ...more]
    const others = [
      ...Object.values(machines),
      ...more.flatMap(coordinator => coordinator.machines),
    ]
    const internalTopics: string[] = []
    this.#catalogue = new Catalogue(this.#topics, {
      topicsMax: settings['topics.max'],
      partitionsMax: settings['partitions.max'],
      internalTopics,
    })
    this.#registry = new MachineRegistry(this.#catalogue, others)
    internalTopics.push(...this.#registry.partitions.map(({ topic }) => topic))
    this.#topics.addInternal(this.#registry.partitions)
    this.#appends = new Appends(this.#store, this.#topics, () => this.#runtime.lastGroup)
    this.#store.onRelieved = () => this.#appends.drain()
  }

  /** Opening has failed: whoever tries again in this process must not find fewer descriptors. */
  abandon(): void {
    this.#store.cache.closeAll()
  }

  async run(): Promise<Engine> {
    const { disk } = this.#options
    disk.makeFolder(JOURNAL_FOLDER)
    disk.makeFolder(PARTITIONS_FOLDER)
    const target = { store: this.#store, registry: this.#registry }
    const { report, checkpoint, takeAway } = await recover(target, {
      newId: () => this.#newId(),
      acceptLoss: this.#options.acceptLoss === true,
      onReadOnly: () => disk.freeze(),
    })
    this.#tell(report)
    if (report.damage !== undefined) return this.#serveReadOnly(report, checkpoint, report.damage)
    const opening = this.#journalOpening(checkpoint)
    const opened = await opening.open()
    try {
      takeAway()
      await opening.leaveOld(opened)
      if (opened.lacks !== undefined) this.#tellShort(opened.lacks)
      this.#options.onGivenUp?.(report.givenUp)
      return this.#serve(report, opened.checkpoint)
    } catch (cause) {
      opened.ring.close()
      throw cause
    }
  }

  #serve(report: RecoveryReport, checkpoint: CheckpointHead): Engine {
    const { settings, outside } = this.#options
    this.#checkpointer = new Checkpointer({
      store: this.#store,
      registry: this.#registry,
      last: checkpoint,
      onError: message => this.#event('error', message),
    })
    const admin = new TopicAdmin({
      catalogue: this.#catalogue,
      topics: this.#topics,
      commits: this.#runtime,
      random: outside.random,
      settings,
      turns: this.#turns,
      timers: this.#wheel,
      onDeleted: topic => this.#groups.onTopicDeleted(topic),
      purged: topic => this.#groups.purged(topic),
    })
    const internal = (partition: PartitionLog): boolean =>
      partition.deleted || this.#topics.get(partition.topic)?.internal === true
    const retention = new Retention(
      this.#store,
      moves => admin.moveLogStarts(moves),
      internal,
      this.#ages,
    )
    const cleaner = new Cleaner({
      store: this.#store,
      checkpointer: this.#checkpointer,
      partitions: () => this.#topics.compacted(),
      startsDurable: () => admin.moveLogStarts(new Map()),
      ageOf: timestamp => this.#ages.ageOf(timestamp),
      onEvent: event => this.#event(event.level, event.message),
    })
    const clockwork = new Clockwork({
      store: this.#store,
      topics: this.#topics,
      checkpointer: this.#checkpointer,
      retention,
      cleaner,
      appends: this.#appends,
      ages: this.#ages,
    })
    this.#clockwork = clockwork
    this.#topics.recovering = false
    this.#catalogue.start()
    if (this.#store.journal.fencedBy === undefined) {
      clockwork.start()
      if (this.#store.openingLacks !== undefined) void this.#store.relieve()
      for (const coordinator of this.#coordinators) coordinator.start()
    }
    const engine: EmbeddedEngine = new EmbeddedEngine({
      id: checkpoint.logId,
      folder: this.#options.folder,
      settings,
      groupSettings: this.#options.groupSettings,
      descriptorsLeft: this.#descriptorsLeft,
      store: this.#store,
      topics: this.#topics,
      admin,
      appends: this.#appends,
      fetches: new Fetches(this.#topics, this.#readWheel, settings, this.#turns),
      search: new TimeSearch(this.#turns),
      groups: this.#groups,
      coordinators: this.#coordinators,
      clockwork,
      ages: this.#ages,
      cleaner,
      recovery: report,
      say: (level, message) => this.#event(level, message),
      release: async () => {
        troubles.stop()
        this.#wheel.close()
        this.#readWheel.close()
        this.#options.disk.unlock()
        await this.#options.disk.close()
      },
    })
    const troubles = new Troubles({
      outside,
      everyMs: settings['health.repeat.ms'],
      health: () => engine.health(),
      say: (level, message) => this.#event(level, message),
    })
    troubles.start()
    return engine
  }

  /** The journal is damaged: every byte stays where it is, nothing is written, reads are served. */
  #serveReadOnly(report: RecoveryReport, checkpoint: CheckpointHead, damage: string): Engine {
    this.#isDamaged = true
    this.#journalOpening(checkpoint).fenced(damage)
    return this.#serve(report, checkpoint)
  }

  #journalOpening(checkpoint: CheckpointHead): JournalOpening {
    const { disk, outside, acceptLoss } = this.#options
    return new JournalOpening({
      disk,
      outside,
      target: { store: this.#store, registry: this.#registry },
      checkpoint,
      isRepair: acceptLoss === true,
      events: {
        onSealed: group => this.#sequence.sealed(group),
        onComplete: group => this.#sequence.complete(group),
        onRoom: () => this.#appends.drain(),
        onLack: () => this.#appends.drain(),
        onPressure: () => this.#clockwork?.pressure() ?? false,
        isShort: () => this.#store.isShort,
        onFenced: reason => this.#fenced(reason),
      },
    })
  }

  #fenced(reason: string): void {
    // Found damaged: `Troubles` says so, and nothing is written, no mark either.
    if (this.#isDamaged) return
    this.#event('error', `appends are refused until a restart: ${reason}`)
    try {
      // Best effort on a disk that has just failed: without it the next run reuses the files.
      this.#options.disk.open(FENCED_MARKER, 'create').close()
    } catch (cause) {
      this.#event('warn', `the mark of the failed journal could not be written: ${String(cause)}`)
    }
  }

  #newId(): string {
    return this.#options.outside.random.bytes(16).toString('base64url')
  }

  #tell(report: RecoveryReport): void {
    if (report.fresh || report.clean) return
    this.#event(
      'warn',
      `recovered after a crash: ${report.groups} groups, ${report.batches} batches; the journal ends behind ${report.journalEnd}`,
    )
    if (report.unclaimed > 0) {
      this.#event(
        'warn',
        `${report.unclaimed} records of internal topics are of a kind that this version does not know: they have been left out`,
      )
    }
  }

  #tellShort(lacks: DiskError): void {
    this.#event(
      'warn',
      `opened without room for a checkpoint (${lacks.message}): reads and deletions are served, appends are refused until there is room`,
    )
  }

  #event(level: EngineEvent['level'], message: string): void {
    this.#options.onEvent?.({ level, message })
  }
}

function storageError(cause: unknown): unknown {
  if (!(cause instanceof DiskError)) return cause
  return new LogError('KAFKA_STORAGE_ERROR', cause.message, cause)
}
