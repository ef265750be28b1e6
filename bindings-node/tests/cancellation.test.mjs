// 200 appends are aborted at random moments, on a store with one connection. Each is stored completely or not at all,
// an acknowledged one is stored once, and the store still answers.
import assert from 'node:assert/strict'
import { setTimeout as after } from 'node:timers/promises'
import { event } from 'streamkeep'
import { all, onEach, random } from './backends.mjs'

const ROUNDS = 200
const EVENTS = 3
const MAX_DELAY_MS = 6

/** When an append is aborted: at once, in the same turn, in the next one, a little later, or not at all. */
const MOMENTS = [(abort) => abort(), (abort) => queueMicrotask(abort), (abort) => setImmediate(abort), (abort, delay) => void setTimeout(abort, delay), () => undefined]

onEach('an aborted append is whole or absent, and leaves the store well', async ({ t, open }) => {
  const seed = Number(process.env.STREAMKEEP_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31))
  t.diagnostic(`STREAMKEEP_TEST_SEED=${seed}`)
  const next = random(seed)
  const store = await open({ maxConnections: 1 })
  const acknowledged = new Map()
  const aborted = new Map()
  const reason = new Error('gone')
  await Promise.all(
    Array.from({ length: ROUNDS }, async (_, round) => {
      const events = Array.from({ length: EVENTS }, (_, i) => event('E', { round, i }))
      const stop = new AbortController()
      const [start, moment, delay] = [next() * 200, MOMENTS[Math.trunc(next() * MOMENTS.length)], next() * MAX_DELAY_MS]
      await after(start)
      const appending = store.append(`s-${round % 7}`, events, { signal: stop.signal })
      moment(() => stop.abort(reason), delay)
      try {
        acknowledged.set(round, { events, ...(await appending) })
      } catch (error) {
        assert.equal(error, reason)
        aborted.set(round, events)
      }
    }),
  )
  await settled(store)
  const byRound = grouped((await all(store.readAll())).filter((e) => e.type === 'E'))
  for (const [round, found] of byRound) {
    const { events } = acknowledged.get(round) ?? { events: aborted.get(round) }
    assert.deepEqual(found.map((e) => e.id), events.map((e) => e.id), `round ${round} is half there, or twice; seed ${seed}`)
  }
  for (const [round, { version }] of acknowledged) assert.equal(byRound.get(round)?.at(-1).version, version, `round ${round} was acknowledged; seed ${seed}`)
  assert.ok(acknowledged.size > 0 && aborted.size > 0, `${acknowledged.size} acknowledged, ${aborted.size} aborted: the delays test nothing; seed ${seed}`)
  t.diagnostic(`${acknowledged.size} acknowledged, ${aborted.size} aborted, ${[...aborted.keys()].filter((round) => byRound.has(round)).length} of those written`)
  for (const [round, events] of aborted) assert.equal((await store.append(`s-${round % 7}`, events)).repeated, byRound.has(round))
})

/** Waits for appends that were sent before their abort, by further appends to the same streams. */
async function settled(store) {
  for (let stream = 0; stream < 7; stream += 1) await store.append(`s-${stream}`, [event('Behind')])
}

function grouped(events) {
  const groups = new Map()
  for (const e of events) groups.set(e.data.round, [...(groups.get(e.data.round) ?? []), e])
  return groups
}
