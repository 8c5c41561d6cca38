/** Appends that rest on streams which they do not write. */
import assert from 'node:assert/strict'
import type { ExpectedVersion, StreamRef } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import {
  added,
  append,
  course,
  eventsOf,
  loan,
  lost,
  numbers,
  range,
  refuses,
  works,
} from './words.ts'

/** Whether an append to x/1 that rests on x/2 (two events) is accepted. */
const check = (name: string, expectedVersion: ExpectedVersion, holds: boolean): CaseSpec => ({
  name,
  run: async scene => {
    const store = await scene.open()
    await append(store, course('x/2'), added(2, 10))
    const result = await store.append(course('x/1'), added(1), {
      check: [{ stream: course('x/2'), expectedVersion }],
    })
    if (holds) assert.equal(result.ok, true)
    else assert.equal(lost(result, 'check').version, 2)
    assert.equal((await store.state(course('x/1'))).version, holds ? 1 : 0)
    assert.deepEqual(numbers(await eventsOf(store, course('x/2'))), [10, 11])
  },
})

export const checkCases: readonly CaseSpec[] = [
  check('an append rests on the version of a stream that it does not write', 2, true),
  check('an append loses where a stream that it rests on has moved on', 1, false),
  check('an append loses where a stream that it rests on is not as far', 3, false),
  check('an append rests on a stream that exists', 'exists', true),
  check('an append loses where a stream that must be absent exists', 'absent', false),
  check('a check of any version always holds', 'any', true),

  {
    name: 'an append rests on a stream that is absent, until there is one',
    run: async scene => {
      const store = await scene.open()
      const absent = { check: [{ stream: course('x/2'), expectedVersion: 'absent' as const }] }
      await append(store, course('x/1'), added(1), absent)
      await append(store, course('x/2'), added(1))
      const conflict = lost(await store.append(course('x/1'), added(1), absent), 'check')
      assert.equal(conflict.version, 1)
      assert.equal((await store.state(course('x/1'))).version, 1)
    },
  },
  {
    name: 'a check that fails brings what came in the checked stream',
    run: async scene => {
      const store = await scene.open()
      await append(store, course('x/2'), added(4, 10))
      const conflict = lost(
        await store.append(course('x/1'), added(1), {
          check: [{ stream: course('x/2'), expectedVersion: 2 }],
        }),
        'check',
      )
      assert.deepEqual([numbers(conflict.events), conflict.complete], [[12, 13], true])
    },
  },
  {
    name: 'an append rests on up to 16 streams, all of which must be as expected',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 17)) await append(store, course(`x/${n}`), added(n))
      const checks = (last: number, expected: number) =>
        range(1, last).map(n => ({
          stream: course(`x/${n}`),
          expectedVersion: n === last ? expected : n,
        }))
      const run = (check: ReturnType<typeof checks>) =>
        store.append(course('x/all'), added(1), { check })
      assert.equal((await run(checks(16, 16))).ok, true)
      assert.equal(lost(await run(checks(16, 15)), 'check').version, 16)
      await refuses(() => run(checks(17, 17)), 'BAD_ARGUMENT', 'check', 16)
    },
  },
  {
    name: 'an expected version and a check must both hold',
    run: async scene => {
      const store = await scene.open()
      await append(store, course('x/2'), added(1))
      const run = (own: number, other: number) =>
        store.append(course('x/1'), added(1), {
          expectedVersion: own,
          check: [{ stream: course('x/2'), expectedVersion: other }],
        })
      lost(await run(1, 1), 'version')
      lost(await run(0, 0), 'check')
      assert.equal((await run(0, 1)).ok, true)
    },
  },
  {
    name: 'a stream of another bucket cannot be checked',
    run: async scene => {
      const store = await scene.open()
      const { bucket } = await append(store, course('x/1'), added(1))
      let other: StreamRef | undefined
      for (const n of range(1, 50)) {
        const there = await store.state(course(`y${n}/1`))
        if (there.bucket !== bucket) other ??= course(`y${n}/1`)
      }
      assert.ok(other !== undefined, 'there are several buckets')
      for (const stream of [other, loan('a')]) {
        const run = () =>
          store.append(course('x/1'), added(1), {
            check: [{ stream, expectedVersion: 'absent' }],
          })
        await refuses(run, 'BOUNDARY_MISMATCH')
      }
      assert.equal((await store.state(course('x/1'))).version, 1)
      await works(store, 'course')
    },
  },
  {
    name: 'of two appends that rest on each other, one wins',
    run: async scene => {
      const store = await scene.open()
      for (const round of range(1, 20)) {
        const [a, b] = [course(`x${round}/a`), course(`x${round}/b`)]
        const on = (stream: StreamRef) => ({
          check: [{ stream, expectedVersion: 'absent' as const }],
        })
        const results = await Promise.all([
          store.append(a, added(1), on(b)),
          store.append(b, added(1), on(a)),
        ])
        assert.equal(results.filter(result => result.ok).length, 1)
        const versions = [(await store.state(a)).version, (await store.state(b)).version]
        assert.equal(versions.filter(version => version === 1).length, 1)
      }
    },
  },
]
