/**
 * Texts of queries by their shape. Handlers make the same few queries again and again, with other
 * values: compiling them costs more than running them on SQLite. A query's tree is walked once, its
 * values are collected, and all else in it leads, step by step, to the text that an earlier query of
 * the same shape was compiled to.
 *
 *     insert ─ into ─ "open" ─ columns ─ "id" ─ values ─ ? ─┐
 *                                                           └─► insert into "open__v1_1" …
 *
 * Each step is a kind of node, a key or a word of the tree; a value is a step without its content.
 * So queries of one path differ in values only, and those are parameters. The order of parameters
 * in the text may be another one than in the tree (`update … where … set`): it is learned from the
 * first query of a shape, which is compiled a second time with marks in the place of its values. A
 * shape whose text depends on them is compiled each time.
 */
import type { RootOperationNode } from 'kysely'
import type { MadeQuery, SqlQuery } from './port.ts'

/** How queries of one shape are compiled. */
type Shape = {
  readonly sql: string
  /** Parameter of the text -> value of the tree; undefined: they are in the same order. */
  readonly order: readonly number[] | undefined
}

/** A place on the way to a shape. Most places have one way on, which needs no map. */
class Place {
  token: unknown
  next: Place | undefined
  more: Map<unknown, Place> | undefined
  /** `null`: its text depends on the values. */
  shape: Shape | null | undefined

  to(token: unknown): Place {
    if (this.next !== undefined && this.token === token) return this.next
    const known = this.more?.get(token)
    if (known !== undefined) return known
    const place = new Place()
    if (this.next === undefined) {
      this.token = token
      this.next = place
    } else {
      this.more ??= new Map()
      this.more.set(token, place)
    }
    return place
  }
}

// Steps that no word of a tree can be mistaken for.
const VALUE = Symbol('value')
const VALUES = Symbol('values')
const LIST = Symbol('list')
const NAME = Symbol('name')
const NODE = Symbol('node')
const END = Symbol('end')

type TreeNode = Readonly<Record<string, unknown>> & { readonly kind?: string }

const isValue = (node: TreeNode): boolean => node.kind === 'ValueNode' && node['immediate'] !== true
const isValueList = (node: TreeNode): boolean => node.kind === 'PrimitiveValueListNode'

/** Stands for a value, to see where it comes out. */
class Mark {
  readonly index: number

  constructor(index: number) {
    this.index = index
  }
}

/** Compiles queries, those of a known shape by looking them up. */
export class Shapes {
  readonly #compile: (node: RootOperationNode) => SqlQuery
  readonly #max: number
  #root = new Place()
  #count = 0
  #place: Place = this.#root
  #values: unknown[] = []
  /** The tree holds something that steps do not tell apart, such as a date that is written out. */
  #isOpaque = false

  /** @param max shapes that are kept; one more, and all are learned anew */
  constructor(compile: (node: RootOperationNode) => SqlQuery, max: number) {
    this.#compile = compile
    this.#max = max
  }

  /** Shapes that are kept. */
  get size(): number {
    return this.#count
  }

  /** Forgets all: the compiler compiles differently from now on. */
  clear(): void {
    this.#root = new Place()
    this.#count = 0
  }

  compile(query: RootOperationNode): MadeQuery {
    this.#place = this.#root
    this.#values = []
    this.#isOpaque = false
    this.#walk(query)
    if (this.#isOpaque) return this.#compiled(query)
    const values = this.#values
    const { shape } = this.#place
    if (shape === undefined) return this.#learn(query, this.#place)
    if (shape === null) return this.#compiled(query)
    const { sql, order } = shape
    return { sql, parameters: order === undefined ? values : order.map(at => values[at]), query }
  }

  #compiled(query: RootOperationNode): MadeQuery {
    const { sql, parameters } = this.#compile(query)
    return { sql, parameters, query }
  }

  #walk(part: unknown): void {
    if (typeof part !== 'object' || part === null) {
      this.#step(part)
    } else if (Array.isArray(part)) {
      this.#step(LIST)
      for (const one of part) this.#walk(one)
      this.#step(END)
    } else {
      this.#node(part as TreeNode)
    }
  }

  #node(node: TreeNode): void {
    if (isValue(node)) {
      this.#step(VALUE)
      this.#values.push(node['value'])
    } else if (isValueList(node)) {
      const values = node['values'] as readonly unknown[]
      this.#step(VALUES)
      this.#step(values.length)
      for (const value of values) this.#values.push(value)
    } else if (node.kind === 'IdentifierNode') {
      this.#step(NAME)
      this.#step(node['name'])
    } else if (Object.getPrototypeOf(node) !== Object.prototype) {
      this.#isOpaque = true
    } else {
      this.#step(NODE)
      for (const key in node) {
        const part = node[key]
        if (part === undefined) continue
        this.#step(key)
        this.#walk(part)
      }
      this.#step(END)
    }
  }

  #step(token: unknown): void {
    this.#place = this.#place.to(token)
  }

  #learn(query: RootOperationNode, place: Place): MadeQuery {
    const made = this.#compiled(query)
    if (this.#count >= this.#max) {
      this.clear()
      return made
    }
    const { sql } = made
    this.#count += 1
    const marked = this.#compile(markedTree(query) as RootOperationNode)
    const order = marked.parameters.map(mark => (mark instanceof Mark ? mark.index : -1))
    const isWhole = order.length === this.#values.length && !order.includes(-1)
    if (marked.sql !== sql || !isWhole) place.shape = null
    else place.shape = { sql, order: order.every((at, i) => at === i) ? undefined : order }
    return made
  }
}

/** The same tree with marks for values, numbered as they are met. */
function markedTree(root: unknown): unknown {
  let count = 0
  const mark = (): Mark => new Mark(count++)
  const copy = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return part
    if (Array.isArray(part)) return part.map(copy)
    const node = part as TreeNode
    if (isValue(node)) return { ...node, value: mark() }
    if (isValueList(node)) return { ...node, values: (node['values'] as unknown[]).map(mark) }
    return Object.fromEntries(Object.entries(node).map(([key, one]) => [key, copy(one)]))
  }
  return copy(root)
}
