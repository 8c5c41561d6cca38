// Whether a small history can be explained, by trying every order of its calls on a stream that is
// a list: what the checker must say, found without any of its reasoning.
import type { Operation, StreamHistory } from '@millrace/conformance/store'

/** A stream that is asked one call after another. */
type Model = { readonly list: readonly string[]; readonly done: ReadonlySet<string> }

/** True if some order that agrees with time gives every answer and ends with the content. */
export function explainable({ operations, content }: StreamHistory): boolean {
  return search(operations, { list: [], done: new Set() }, content.join())
}

function search(left: readonly Operation[], model: Model, end: string): boolean {
  if (left.length === 0) return model.list.join() === end
  return left.some((operation, i) => {
    // Whatever was answered before this one was called must come first.
    if (left.some(other => endOf(other) < operation.call)) return false
    const rest = left.toSpliced(i, 1)
    return after(operation, model).some(next => search(rest, next, end))
  })
}

/** An unknown outcome may come about at any time after its call. */
const endOf = (operation: Operation): number =>
  operation.kind === 'append' && operation.outcome.kind === 'unknown'
    ? Number.POSITIVE_INFINITY
    : operation.return

/** The streams that there can be after the call got its answer from this one. */
function after(operation: Operation, model: Model): readonly Model[] {
  const { list, done } = model
  const same = [model]
  if (operation.kind === 'read') return operation.events.join() === list.join() ? same : []
  const { command, events, expected, outcome } = operation
  const version = list.length
  const fits =
    expected === 'any' ||
    (expected === 'exists' ? version > 0 : version === (expected === 'absent' ? 0 : expected))
  const more = { list: [...list, ...events], done: new Set([...done, command]) }
  const can = fits && !done.has(command)
  switch (outcome.kind) {
    case 'refused':
      return same
    case 'unknown':
      return can ? [model, more] : same
    case 'conflict':
      return !fits && outcome.version <= version ? same : []
    case 'appended': {
      const { firstVersion, duplicate } = outcome
      if (events.length === 0) return fits && outcome.version === version ? same : []
      const there = list.slice(firstVersion - 1, outcome.version).join() === events.join()
      if (duplicate) return done.has(command) && there ? same : []
      return can && firstVersion === version + 1 && outcome.version === more.list.length
        ? [more]
        : []
    }
  }
}
