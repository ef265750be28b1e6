// Every call takes a timeout and a signal.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { event, EventStore, UnavailableError } from 'streamkeep'
import { onEach, until } from './backends.mjs'

const calls = {
  append: (store, options) => store.append('s', [event('E')], options),
  importEvents: (store, options) => store.importEvents([{ stream: 'imported', event: event('E') }], options),
  readPage: (store, options) => store.readPage(options),
  saveSnapshot: (store, options) => store.saveSnapshot({ stream: 's', version: 1, schema: 'a', data: 1 }, options),
  loadSnapshot: (store, options) => store.loadSnapshot('s', 'a', options),
  head: (store, options) => store.head(options),
}

onEach('every call takes a timeout and a signal, and answers as without them', async ({ url, open }) => {
  const store = await open()
  for (const call of Object.values(calls)) await call(store, { timeoutMs: 60_000, signal: new AbortController().signal })
  assert.equal((await store.loadSnapshot('s', 'a')).data, 1)
  assert.equal((await store.readPage()).events.length, 2)
  const other = await EventStore.open(url, { timeoutMs: 60_000, signal: new AbortController().signal })
  await other.close()
})

onEach('a signal that was given up before ends every call with its reason, and nothing is written', async ({ url, open }) => {
  const store = await open()
  const reason = new Error('gone')
  const signal = AbortSignal.abort(reason)
  for (const [name, call] of Object.entries(calls)) await assert.rejects(call(store, { signal }), (error) => error === reason, name)
  await assert.rejects(EventStore.open(url, { signal }), (error) => error === reason)
  assert.equal(await store.head(), 0)
}, ['memory', 'sqlite'])

/** A server that accepts connections and never says a word. */
const SILENT = "require('node:net').createServer(() => {}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })"

test('a call that waits ends with the reason of its signal at once', async () => {
  const server = spawn(process.execPath, ['-e', SILENT])
  try {
    const [port] = await once(server.stdout, 'data')
    const [stop, reason] = [new AbortController(), new Error('gone')]
    const opening = EventStore.open(`postgres://amy@127.0.0.1:${String(port).trim()}/none?insecure=true`, { signal: stop.signal })
    setImmediate(() => stop.abort(reason))
    await assert.rejects(opening, (error) => error === reason)
    await assert.rejects(EventStore.open(`postgres://amy@127.0.0.1:${String(port).trim()}/none?insecure=true`, { timeoutMs: 50 }), UnavailableError)
  } finally {
    server.kill()
  }
})

onEach('a timeout is that of the one call', async ({ open }) => {
  const store = await open()
  await store.append('s', [event('E')])
  for (const [name, call] of Object.entries(calls)) {
    // A call can be done before anybody looks at its deadline.
    await until(`${name} is late`, async () => {
      const error = await call(store, { timeoutMs: 0 }).then(() => undefined, (thrown) => thrown)
      if (error === undefined) return false
      assert.ok(error instanceof UnavailableError, `${name}: ${error}`)
      assert.equal(error.operation, name)
      return true
    })
  }
  for (const call of Object.values(calls)) await call(store)
}, ['sqlite', 'postgres', 'mongodb'])
