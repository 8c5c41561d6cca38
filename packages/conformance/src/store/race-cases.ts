/** Many writers at once: one winner where there can be one, all where nothing is expected. */
import assert from 'node:assert/strict'
import type { AppendResult, Checkpoint, EventQuery, EventStore, NewEvent } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import {
  accepted,
  added,
  allPages,
  append,
  course,
  eventsOf,
  loan,
  numbers,
  range,
  tagged,
} from './words.ts'

/** Numbers from 0 to below 1, the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const winners = (results: readonly AppendResult[]): number =>
  results.filter(result => result.ok).length

/** Every racer appends its own event under the same condition; one may be accepted. */
async function raceBy(
  store: EventStore,
  racers: readonly { readonly event: NewEvent; readonly tags: readonly string[] }[],
  round: number,
  after?: Checkpoint,
): Promise<void> {
  const results = await Promise.all(
    racers.map(({ event, tags }, i) =>
      store.append(course(`x/${round}-${i}`), [event], {
        condition: { failIfMatch: [{ tags }], ...(after === undefined ? {} : { after }) },
      }),
    ),
  )
  assert.equal(winners(results), 1, `round ${round}`)
}

export const raceCases: readonly CaseSpec[] = [
  {
    name: 'of many writers that expect the same version exactly one wins, again and again',
    run: async scene => {
      const store = await scene.open()
      for (const version of range(0, 24)) {
        const results = await Promise.all(
          range(1, 12).map(n =>
            store.append(loan('a'), added(1, n), { expectedVersion: version, actor: `w${n}` }),
          ),
        )
        assert.equal(winners(results), 1)
      }
      const events = await eventsOf(store, loan('a'))
      assert.deepEqual(
        events.map(event => event.version),
        range(1, 25),
      )
    },
  },
  {
    name: 'of many writers that expect no stream exactly one begins it',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(1, 30).map(n =>
          store.append(loan('a'), added(3, 10 * n), { expectedVersion: 'absent' }),
        ),
      )
      assert.equal(winners(results), 1)
      const there = numbers(await eventsOf(store, loan('a')))
      const first = there[0] ?? 0
      assert.deepEqual(there, range(first, first + 2))
    },
  },
  {
    name: 'workers that race to create many entities create each once, and see no error',
    run: async scene => {
      const store = await scene.open()
      const entities = range(1, 60)
      const workers = range(1, 6).map(async worker => {
        let created = 0
        for (const n of entities) {
          const id = `e${(n * (worker + 1)) % 61}`
          const result = await store.append(loan(id), added(1), { expectedVersion: 'absent' })
          if (result.ok) created += 1
        }
        return created
      })
      const created = (await Promise.all(workers)).reduce((sum, n) => sum + n, 0)
      assert.equal(created, 60)
      for (const n of entities) assert.equal((await store.state(loan(`e${n}`))).version, 1)
    },
  },
  {
    name: 'appends that expect nothing all succeed, each with versions of its own',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(1, 100).map(n => store.append(loan('a'), added(1 + (n % 3), 1000 * n))),
      )
      const spans = results.map(accepted).sort((a, b) => a.firstVersion - b.firstVersion)
      let version = 0
      for (const span of spans) {
        assert.equal(span.firstVersion, version + 1)
        version = span.version
      }
      assert.equal(new Set(spans.map(span => span.appendId)).size, 100)
      const events = await eventsOf(store, loan('a'))
      assert.equal(events.length, version)
      for (const span of spans) {
        const own = events.slice(span.firstVersion - 1, span.version)
        assert.deepEqual(new Set(own.map(event => event.appendId)), new Set([span.appendId]))
        assert.deepEqual(numbers(own), range(numbers(own)[0] ?? 0, numbers(own).at(-1) ?? 0))
      }
    },
  },
  {
    name: 'appends to different streams do not hinder each other',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(1, 200).map(n => store.append(loan(`s${n}`), added(2), { expectedVersion: 0 })),
      )
      assert.equal(winners(results), 200)
      assert.equal((await scene.all(store)).events.length, 400)
    },
  },
  {
    name: 'writers that read, decide and append again when they lost count right',
    run: async scene => {
      const store = await scene.open()
      const increments = 15
      const workers = range(1, 8).map(async () => {
        for (let done = 0; done < increments; ) {
          const { events, version } = await store
            .read(loan('a'), { backwards: true, limit: 1 })
            .all()
          const next = (numbers(events)[0] ?? 0) + 1
          const result = await store.append(loan('a'), added(1, next), { expectedVersion: version })
          if (result.ok) done += 1
        }
      })
      await Promise.all(workers)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), range(1, 8 * increments))
    },
  },
  {
    name: 'the order of appends to one stream is the order of the calls of one writer',
    run: async scene => {
      const store = await scene.open()
      const writing = range(1, 100).map(n => append(store, loan('a'), added(1, n)))
      await Promise.all(writing)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), range(1, 100))
    },
  },
  {
    name: 'appends in a row, each on the version of the one before, need not be awaited',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(0, 49).map(n => store.append(loan('a'), added(1, n + 1), { expectedVersion: n })),
      )
      assert.equal(winners(results), 50)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), range(1, 50))
    },
  },
  {
    name: 'of many conditional appends on one tag exactly one wins, with and without a reading',
    run: async scene => {
      const store = await scene.open()
      for (const round of range(1, 10)) {
        const tag = `name:${round}`
        const racers = range(1, 8).map(() => ({ event: tagged('Taken', tag), tags: [tag] }))
        const after = round % 2 === 0 ? await store.now(['course']) : undefined
        await raceBy(store, racers, round, after)
      }
    },
  },
  {
    name: 'of conditional appends whose tags overlap in either way one wins',
    run: async scene => {
      const store = await scene.open()
      for (const round of range(1, 10)) {
        const [a, b] = [`a:${round}`, `b:${round}`]
        const both = tagged('Taken', a, b)
        const racers = [[a], [b], [a, b], [a], [b, a]].map(tags => ({ event: both, tags }))
        await raceBy(store, racers, round)
      }
    },
  },
  {
    name: 'conditional appends on tags of their own all succeed',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(1, 40).map(n => {
          const tag = `own:${n}`
          return store.append(course(`x/${n}`), [tagged('Taken', tag)], {
            condition: { failIfMatch: [{ tags: [tag] }] },
          })
        }),
      )
      assert.equal(winners(results), 40)
      assert.equal((await scene.all(store, 'course')).events.length, 40)
    },
  },
  {
    name: 'every conditional append that was accepted rests on what was so at its place',
    run: async scene => {
      const store = await scene.open()
      const random = seeded(20_111)
      const pick = (count: number): string => `t:${Math.floor(random() * count)}`
      const rounds = range(1, 8).map(async writer => {
        for (let i = 0; i < 15; i++) {
          const tags = random() < 0.5 ? [pick(4)] : [pick(4), pick(4)]
          const types = random() < 0.5 ? ['A'] : ['A', 'B']
          const query = { types, tags }
          const read = await allPages(store.readAll(['course'], { filter: query }))
          const seen = Math.max(-1, ...read.events.map(event => event.offset))
          const event = {
            type: random() < 0.5 ? 'A' : 'B',
            data: { query, seen },
            tags: [pick(4), pick(4)],
          }
          await store.append(course(`x/${writer}`), [event], {
            condition: { failIfMatch: [query], after: read.checkpoint },
          })
        }
      })
      await Promise.all(rounds)
      const { events } = await scene.all(store, 'course')
      assert.ok(events.length > 8, `${events.length} events`)
      for (const { data, offset } of events) {
        const { query, seen } = data as { query: Required<EventQuery>; seen: number }
        const between = events.filter(other => {
          if (other.offset <= seen || other.offset >= offset) return false
          const typed = query.types.includes(other.type)
          return typed && query.tags.every(tag => other.tags.includes(tag))
        })
        assert.deepEqual(between, [], `the event at ${offset} saw up to ${seen}`)
      }
    },
  },
  {
    name: 'a limited number of places is never given away twice',
    run: async scene => {
      const store = await scene.open()
      const places = 5
      const enrol = async (student: number): Promise<boolean> => {
        for (;;) {
          const filter = { tags: ['course:1'] }
          const taken: string[] = []
          let after = ''
          for await (const page of store.readAll(['course'], { filter })) {
            taken.push(...page.events.map(event => event.stream))
            after = page.checkpoint
          }
          if (taken.length >= places) return false
          const result = await store.append(
            course(`x/${student}`),
            [tagged('Enrolled', 'course:1', `student:${student}`)],
            { condition: { failIfMatch: [filter], after } },
          )
          if (result.ok) return true
        }
      }
      const enrolled = await Promise.all(range(1, 12).map(enrol))
      assert.equal(enrolled.filter(Boolean).length, places)
      assert.equal((await scene.all(store, 'course')).events.length, places)
    },
  },
  {
    name: 'a small append is done while a large import goes on',
    run: async scene => {
      const store = await scene.open()
      let importing = true
      const bulk = scene.meanwhile(async () => {
        for (const n of range(1, 20)) await append(store, loan('bulk'), added(500, 500 * n))
        importing = false
      })
      let during = 0
      for (let version = 0; importing && version < 1000; version++) {
        await append(store, loan('small'), added(1), { expectedVersion: version })
        if (importing) during += 1
      }
      await bulk
      assert.ok(during > 0, 'no small append came through while the import went on')
      assert.equal((await store.state(loan('bulk'))).version, 10_000)
    },
  },
]
