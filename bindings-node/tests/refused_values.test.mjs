// Values that JSON.stringify would change without a word, at any depth of everything that is written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { event, InvalidArgumentError, JsonText, recordedEvent, Snapshot } from 'streamkeep'
import { all, onEach } from './backends.mjs'

const circle = { name: 'c' }
circle.self = circle
const throwing = { get total() { throw new Error('my own') } }

/** Each with the words that the error has for it. */
const LOST = [
  [NaN, 'is NaN'],
  [Infinity, 'is Infinity'],
  [-Infinity, 'is -Infinity'],
  [new Number(NaN), 'is NaN'],
  [new Map([['sku', 2]]), 'is a Map'],
  [new Set(['a']), 'is a Set'],
  [new WeakMap(), 'is a WeakMap'],
  [new WeakSet(), 'is a WeakSet'],
  [new WeakRef({}), 'is a WeakRef'],
  [Promise.resolve(1), 'is a Promise'],
  [/x/, 'is a RegExp'],
  [new Error('x'), 'is an Error'],
  [Object.assign(new TypeError('x'), { code: 1 }), 'is an Error'],
  [new Date(NaN), 'is an invalid Date'],
  [() => 1, 'is a function'],
  [class Order {}, 'is a function'],
  [Symbol('s'), 'is a symbol'],
  [1n, 'is a bigint'],
  [Object(1n), 'is a bigint'],
  [new ArrayBuffer(2), 'ArrayBuffer'],
  [new SharedArrayBuffer(2), 'SharedArrayBuffer'],
  [new DataView(new ArrayBuffer(2)), 'DataView'],
  [new Float64Array(2), 'Float64Array'],
  [new URLSearchParams('a=1'), 'is an URLSearchParams'],
  [[1, undefined], '[1] is undefined'],
  // eslint-disable-next-line no-sparse-arrays -- that is the case
  [[1, , 2], '[1] is a hole of a sparse array'],
  [new Array(3), '[0] is a hole of a sparse array'],
  [[() => 1], '[0] is a function'],
  [circle, 'self is circular'],
  [throwing, 'my own'],
  [{ toJSON: () => NaN }, 'is NaN'],
  [{ toJSON: () => ({ deep: new Map() }) }, '.deep is a Map'],
  [{ [Symbol.iterator]: 1, total: [{ a: 1 }, { a: [NaN] }] }, 'total[1].a[0] is NaN'],
]

/** Bytes are taken as the whole content, but not inside a value, where JSON would write each of them as a field. */
const BYTES = [
  [new Uint8Array([1]), 'is bytes (an Uint8Array)'],
  [Buffer.from([1]), 'is bytes (an Uint8Array)'],
]

/** Where a value can be, with the beginning of its path. */
const PLACES = [
  ['', (value) => value],
  ['.total', (value) => ({ total: value })],
  ['.order.lines[2]["unit price"]', (value) => ({ id: 1, order: { none: undefined, lines: [1, { a: 'x' }, { 'unit price': value }] } })],
  ['[1][0]', (value) => [0, [value]]],
  ['.at.inner', (value) => ({ at: { toJSON: () => ({ inner: value }) } })],
  ['.own.value', (value) => ({ own: new (class Own { value = value })() })],
]

const thrown = (promise) => promise.then(() => assert.fail('it did not fail'), (error) => error)

/** Everything that is written, with the argument that an error names. */
const WRITES = [
  ['data', (store, value) => store.append('s', [{ type: 'V' }, { type: 'V', data: value }])],
  ['metadata', (store, value) => store.append('s', [{ type: 'V', metadata: value }])],
  ['data', (store, value) => store.importEvents([{ stream: 's', event: { type: 'V', data: value } }])],
  ['metadata', (store, value) => store.importEvents([{ stream: 's', event: { type: 'V', metadata: value } }])],
  ['data', (store, value) => store.saveSnapshot({ stream: 'known', version: 1, schema: 's', data: value })],
  ['data', async (store, value) => event('V', value)],
  ['metadata', async (store, value) => event('V', {}, { metadata: value })],
  ['data', async (store, value) => recordedEvent({ stream: 's', type: 'V', data: value })],
  ['metadata', async (store, value) => recordedEvent({ stream: 's', type: 'V', metadata: value })],
  ['data', async (store, value) => new Snapshot({ stream: 's', version: 1, schema: 's', data: value })],
]

onEach('what JSON would change without a word is refused at any depth, with its path', async ({ open }) => {
  const store = await open()
  await store.append('known', [{ type: 'V' }])
  for (const [argument, write] of WRITES) {
    for (const [path, around] of PLACES) {
      for (const [value, words] of path === '' ? LOST : [...LOST, ...BYTES]) {
        const error = await thrown(write(store, around(value)))
        const what = `${argument}${path}: ${words}`
        assert.ok(error instanceof InvalidArgumentError, `${what}: ${error}`)
        assert.equal(error.argument, argument, what)
        assert.ok(error.message.includes(words), `${what}: ${error.message}`)
        if (words !== 'my own' && !(path === '' && /Array|DataView/.test(words))) assert.ok(error.message.includes(`${argument}${path}`), `${what}: ${error.message}`)
      }
    }
  }
  assert.equal(await store.head(), 1)
  assert.equal(await store.loadSnapshot('known', 's'), undefined)
}, ['memory'])

onEach('what JSON leaves out or writes as its author says is taken', async ({ open }) => {
  const store = await open()
  const shared = { a: 1 }
  const values = [
    [{ none: undefined, some: 1 }, '{"some":1}'],
    [{ at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [{ price: { toJSON: (key) => `${key}: 12.50` } }, '{"price":"price: 12.50"}'],
    [new (class Empty {})(), '{}'],
    [new (class Order { total = 1 })(), '{"total":1}'],
    [Object.create(null, { a: { value: 1, enumerable: true } }), '{"a":1}'],
    [{ one: shared, two: [shared, shared] }, '{"one":{"a":1},"two":[{"a":1},{"a":1}]}'],
    [[null, [], {}, '', 0, false], '[null,[],{},"",0,false]'],
    [{ n: new Number(1), s: new String('x'), b: new Boolean(false) }, '{"n":1,"s":"x","b":false}'],
    [Object.assign(new Map([[1, 2]]), { toJSON: () => [[1, 2]] }), '[[1,2]]'],
    [new URL('https://example.org/'), '"https://example.org/"'],
    [new JsonText('{"rate": 1e400}'), '{"rate": 1e400}'],
    [null, 'null'],
  ]
  await store.append('s', values.map(([data]) => ({ type: 'V', data })))
  const read = await all(store.read('s'))
  values.forEach(([, text], place) => assert.equal(read[place].text, text))
}, ['memory'])

onEach('what is taken is what JSON.stringify writes, whatever the value', async ({ open }) => {
  const store = await open()
  const anything = fc.anything({ withDate: true, withMap: true, withSet: true, withTypedArray: true, withBigInt: true, withSparseArray: true, withBoxedValues: true, withNullPrototype: true })
  await fc.assert(
    fc.asyncProperty(anything, async (data) => {
      fc.pre(!(data instanceof Uint8Array))
      const stream = `s-${Math.random()}`
      const answer = await store.append(stream, [{ type: 'V', data }]).catch((error) => error)
      if (answer instanceof Error) return assert.equal(answer.code, 'invalid-argument')
      const [read] = await all(store.read(stream))
      assert.equal(read.text, JSON.stringify(data))
      assert.equal(count(read.data), nulls(data))
    }),
    { numRuns: 500 },
  )
}, ['memory'])

/** How many nulls a value of JSON has, and how many there were. */
const count = (value) => (value === null ? 1 : typeof value === 'object' ? Object.values(value).reduce((sum, one) => sum + count(one), 0) : 0)
const nulls = (value) => (value === null ? 1 : typeof value === 'object' && !(value instanceof Date) ? Object.values(value).reduce((sum, one) => sum + nulls(one), 0) : 0)

test('a value that refers to itself is refused wherever the circle closes', () => {
  const [a, b] = [{}, { list: [] }]
  a.b = b
  b.list.push(0, a)
  assert.throws(() => event('V', a), (error) => error instanceof InvalidArgumentError && error.message.includes('data.b.list[1] is circular'))
})
