import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { ClosedError } from 'streamkeep'
import { all, onEach, until } from './backends.mjs'

// The native module counts its reads and subscriptions, which shows whether they end.
const require = createRequire(import.meta.url)
const native = require(require.resolve('streamkeep').replace(/dist.index\.js$/, 'binding.cjs'))

const filled = async (open, count = 2500) => {
  const store = await open()
  for (let at = 0; at < count; at += 500) await store.append('order-1', Array.from({ length: Math.min(500, count - at) }, (_, i) => ({ type: 'E', data: { i: at + i + 1 } })))
  return store
}

/** How many iterations exist, by the native stores that were appended to. */
function counting() {
  const used = new Set()
  const { prototype } = native.NativeStore
  const { append } = prototype
  prototype.append = function (...given) {
    used.add(this)
    return append.apply(this, given)
  }
  return { alive: () => [...used].reduce((sum, store) => sum + store.iterations(), 0), stop: () => (prototype.append = append) }
}

onEach('pages follow one another without a gap, either way', async ({ open }) => {
  const store = await filled(open)
  assert.deepEqual((await all(store.read('order-1'))).map((e) => e.data.i), Array.from({ length: 2500 }, (_, i) => i + 1))
  const back = await all(store.readAll({ direction: 'backward', limit: 1500 }))
  assert.deepEqual(back.map((e) => e.version), Array.from({ length: 1500 }, (_, i) => 2500 - i))
})

onEach('leaving the loop ends the work behind it', async ({ open }) => {
  const count = counting()
  try {
    const store = await filled(open)
    for await (const e of store.read('order-1')) if (e.version === 3) break
    for await (const e of store.readAll()) if (e.version === 3) break
    for await (const e of store.subscribe()) if (e.version === 3) break
    await assert.rejects(async () => {
      for await (const e of store.subscribe()) throw new Error(`stop at ${e.version}`)
    }, /stop at 1/)
    await until('all iterations ended', () => count.alive() === 0)
  } finally {
    count.stop()
  }
})

onEach('an iterator that nobody holds is collected, and its work ends', async ({ open }) => {
  const count = counting()
  try {
    const store = await filled(open, 1500)
    const signal = new AbortController().signal
    await (async () => {
      const held = Array.from({ length: 20 }, () => [store.read('order-1', { signal }), store.subscribe({ signal })]).flat()
      await Promise.all(held.map((iterator) => iterator.next()))
      assert.equal(count.alive(), 40)
    })()
    await until('all iterations were collected', async () => {
      globalThis.gc()
      return count.alive() === 0
    })
  } finally {
    count.stop()
  }
}, ['memory'])

onEach('return() ends a next() that waits for an event', async ({ open }) => {
  const store = await open()
  const live = store.subscribe({ start: 'now' })
  const waiting = live.next()
  await live.return()
  assert.deepEqual(await waiting, { value: undefined, done: true })
  assert.deepEqual(await live.next(), { value: undefined, done: true })
})

onEach('calls of next() that overlap are answered in order, each once', async ({ open }) => {
  const store = await filled(open, 1500)
  const reader = store.read('order-1')
  const answers = await Promise.all(Array.from({ length: 1502 }, () => reader.next()))
  assert.deepEqual(answers.slice(0, 1500).map((answer) => answer.value.version), Array.from({ length: 1500 }, (_, i) => i + 1))
  assert.ok(answers.slice(1500).every((answer) => answer.done))
})

onEach('a signal ends an iteration quietly, before, between and while waiting', async ({ open }) => {
  const store = await filled(open, 10)
  assert.deepEqual(await all(store.read('order-1', { signal: AbortSignal.abort() })), [])
  const between = new AbortController()
  const seen = []
  for await (const e of store.read('order-1', { signal: between.signal })) {
    seen.push(e.version)
    if (e.version === 4) between.abort()
  }
  assert.deepEqual(seen, [1, 2, 3, 4])
  const waiting = new AbortController()
  const live = all(store.subscribe({ start: 'now', signal: waiting.signal, onCaughtUp: () => setImmediate(() => waiting.abort()) }))
  assert.deepEqual(await live, [])
})

onEach('a subscription gives what was there, says so once, and goes on live', async ({ open }) => {
  const store = await filled(open, 1200)
  const seen = []
  const told = []
  const stop = new AbortController()
  const onCaughtUp = async () => {
    told.push(seen.length)
    await store.append('order-2', [{ type: 'Live' }])
  }
  for await (const e of store.subscribe({ onCaughtUp, signal: stop.signal })) {
    seen.push(e)
    if (e.type === 'Live') break
  }
  assert.equal(seen.length, 1201)
  assert.deepEqual(told, [1200])
  assert.ok(seen.every((e, place) => place === 0 || e.position > seen[place - 1].position))
})

onEach('an onCaughtUp that throws ends the iteration with its error', async ({ open }) => {
  const store = await open()
  const own = new Error('my own')
  await assert.rejects(all(store.subscribe({ onCaughtUp: () => Promise.reject(own) })), (error) => error === own)
}, ['memory'])

onEach('closing the store ends who waits with closed', async ({ open }) => {
  const store = await open()
  let caughtUp
  const isCaughtUp = new Promise((resolve) => (caughtUp = resolve))
  const live = all(store.subscribe({ onCaughtUp: caughtUp }))
  const refused = assert.rejects(live, ClosedError)
  await isCaughtUp
  await store.close()
  await refused
})
