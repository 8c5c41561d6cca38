// States that are kept in memory: never older than the stream, never more than allowed.
import { describe, expect, test } from 'vitest'
import { CommandRunner } from '../../src/commands/command-runner.ts'
import { type AggregateSettings, aggregate } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { MemoryStore } from './memory-store.ts'

type List = { readonly items: string[] }

const list = (options: AggregateSettings = {}) =>
  aggregate('list', {
    events: { Added: type<{ item: string }>(), Listed: type<{ items: string[] }>() },
    initial: (): List => ({ items: [] }),
    evolve: {
      Added: (state, { item }) => {
        if (item === 'poison') throw new Error('no')
        if (item === 'careless') state.items.push(item)
        return { items: [...state.items, item] }
      },
      Listed: state => state,
    },
    commands: { add: type<{ item: string }>(), show: type<void>(), sort: type<void>() },
    decide: {
      add: ({ item }, _, { Added }) => Added({ item }),
      show: (_, { items }, { Listed }) => Listed({ items: [...items] }),
      sort: (_, { items }, { Listed }) => Listed({ items: items.sort() }),
    },
    options: options as { snapshotEvery?: number },
  })

const scene = (options: AggregateSettings = {}, settings = {}) => {
  const store = new MemoryStore()
  const node = () => new CommandRunner({ store: store.port, aggregates: [list(options)], settings })
  const here = node()
  const run = (command: string, item?: string, id = 'a', on = here) => {
    const data = item === undefined ? undefined : { item }
    return on.run({ tenant: '', aggregate: 'list', id, command, data })
  }
  const shown = async (id = 'a') => {
    await run('show', undefined, id)
    const [, data] = store.eventsOf('list', id).at(-1) ?? []
    return (data as { items: string[] }).items
  }
  return { store, node, run, shown }
}

test('a load reads only what came since', async () => {
  const { store, run, shown } = scene()
  for (let i = 0; i < 20; i += 1) await run('add', `${i}`)
  expect(await shown()).toHaveLength(20)
  expect(store.loads).toBe(1)
  expect(store.eventsRead).toBe(20)
})

test('what other nodes record is seen', async () => {
  const { run, shown, node } = scene()
  await run('add', 'here')
  await run('add', 'there', 'a', node())
  expect(await shown()).toEqual(['here', 'there'])
})

test('a truncated stream is folded from what can still be read', async () => {
  const { store, run, shown } = scene()
  await run('add', 'old')
  await run('add', 'new')
  expect(await shown()).toEqual(['old', 'new'])
  store.stream({ category: 'list', id: 'a' }).firstVersion = 2
  expect(await shown()).toEqual(['new'])
})

test('an archived or deleted stream is refused, also where its state is kept', async () => {
  const { store, run } = scene()
  await run('add', 'x')
  const stream = store.stream({ category: 'list', id: 'a' })
  stream.archived = true
  await expect(run('show')).rejects.toMatchObject({ code: 'STREAM_ARCHIVED' })
  stream.tombstoned = true
  await expect(run('show')).rejects.toMatchObject({ code: 'STREAM_TOMBSTONED' })
})

describe('is not kept', () => {
  const loadsOf = async (options: AggregateSettings, settings = {}) => {
    const { store, run } = scene(options, settings)
    for (let i = 0; i < 3; i += 1) await run('add', `${i}`)
    return store.loads
  }

  test('a state with personal fields in it', async () => {
    expect(await loadsOf({ on: { Added: { personal: { fields: ['item'] } } } })).toBe(3)
  })

  test('a state that snapshots are not made of', async () => {
    expect(await loadsOf({ snapshotEvery: 0 })).toBe(3)
  })

  test('more than the bound: what was not used for longest goes', async () => {
    expect(await loadsOf({}, { 'command.states.max': 0 })).toBe(3)
    const { store, run } = scene({}, { 'command.states.max': 2 })
    for (const id of ['a', 'b', 'a', 'c', 'a', 'b']) await run('add', 'x', id)
    // a, b, c are loaded once, and b again: it had gone for c.
    expect(store.loads).toBe(4)
  })

  test('a state that evolve threw on half way', async () => {
    const { store, run } = scene()
    await run('add', 'x')
    await run('add', 'poison')
    await expect(run('show')).rejects.toMatchObject({ code: 'EVOLVE_FAILED' })
    await expect(run('show')).rejects.toMatchObject({ code: 'EVOLVE_FAILED' })
    expect(store.loads).toBe(2)
  })
})

test('code that changes a kept state in place fails, and spoils nothing', async () => {
  const { run, shown } = scene()
  await run('add', 'b')
  await run('add', 'a')
  await expect(run('sort')).rejects.toMatchObject({ code: 'DECIDE_FAILED' })
  expect(await shown()).toEqual(['b', 'a'])
  await run('add', 'careless')
  await expect(run('show')).rejects.toMatchObject({ code: 'EVOLVE_FAILED' })
})
