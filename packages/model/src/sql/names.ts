/**
 * Query compilers that put the tables of one version in the place of plain names. This module and
 * `bound.ts` import Kysely itself (55 ms); the others take its types only and load these two when
 * a database is opened.
 *
 * A name is replaced while the text is written, not by copying the query's tree first (as Kysely's
 * own plugins do): that halves the cost of a query. All names in the place of a table are replaced
 * alike, aliases and common table expressions included, so a query means the same afterwards; names
 * of columns are left. Text inside of `sql` fragments is not looked at: `sql.table` and `sql.ref`
 * are to be used there.
 */
import {
  type AliasNode,
  type CreateIndexNode,
  type DefaultQueryCompiler,
  IdentifierNode,
  PostgresQueryCompiler,
  type PrimaryKeyConstraintNode,
  type QueryCompiler,
  type SchemableIdentifierNode,
  SqliteQueryCompiler,
  type UniqueConstraintNode,
} from 'kysely'
import type { TableNames } from './port.ts'

/** Compiles queries over plain names into queries over those of a version. */
export interface RenamingCompiler extends QueryCompiler {
  rename(names: TableNames, suffix: string): void
}

const NONE: TableNames = new Map()

// Names of indexes and constraints that are indexes share one space with tables in PostgreSQL and
// in SQLite, so each version needs its own.
const suffixed = <N extends { readonly name?: IdentifierNode | undefined }>(
  node: N,
  suffix: string,
): N =>
  node.name === undefined || suffix === ''
    ? node
    : { ...node, name: IdentifierNode.create(node.name.name + suffix) }

const renamedAlias = (node: AliasNode, names: TableNames, isColumn: boolean): AliasNode => {
  if (isColumn || node.alias.kind !== 'IdentifierNode') return node
  const name = names.get((node.alias as IdentifierNode).name)
  return name === undefined ? node : { ...node, alias: IdentifierNode.create(name) }
}

// biome-ignore lint/suspicious/noExplicitAny: what a mixin's base must be declared with
function renaming<B extends new (...args: any[]) => DefaultQueryCompiler>(Base: B) {
  return class extends Base implements RenamingCompiler {
    #names = NONE
    #suffix = ''

    rename(names: TableNames, suffix: string): void {
      this.#names = names
      this.#suffix = suffix
    }

    protected override visitSchemableIdentifier(node: SchemableIdentifierNode): void {
      const name = node.schema === undefined ? this.#names.get(node.identifier.name) : undefined
      if (name === undefined) super.visitSchemableIdentifier(node)
      else super.visitIdentifier(IdentifierNode.create(name))
    }

    protected override visitAlias(node: AliasNode): void {
      const isColumn = this.parentNode?.kind === 'SelectionNode'
      super.visitAlias(renamedAlias(node, this.#names, isColumn))
    }

    protected override visitCreateIndex(node: CreateIndexNode): void {
      super.visitCreateIndex(suffixed(node, this.#suffix))
    }

    protected override visitPrimaryKeyConstraint(node: PrimaryKeyConstraintNode): void {
      super.visitPrimaryKeyConstraint(suffixed(node, this.#suffix))
    }

    protected override visitUniqueConstraint(node: UniqueConstraintNode): void {
      super.visitUniqueConstraint(suffixed(node, this.#suffix))
    }
  }
}

/** A compiler for a dialect. */
export function renamingCompiler(dialect: 'sqlite' | 'postgresql'): RenamingCompiler {
  const Compiler = renaming(dialect === 'sqlite' ? SqliteQueryCompiler : PostgresQueryCompiler)
  return new Compiler()
}
