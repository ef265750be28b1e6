import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { inspect } from 'node:util'
import * as streamkeep from 'streamkeep'
import { onEach, shared } from './backends.mjs'

const { ClosedError, ConfigError, ConflictError, DuplicateEventError, event, EventStore, InvalidArgumentError, LimitExceededError, StreamkeepError, UnavailableError } = streamkeep

test('both module systems give the same objects', () => {
  const common = createRequire(import.meta.url)('streamkeep')
  assert.deepEqual(Object.keys(streamkeep).filter((name) => name !== 'default' && name !== 'module.exports').sort(), Object.keys(common).sort())
  for (const name of Object.keys(common)) assert.equal(streamkeep[name], common[name], name)
})

test('a wrong number of threads is told by the first open', () => {
  const code = "import { EventStore } from 'streamkeep'; await EventStore.open('memory:').then((store) => store.close()).then(() => console.log('opened'), (error) => console.log(`${error.code}: ${error.message}`))"
  const told = (threads) => spawnSync(process.execPath, ['--input-type=module', '-e', code], { env: { ...process.env, STREAMKEEP_THREADS: threads }, encoding: 'utf8', timeout: 60_000 }).stdout.trim()
  assert.equal(told('many'), 'config: open: STREAMKEEP_THREADS must be a number of threads from 1 to 1024')
  assert.equal(told('1'), 'opened')
})

onEach('a conflict says what it is', async ({ open }) => {
  const store = await open()
  await store.append('order-42', [{ type: 'E' }])
  const sent = event('E')
  const error = await store.append('order-42', [sent], { expected: 'no-stream' }).catch((thrown) => thrown)
  assert.ok(error instanceof ConflictError && error instanceof StreamkeepError && error instanceof Error)
  const { name, code, retryable, outcome, ids, operation, hint, stream, expected, actual } = error
  assert.deepEqual(
    { name, code, retryable, outcome, ids, operation, hint, stream, expected, actual },
    { name: 'ConflictError', code: 'conflict', retryable: false, outcome: 'not applied', ids: [sent.id], operation: 'append', hint: undefined, stream: 'order-42', expected: 'no-stream', actual: 1 },
  )
  assert.match(inspect(error), /ConflictError: append: /)
})

onEach('an error names the method that failed, whoever refused it', async ({ open }) => {
  const store = await open()
  await store.append('s', [{ type: 'E' }])
  const later = { after: 99 }
  const late = { atOrBefore: 0, timeoutMs: 1.5 }
  const failing = {
    open: () => EventStore.open('nowhere:'),
    append: () => store.append('s', [{ type: '' }]),
    importEvents: () => store.importEvents([{ stream: 's', version: 5, event: { type: 'E' } }]),
    read: () => store.read('s', { limit: 0 }).next(),
    readAll: () => store.readAll(later).next(),
    readPage: () => store.readPage(later),
    subscribe: () => store.subscribe(later).next(),
    saveSnapshot: () => store.saveSnapshot({ stream: 's', version: 9, schema: 'a', data: 1 }),
    loadSnapshot: () => store.loadSnapshot('s', 'a', late),
    head: () => store.head({ timeoutMs: -1 }),
    event: async () => event(''.at(1)),
  }
  for (const [operation, call] of Object.entries(failing)) {
    const error = await call().then(() => assert.fail(`${operation} did not fail`), (thrown) => thrown)
    assert.equal(error.operation, operation)
    assert.ok(error.message.startsWith(`${operation}: `), error.message)
  }
  const iterator = store.read('s')
  await store.close()
  const closed = await iterator.next().catch((error) => error)
  assert.deepEqual([closed.code, closed.operation], ['closed', 'read'])
}, ['memory'])

test('an error has the hint of its cause, in a field and in its message', async () => {
  const hinted = await EventStore.open('sqlite:/nowhere/at/all.db').catch((thrown) => thrown)
  assert.equal(hinted.operation, 'open')
  assert.ok(typeof hinted.hint === 'string' && hinted.message.endsWith(`; ${hinted.hint}`), inspect(hinted))
})

test('an error can be made for tests', () => {
  const error = new ConflictError('stream is elsewhere', { stream: 's', expected: 1, actual: 2, operation: 'append' })
  const { name, code, message, stream, expected, actual, retryable, outcome, ids } = error
  assert.deepEqual({ name, code, message, stream, expected, actual, retryable, outcome, ids }, { name: 'ConflictError', code: 'conflict', message: 'append: stream is elsewhere', stream: 's', expected: 1, actual: 2, retryable: false, outcome: 'not applied', ids: [] })
  assert.ok(new UnavailableError('gone').retryable)
  assert.equal(new StreamkeepError().code, 'internal')
})

onEach('the stack is that of the call, not of the answer', async ({ open }) => {
  const store = await open()
  const theCaller = () => store.append('', [{ type: 'E' }])
  const theReader = () => store.read('')
  const answers = [theCaller(), theReader().next()]
  const errors = await Promise.all(answers.map((answer) => answer.then(() => assert.fail(), (thrown) => thrown)))
  assert.match(errors[0].stack, /^InvalidArgumentError: .*\n( +at .*\n)? +at .*theCaller/)
  assert.match(errors[1].stack, /^InvalidArgumentError: .*\n( +at .*\n)? +at .*theReader/)
}, ['memory'])

onEach('errors reject, and are never thrown at the call', async ({ open }) => {
  const store = await open()
  const calls = [
    () => EventStore.open(42),
    () => EventStore.open('memory:', { nmaespace: 'a' }),
    () => store.append(undefined, undefined),
    () => store.append('s', [{ type: 'E' }], { expectd: 1 }),
    () => store.append('s', [{ type: 'E' }], { expected: 1.5 }),
    () => store.append('s', [{ type: 'E' }], { expected: 'never' }),
    () => store.append('s', [{ type: 'E' }], { expected: -1 }),
    () => store.append('s', [{ type: 'E' }], { timeoutMs: '1' }),
    () => store.importEvents([{ event: { type: 'E' } }]),
    () => store.importEvents([{ stream: 's', recordedAt: new Date(NaN), event: { type: 'E' } }]),
    () => store.read(null).next(),
    () => store.read('s', { fromVersion: 0 }).next(),
    () => store.read('s', { limit: 2 ** 53 }).next(),
    () => store.read('s', { direction: 'up' }).next(),
    () => store.readAll({ query: { type: ['E'] } }).next(),
    () => store.readAll({ query: { types: 'E' } }).next(),
    () => store.readPage({ limit: 0 }),
    () => store.subscribe({ start: 'end' }).next(),
    () => store.subscribe({ start: 'now', after: 1 }).next(),
    () => store.saveSnapshot({ stream: 's', version: '1', schema: 's', data: 1 }),
    () => store.saveSnapshot(undefined),
    () => store.loadSnapshot('s'),
  ]
  for (const call of calls) await assert.rejects(call(), InvalidArgumentError, String(call))
  await assert.rejects(store.readPage({ limit: 1001 }), LimitExceededError)
  await assert.rejects(EventStore.open('nowhere:'), ConfigError)
  await assert.rejects(EventStore.open('memory:?pass=secret'), (error) => error instanceof ConfigError && !inspect(error).includes('secret'))
}, ['memory'])

onEach('an event known with other content is a duplicate', async ({ open }) => {
  const store = await open()
  const first = event('E', { a: 1 })
  await store.append('s', [first])
  assert.ok((await store.append('s', [first])).repeated)
  await assert.rejects(store.append('s', [{ ...first, data: { a: 2 } }]), (error) => error instanceof DuplicateEventError && error.id === first.id && error.version === 1)
})

onEach('a server that is not there is unavailable, without its password', async () => {
  for (const scheme of ['postgres', 'mongodb']) {
    const opening = EventStore.open(`${scheme}://amy:hunter2@127.0.0.1:1/none?timeout_ms=300`)
    await assert.rejects(opening, (error) => error instanceof UnavailableError && error.retryable && !inspect(error, { depth: null }).includes('hunter2'), scheme)
  }
}, ['memory'])

onEach('a closed store says so, and closing twice is fine', async ({ open }) => {
  const store = await open()
  await store.append('s', [{ type: 'E' }, { type: 'E' }])
  const reader = store.read('s')
  assert.equal((await reader.next()).value.version, 1)
  await Promise.all([store.close(), store.close()])
  await store.close()
  await assert.rejects(reader.next(), ClosedError)
  for (const call of [() => store.append('s', [{ type: 'E' }]), () => store.head(), () => store.read('s').next(), () => store.subscribe().next(), () => store.readPage()]) {
    await assert.rejects(call(), ClosedError)
  }
})

test('every code has its class', () => {
  const classes = Object.values(streamkeep).filter((value) => value?.prototype instanceof StreamkeepError)
  assert.equal(classes.length, Object.keys(JSON.parse(shared('generate/surface.json')).error.codes).length)
  assert.ok(classes.every((type) => type.prototype.name === type.name))
})

test('a panic of the native module rejects, and the process goes on', async () => {
  const probe = createRequire(import.meta.url)(process.env.STREAMKEEP_PANIC_PROBE)
  assert.throws(() => probe.panicNow(), /a probe/)
  const mailbox = new probe.NativeMailbox()
  const answer = await new Promise((resolve) => {
    mailbox.hold(resolve)
    probe.panicLater(mailbox, 1)
  })
  mailbox.release()
  assert.deepEqual([answer[1], JSON.parse(answer[2]).code], [null, 'internal'])
  assert.deepEqual(Object.keys(createRequire(import.meta.url)(rootPackage('binding.cjs'))).filter((name) => /panic/i.test(name)), [])
})

function rootPackage(file) {
  return createRequire(import.meta.url).resolve('streamkeep').replace(/dist.index\.js$/, file)
}
