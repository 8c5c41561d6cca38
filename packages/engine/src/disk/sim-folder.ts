/**
 * A simulated folder: the names that programs see, the names that survive a power cut, and the
 * changes in between, each of which a power cut keeps or loses by itself. A rename is one change: its
 * file is found under the old name or the new one. Syncing a file does not make its name durable.
 */
import type { Choose } from '@millrace/base/simulation'
import type { CutDetail, SimInode } from './sim-inode.ts'

/** What a name stands for. */
export type SimNode = SimInode | SimFolder

/** One change of names. A rename between two folders is durable when both are synced. */
export type NameChange = {
  readonly edits: readonly NameEdit[]
  readonly unsynced: Set<SimFolder>
}

type NameEdit = {
  readonly folder: SimFolder
  readonly name: string
  readonly node: SimNode | undefined
}

/** How a power cut decides. */
export type PowerCut = {
  readonly choose: Choose
  readonly detail: CutDetail
  /** What may show where a file has grown and its bytes were lost. */
  readonly staleBytes: Buffer
}

/** Decisions so far: a node with two names, or a change in two folders, is decided once. */
type Decided = { readonly kept: Map<NameChange, boolean>; readonly nodes: Map<SimNode, SimNode> }

/** A folder of names. */
export class SimFolder {
  #names = new Map<string, SimNode>()
  #durable = new Map<string, SimNode>()
  #pending: NameChange[] = []

  /** Names in use, sorted. */
  get names(): readonly string[] {
    return [...this.#names.keys()].sort()
  }

  get isEmpty(): boolean {
    return this.#names.size === 0
  }

  get(name: string): SimNode | undefined {
    return this.#names.get(name)
  }

  /** Gives a name to a node, or takes it away. */
  set(name: string, node: SimNode | undefined): void {
    SimFolder.#change([{ folder: this, name, node }])
  }

  /** Moves a name, in one step. */
  move(name: string, to: SimFolder, newName: string): void {
    const node = this.get(name)
    SimFolder.#change([
      { folder: this, name, node: undefined },
      { folder: to, name: newName, node },
    ])
  }

  /** Marks what a sync that begins now will cover. */
  beginSync(): readonly NameChange[] {
    return [...this.#pending]
  }

  /** The sync that began at this mark has succeeded. */
  endSync(mark: readonly NameChange[]): void {
    for (const change of mark) {
      if (!this.#pending.includes(change)) continue
      change.unsynced.delete(this)
      if (change.unsynced.size > 0) continue
      for (const { folder, name, node } of change.edits) {
        assign(folder.#durable, name, node)
        folder.#pending = folder.#pending.filter(other => other !== change)
      }
    }
  }

  /** Puts a name where it was ever since, for tests that change a disk at rest. */
  place(name: string, node: SimNode | undefined): void {
    assign(this.#names, name, node)
    assign(this.#durable, name, node)
  }

  /** All files below. */
  *files(): Generator<SimInode> {
    for (const node of this.#names.values()) {
      if (node instanceof SimFolder) yield* node.files()
      else yield node
    }
  }

  /** Changes of names and files below that no sync has covered. */
  pendingBelow(): number {
    let count = this.#pending.length
    for (const node of this.#reachable()) {
      count += node instanceof SimFolder ? node.pendingBelow() : node.pendingChanges
    }
    return count
  }

  /** The same folder once more: a kill loses nothing, and what was not synced still is not. */
  clone(copies: Map<SimNode, SimNode> = new Map()): SimFolder {
    const changes = new Set<NameChange>()
    const copy = (node: SimNode): SimNode => {
      const known = copies.get(node)
      if (known !== undefined) return known
      if (!(node instanceof SimFolder)) {
        const file = node.clone()
        copies.set(node, file)
        return file
      }
      const folder = new SimFolder()
      copies.set(node, folder)
      for (const [name, below] of node.#names) folder.#names.set(name, copy(below))
      for (const [name, below] of node.#durable) folder.#durable.set(name, copy(below))
      for (const change of node.#pending) changes.add(change)
      return folder
    }
    const folderOf = (folder: SimFolder): SimFolder => copy(folder) as SimFolder
    const root = folderOf(this)
    for (const { edits, unsynced } of changes) {
      const change: NameChange = {
        edits: edits.map(({ folder, name, node }) => ({
          folder: folderOf(folder),
          name,
          node: node === undefined ? undefined : copy(node),
        })),
        unsynced: new Set([...unsynced].map(folderOf)),
      }
      for (const folder of new Set(change.edits.map(edit => edit.folder))) {
        folder.#pending.push(change)
      }
    }
    return root
  }

  /** What a power cut leaves of names and files. */
  afterPowerCut(cut: PowerCut, decided: Decided = noDecisions()): SimFolder {
    const names = new Map(this.#durable)
    for (const change of this.#pending) {
      const kept = decided.kept.get(change) ?? cut.choose(2) === 1
      decided.kept.set(change, kept)
      if (!kept) continue
      for (const { folder, name, node } of change.edits) {
        if (folder === this) assign(names, name, node)
      }
    }
    const next = new SimFolder()
    for (const [name, node] of names) {
      const known = decided.nodes.get(node)
      const after =
        known ??
        (node instanceof SimFolder
          ? node.afterPowerCut(cut, decided)
          : node.afterPowerCut(cut.choose, cut.detail, cut.staleBytes))
      decided.nodes.set(node, after)
      next.place(name, after)
    }
    return next
  }

  #reachable(): Set<SimNode> {
    const pending = this.#pending.flatMap(change => change.edits.map(edit => edit.node))
    const nodes = new Set<SimNode | undefined>([
      ...this.#names.values(),
      ...this.#durable.values(),
      ...pending,
    ])
    nodes.delete(undefined)
    return nodes as Set<SimNode>
  }

  static #change(edits: readonly NameEdit[]): void {
    const folders = new Set(edits.map(edit => edit.folder))
    const change: NameChange = { edits, unsynced: new Set(folders) }
    for (const { folder, name, node } of edits) assign(folder.#names, name, node)
    for (const folder of folders) folder.#pending.push(change)
  }
}

const noDecisions = (): Decided => ({ kept: new Map(), nodes: new Map() })

function assign(names: Map<string, SimNode>, name: string, node: SimNode | undefined): void {
  if (node === undefined) names.delete(name)
  else names.set(name, node)
}
