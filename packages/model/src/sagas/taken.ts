/**
 * The last version that an instance took from each source stream: a tree that is never changed in
 * place. Noting a version copies a leaf and the way to it, so it costs the same however many streams
 * there are. Plain JSON, as it is part of snapshots; a small one is one leaf.
 */

/** Versions by source stream (`category/id`): a leaf, or sixteen parts by the source's hash. */
export type TakenVersions =
  | { readonly [source: string]: number }
  | readonly (TakenVersions | null)[]

const LEAF_MAX = 16
const BITS = 4
const WIDTH = 2 ** BITS
const MASK = WIDTH - 1
const DEPTH_MAX = 32 / BITS

/** The version that was taken from a source; 0: none. */
export function versionTaken(taken: TakenVersions, source: string): number {
  let node: TakenVersions | null | undefined = taken
  for (let hash = hashOf(source); isBranch(node); hash >>>= BITS) node = node[hash & MASK]
  return node !== null && node !== undefined && Object.hasOwn(node, source)
    ? (node[source] as number)
    : 0
}

/** With this version of a source. */
export const withVersionTaken = (
  taken: TakenVersions,
  source: string,
  version: number,
): TakenVersions => put(taken, source, version, hashOf(source), 0)

function put(
  node: TakenVersions,
  source: string,
  version: number,
  hash: number,
  depth: number,
): TakenVersions {
  if (isBranch(node)) {
    const at = hash & MASK
    return node.with(at, put(node[at] ?? {}, source, version, hash >>> BITS, depth + 1))
  }
  const leaf = { ...node, [source]: version }
  const entries = Object.entries(leaf)
  if (entries.length <= LEAF_MAX || depth === DEPTH_MAX) return leaf
  const parts = Array.from({ length: WIDTH }, (): TakenVersions | null => null)
  for (const [name, of] of entries) {
    const at = (hashOf(name) >>> (depth * BITS)) & MASK
    parts[at] = { ...parts[at], [name]: of }
  }
  return parts
}

const isBranch = (
  node: TakenVersions | null | undefined,
): node is readonly (TakenVersions | null)[] => Array.isArray(node)

/** FNV-1a over UTF-16 units, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1)
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
