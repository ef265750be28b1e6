// Every argument of every method, given values of every wrong type: each is refused with the same error, which names the
// argument and says what is taken.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { event, EventStore, InvalidArgumentError, JsonText, LimitExceededError } from 'streamkeep'
import { onEach } from './backends.mjs'

class Own {}
const VALUES = [undefined, null, true, false, 0, -0, 1, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 53, 1e300, 0n, 1n, '', 'x', '0', Symbol('s'), () => 1, class Order {}, {}, { a: 1 }, [], [1], [undefined], [null], ['x'], [['x']], new Array(2), new Date(0), new Date(NaN), new Map(), new Map([['a', 1]]), new Set(['x']), /x/, new Error('x'), Promise.resolve(1), new Uint8Array(1), new ArrayBuffer(1), new Number(1), new String('x'), new Own(), Object.create(null), new Proxy({}, {}), new JsonText('1')]

const isCount = (value) => Number.isSafeInteger(value) && value >= 0
const isText = (value) => typeof value === 'string'
const isTexts = (value) => Array.isArray(value) && Array.from(value).every(isText)
const isFlag = (value) => typeof value === 'boolean'
const isRecord = (value) => typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Object]'
const no = () => false

/** An option, of a type of the language, and the words for what is taken. It may be absent. */
const OPTIONS = {
  number: [isCount, /must be a whole number from 0 to 2\^53 - 1|must not be|must be at least|is more than|version|limit/],
  text: [isText, /must be a string/],
  flag: [isFlag, /must be true or false/],
  expected: [isCount, /must be a version \(a whole number from 0 to 2\^53 - 1\), 'any', 'no-stream' or 'stream-exists'/],
  direction: [no, /must be 'forward' or 'backward'/],
  start: [no, /must be 'beginning' or 'now'/],
  durability: [no, /must be 'full' or 'relaxed'/],
  query: [(value) => (isRecord(value) && Object.keys(value).length === 0) || (Array.isArray(value) && value.length === 0), /must be a query item or an array of them|unknown option/],
  texts: [isTexts, /must be an array of strings/],
  signal: [no, /must be an AbortSignal/],
  callback: [(value) => typeof value === 'function', /must be a function/],
  options: [(value) => isRecord(value) && Object.keys(value).length === 0, /must be an object|unknown option/],
}

const call = { timeoutMs: 'number', signal: 'signal' }
const reading = { ...call, direction: 'direction', limit: 'number' }
const V = { type: 'V' }

/** The methods with their options; each is called with a wrong option, and with wrong options. */
const METHODS = {
  open: [(store, options) => EventStore.open('memory:', options), { ...call, namespace: 'text', create: 'flag', durability: 'durability', pollIntervalMs: 'number', maxConnections: 'number', insecure: 'flag' }],
  append: [(store, options) => store.append('s', [V], options), { ...call, expected: 'expected' }],
  importEvents: [(store, options) => store.importEvents([], options), call],
  read: [(store, options) => store.read('s', options).next(), { ...reading, fromVersion: 'number', toVersion: 'number' }],
  readAll: [(store, options) => store.readAll(options).next(), { ...reading, after: 'number', before: 'number', query: 'query' }],
  readPage: [(store, options) => store.readPage(options), { ...call, after: 'number', query: 'query', limit: 'number' }],
  subscribe: [(store, options) => store.subscribe(options).next(), { query: 'query', start: 'start', after: 'number', onCaughtUp: 'callback', signal: 'signal' }],
  saveSnapshot: [(store, options) => store.saveSnapshot({ stream: 'known', version: 1, schema: 's', data: 1 }, options), call],
  loadSnapshot: [(store, options) => store.loadSnapshot('known', 's', options), { ...call, atOrBefore: 'number' }],
  head: [(store, options) => store.head(options), call],
}

/** A call may be refused for other reasons when the type is right; an argument of a wrong type only for that. */
async function refuses(what, calling, argument, words) {
  const error = await calling().then((answer) => assert.fail(`${what} was taken: ${inspect(answer)}`), (thrown) => thrown)
  assert.ok(error instanceof InvalidArgumentError, `${what}: ${inspect(error)}`)
  assert.ok(argument === undefined || error.argument === argument, `${what}: argument ${error.argument}: ${error.message}`)
  assert.match(error.message, words, what)
}

for (const [name, [method, options]] of Object.entries(METHODS)) {
  onEach(`every wrong option of ${name} is refused by name`, async ({ open }) => {
    const store = await open()
    await store.append('known', [V])
    for (const [option, kind] of [...Object.entries(options), [undefined, 'options']]) {
      const [taken, words] = OPTIONS[kind]
      for (const value of VALUES) {
        if (value === undefined || taken(value)) continue
        const what = `${name} with ${option ?? 'options'}: ${inspect(value)}`
        const given = option === undefined ? value : { [option]: value }
        await refuses(what, async () => method(store, given), option === undefined || kind === 'query' ? undefined : option, words)
      }
    }
    for (const key of ['types', 'tags', 'categories', 'streams']) {
      if (options.query === undefined) continue
      for (const value of VALUES) if (value !== undefined && !isTexts(value)) await refuses(`${name} with ${key}: ${inspect(value)}`, async () => method(store, { query: { [key]: value } }), key, OPTIONS.texts[1])
    }
    await refuses('an unknown option', async () => method(store, { timeout: 1 }), 'timeout', /unknown option 'timeout'/)
  }, ['memory'])
}

const AN_EVENT = /must be an object with type and data|must be an array of events/

/** The arguments themselves, and the fields of what they hold: a call, which values are right, the argument, the words. */
const ARGUMENTS = [
  [(store, url) => EventStore.open(url), isText, 'url', /must be a string/],
  [(store, stream) => store.append(stream, [V]), isText, 'stream', /must be a string/],
  [(store, events) => store.append('s', events), no, 'events', /must be an array of events|must be an object with type and data|at least one event|append/],
  [(store, one) => store.append('s', [one]), no, undefined, /must be an object with type and data|type must be a string/],
  [(store, type) => store.append('s', [{ type }]), isText, 'type', /must be a string/],
  [(store, metadata) => store.append('s', [{ type: 'V', metadata }]), (value) => value === undefined || isText(value) || isRecord(value) || value instanceof Date, 'metadata', /metadata/],
  [(store, tags) => store.append('s', [{ type: 'V', tags }]), (value) => value === undefined || isTexts(value), 'tags', /must be an array of strings/],
  [(store, id) => store.append('s', [{ type: 'V', id }]), (value) => value === undefined, 'id', /must be a string|must be a UUID/],
  [(store, schema) => store.append('s', [{ type: 'V', schema }]), (value) => value === undefined || isText(value), 'schema', /must be a string/],
  [(store, events) => store.importEvents(events), (value) => Object(value) === value && Symbol.iterator in value && [...value].length === 0, undefined, /must be an array of events|must be an object with stream and event/],
  [(store, one) => store.importEvents([one]), no, undefined, /must be an object with (stream and event|type and data)/],
  [(store, content) => store.importEvents([{ stream: 's', event: content }]), no, undefined, /must be an object with type and data|type must be a string/],
  [(store, stream) => store.importEvents([{ stream, event: V }]), isText, 'stream', /must be a string/],
  [(store, version) => store.importEvents([{ stream: 's', version, event: V }]), (value) => value === undefined || isCount(value), 'version', /must be a whole number/],
  [(store, stream) => store.read(stream).next(), isText, 'stream', /must be a string/],
  [(store, snapshot) => store.saveSnapshot(snapshot), no, undefined, /must be an object with stream, version, schema and data|stream must be a string/],
  [(store, stream) => store.saveSnapshot({ stream, version: 1, schema: 's', data: 1 }), isText, 'stream', /must be a string/],
  [(store, version) => store.saveSnapshot({ stream: 'known', version, schema: 's', data: 1 }), isCount, 'version', /must be a whole number/],
  [(store, schema) => store.saveSnapshot({ stream: 'known', version: 1, schema, data: 1 }), isText, 'schema', /must be a string/],
  [(store, stream) => store.loadSnapshot(stream, 's'), isText, 'stream', /must be a string/],
  [(store, schema) => store.loadSnapshot('s', schema), isText, 'schema', /must be a string/],
  [async (store, type) => event(type), isText, 'type', /must be a string/],
  [async (store, text) => event.json('V', text), isText, 'data', /must be a string/],
  [async (store, text) => new JsonText(text), isText, 'text', /must be a string/],
  [async (store, options) => event('V', {}, options), (value) => value === undefined || (isRecord(value) && Object.keys(value).length === 0), undefined, /options must be an object|unknown option/],
  [async (store, tags) => event('V', {}, { tags }), (value) => value === undefined || isTexts(value), 'tags', /must be an array of strings/],
  [async (store, id) => event('V', {}, { id }), (value) => value === undefined || isText(value), 'id', /must be a string/],
  [async (store, schema) => event('V', {}, { schema }), (value) => value === undefined || isText(value), 'schema', /must be a string/],
  [async (store, opened) => new EventStore(opened), no, undefined, /EventStore\.open/],
]

onEach('every wrong argument is refused by name', async ({ open }) => {
  const store = await open()
  await store.append('known', [V])
  for (const [calling, taken, argument, words] of ARGUMENTS) {
    for (const value of VALUES) {
      if (!taken(value)) await refuses(`${calling}, given ${inspect(value)}`, async () => calling(store, value), argument, words)
    }
  }
  assert.equal(await store.head(), 1)
}, ['memory'])

onEach('an argument of the right type is taken, or refused for what it says', async ({ open }) => {
  const store = await open()
  await store.append('known', [V])
  await store.append('s', new Set([V, event('V')]), { expected: 0, timeoutMs: 1000 })
  await store.append('s', (function* events() { yield V })(), { expected: 2, signal: undefined })
  await assert.rejects(store.readPage({ limit: 1001 }), LimitExceededError)
  await store.head(undefined)
  assert.match((await store.append('s', [V], { expected: 0n }).catch((error) => error)).message, /not a bigint/)
  for (const given of ['V', 42, AN_EVENT]) await assert.rejects(store.append('s', given), InvalidArgumentError)
}, ['memory'])
