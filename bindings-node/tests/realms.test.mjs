// What Jest and Vitest's vm pools make: a context of `node:vm` in which the package's CommonJS files run, with a realm of
// its own. Two copies of the package stand beside each other, as they do when each test file loads its own.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { test } from 'node:test'
import vm from 'node:vm'
import * as main from 'streamkeep'
import { until } from './backends.mjs'

const outer = createRequire(import.meta.url)

/** Loads the package in a new context. */
function inContext() {
  const context = vm.createContext({ console, process })
  const loaded = new Map()
  const load = (file) => {
    assert.ok(isAbsolute(file), `${file} is no file, and this loader knows files alone`)
    if (loaded.has(file)) return loaded.get(file).exports
    const module = { exports: {} }
    loaded.set(file, module)
    if (file.endsWith('.json')) return (module.exports = JSON.parse(readFileSync(file, 'utf8')))
    if (file.endsWith('.node')) return (module.exports = outer(file))
    const require = (name) => load(createRequire(file).resolve(name))
    vm.runInContext(`(function (module, exports, require) {${readFileSync(file, 'utf8')}\n})`, context, { filename: file })(module, module.exports, require)
    return module.exports
  }
  return { streamkeep: load(outer.resolve('streamkeep')), evaluate: (code) => vm.runInContext(`(${code})`, context) }
}

const thrown = (promise) => promise.then(() => assert.fail('it did not fail'), (error) => error)

test('errors are typed in another realm, with the error classes of that realm', async () => {
  const { streamkeep, evaluate } = inContext()
  const store = await streamkeep.EventStore.open('memory:')
  await store.append('order-1', [{ type: 'Placed' }])
  const conflict = await thrown(store.append('order-1', [{ type: 'Placed' }], { expected: 'no-stream' }))
  assert.equal(conflict.code, 'conflict')
  assert.equal(conflict.actual, 1)
  assert.ok(conflict instanceof streamkeep.ConflictError && conflict instanceof evaluate('Error'))
  assert.equal((await thrown(streamkeep.EventStore.open('nothing:'))).code, 'config')
  assert.equal((await thrown(store.append(1, []))).code, 'invalid-argument')
  await store.close()
  const closed = await thrown(store.head())
  assert.ok(closed instanceof streamkeep.ClosedError)
})

test('an error of another copy of the package is an instance of the same class here, and of no other', async () => {
  const { streamkeep } = inContext()
  const error = await thrown(streamkeep.EventStore.open('nothing:'))
  assert.ok(error instanceof main.ConfigError && error instanceof main.StreamkeepError)
  assert.ok(!(error instanceof main.ConflictError))
  class Own extends main.ConfigError {}
  assert.ok(!(error instanceof Own) && new Own('x') instanceof main.ConfigError && new Own('x').code === 'config')
  for (const other of [undefined, null, 1, 'x', {}, new Error('x'), main.StreamkeepError.prototype]) assert.ok(!(other instanceof main.StreamkeepError))
})

test('values of any realm are taken, and opaque ones are refused', async () => {
  const { streamkeep, evaluate } = inContext()
  const makers = {
    'new Uint8Array([7])': (e) => assert.deepEqual(new Uint8Array(e.data), new Uint8Array([7])),
    '{ at: new Date(0), list: [1], none: undefined }': (e) => assert.equal(e.text, '{"at":"1970-01-01T00:00:00.000Z","list":[1]}'),
    'Object.create(null)': (e) => assert.equal(e.text, '{}'),
  }
  const opaque = ['new Map([[1, 2]])', 'new Set()', '/x/', 'new Error("x")', 'Promise.resolve()', 'new ArrayBuffer(2)', 'new Float64Array(2)', '[new Date(NaN)]', '[,1]', 'new WeakMap()', '[new Number(NaN)]']
  for (const [library, make] of [[streamkeep, evaluate], [streamkeep, eval], [main, evaluate]]) {
    const store = await library.EventStore.open('memory:')
    for (const [code, check] of Object.entries(makers)) {
      await store.append(code, [{ type: 'V', data: make(code === 'Object.create(null)' ? code : `(${code})`) }])
      for await (const e of store.read(code)) check(e)
    }
    for (const code of opaque) assert.equal((await thrown(store.append('s', [{ type: 'V', data: make(code) }]))).code, 'invalid-argument', code)
    await store.importEvents([{ stream: 'old', recordedAt: make('new Date(5)'), event: make('({ type: "V", tags: ["a"] })') }])
    for await (const e of store.read('old')) assert.equal(e.recordedAt.getTime(), 5)
    await store.close()
  }
})

test('a store of another realm can be disposed of', async () => {
  const { streamkeep } = inContext()
  const store = await streamkeep.EventStore.open('memory:')
  for (const made of [store, store.read('s')]) {
    assert.ok(!('undefined' in made))
    await made[Symbol.asyncDispose]()
  }
  await assert.rejects(store.head(), main.ClosedError)
})

test('a copy of the package that nobody uses is collected, with its realm', async () => {
  const copies = []
  for (let round = 0; round < 5; round += 1) copies.push(await used())
  await until('most copies are collected', () => {
    globalThis.gc()
    return copies.filter((copy) => copy.deref() === undefined).length >= 4
  })
})

/** A copy of the package that opened a store, and had answers and errors. */
async function used() {
  const { streamkeep } = inContext()
  const store = await streamkeep.EventStore.open('memory:')
  await store.append('s', [{ type: 'E' }])
  await thrown(store.append('', [{ type: 'E' }]))
  for await (const e of store.readAll()) assert.equal(e.version, 1)
  await store.close()
  return new WeakRef(streamkeep.EventStore)
}

test('what another copy of the package made can be given to this one', async () => {
  const { streamkeep } = inContext()
  const [from, to] = [await streamkeep.EventStore.open('memory:'), await main.EventStore.open('memory:')]
  const made = streamkeep.event.json('V', '{"rate": 1.0}', { metadata: '{"a": 1.0}' })
  await from.append('s', [made])
  for await (const e of from.read('s')) {
    assert.ok(e instanceof main.RecordedEvent)
    await assert.rejects(to.append('s', [e]), main.InvalidArgumentError)
    await to.importEvents([{ stream: 's', event: e }])
  }
  for await (const e of to.read('s')) assert.deepEqual([e.text, e.metadataText], ['{"rate": 1.0}', '{"a": 1.0}'])
  assert.ok((await to.append('s', [made])).repeated)
  await Promise.all([from.close(), to.close()])
})
