// What a caller's signal and functions can do to the calls that they belong to.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { EventStore } from 'streamkeep'

test('calls that share a signal share one listener, which goes with the last of them', async () => {
  const store = await EventStore.open('memory:')
  const { signal } = new AbortController()
  const calls = Array.from({ length: 20 }, () => store.head({ signal }))
  const pulled = store.subscribe({ start: 'now', signal })
  const pending = pulled.next()
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  await Promise.all(calls)
  await pulled.return()
  await pending
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('an abort ends every call that shares the signal', async () => {
  const store = await EventStore.open('memory:')
  const stop = new AbortController()
  const calls = Array.from({ length: 20 }, () => store.head({ signal: stop.signal }))
  stop.abort('gone')
  for (const ended of await Promise.allSettled(calls)) assert.equal(ended.reason, 'gone')
})

test('a signal that throws does not take the answers of other calls', async () => {
  const store = await EventStore.open('memory:')
  // The listeners of the test runner would fail the file.
  const listeners = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve))
  const signal = { aborted: false, addEventListener() {}, removeEventListener() { throw new Error('mine') } }
  const answers = await Promise.all([store.head({ signal }), store.head(), store.head()])
  assert.deepEqual(answers, [0, 0, 0])
  assert.equal((await unhandled).message, 'mine')
  for (const listener of listeners) process.on('unhandledRejection', listener)
})

test('a signal that refuses its listener is refused before anything is sent', async () => {
  const store = await EventStore.open('memory:')
  const signal = { aborted: false, addEventListener() { throw new Error('mine') }, removeEventListener() {} }
  await assert.rejects(store.append('a', [{ type: 'T' }], { signal }), { code: 'invalid-argument' })
  assert.equal(await store.head(), 0)
})

for (const [how, end] of [['return()', (pulled) => pulled.return()], ['its signal', (_, stop) => stop.abort()]]) {
  test(`${how} ends a subscription whose onCaughtUp is never done`, async () => {
    const store = await EventStore.open('memory:')
    const stop = new AbortController()
    let called
    const caughtUp = new Promise((resolve) => (called = resolve))
    const onCaughtUp = () => {
      called()
      return new Promise(() => {})
    }
    const pulled = store.subscribe({ signal: stop.signal, onCaughtUp })
    const pending = pulled.next()
    await caughtUp
    await turn()
    await end(pulled, stop)
    assert.deepEqual(await Promise.race([pending, turn().then(turn)]), { value: undefined, done: true })
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
  })
}
