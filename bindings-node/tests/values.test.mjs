// JavaScript values, appended and read back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { event, InvalidArgumentError, JsonText } from 'streamkeep'
import { all, hex, onEach } from './backends.mjs'

onEach('a value of JSON comes back as JSON.parse has it', async ({ open }) => {
  const store = await open()
  const values = fc.array(fc.jsonValue({ maxDepth: 6, noUnicodeString: false }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(values, async (given) => {
      fc.pre(!JSON.stringify(given).includes('\\u0000'))
      const stream = `values-${hex()}`
      await store.append(stream, given.map((data) => ({ type: 'V', data })))
      const read = await all(store.read(stream))
      given.forEach((data, place) => {
        assert.equal(read[place].text, JSON.stringify(data))
        assert.deepStrictEqual(read[place].data, JSON.parse(JSON.stringify(data)))
      })
    }),
    { numRuns: 50 },
  )
})

onEach('bytes come back as they were, each with its own memory', async ({ open }) => {
  const store = await open()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 10 }), async (given) => {
      const stream = `bytes-${hex()}`
      await store.append(stream, given.map((data) => ({ type: 'B', data })))
      const read = await all(store.read(stream))
      given.forEach((data, place) => {
        assert.deepEqual(new Uint8Array(read[place].data), data)
        assert.equal(read[place].text, undefined)
        assert.equal(read[place].data.buffer.byteLength, data.length)
      })
    }),
    { numRuns: 30 },
  )
})

onEach('all fields of an event come back', async ({ open }) => {
  const store = await open()
  const given = event('Änderung 😀', { total: 12.5 }, { metadata: { createdBy: 'amy' }, tags: ['customer:7', 'ünï'], schema: 'order/1' })
  const before = Date.now()
  const at = await store.append('order-ü', [given])
  const [read] = await all(store.read('order-ü'))
  const { stream, version, position, id, type, data, metadata, tags, schema, contentType } = read
  assert.deepEqual(
    { stream, version, position, id, type, data, metadata, tags, schema, contentType },
    { ...given, stream: 'order-ü', version: 1, position: at.position, contentType: 'application/json' },
  )
  assert.ok(read.recordedAt instanceof Date && Math.abs(read.recordedAt.getTime() - before) < 60_000)
  assert.equal(Math.floor(read.recordedAtMicros / 1000), read.recordedAt.getTime())
  assert.deepEqual(Buffer.from(read.bytes), Buffer.from('{"total":12.5}'))
})

onEach('a key __proto__ is a key like any other', async ({ open }) => {
  const store = await open()
  const text = '{"__proto__":{"admin":true}}'
  await store.append('s', [{ type: 'V', data: JSON.parse(text), metadata: JSON.parse(text) }])
  const [read] = await all(store.read('s'))
  for (const value of [read.data, read.metadata]) {
    assert.ok(Object.hasOwn(value, '__proto__'))
    assert.equal(value.admin, undefined)
  }
  assert.equal(read.text, text)
}, ['memory'])

onEach('what JSON cannot carry is refused, and nothing is written', async ({ open }) => {
  const store = await open()
  const circle = {}
  circle.self = circle
  const payloads = [undefined, () => 1, Symbol('s'), 1n, circle, new Map([[1, 2]]), new Set([1]), Promise.resolve(1), new Float64Array(2), new ArrayBuffer(2)]
  for (const data of payloads) await assert.rejects(store.append('s', [{ type: 'V', data }]), InvalidArgumentError, String(data?.constructor?.name))
  for (const events of [undefined, null, [undefined], [null], ['V'], [{}], [{ type: 1 }], [{ type: 'V', tags: 'a' }], [{ type: 'V', id: 'x' }], [{ type: 'V', metadata: 1n }]]) {
    await assert.rejects(store.append('s', events), InvalidArgumentError, JSON.stringify(events, (_, v) => (typeof v === 'bigint' ? `${v}` : v)))
  }
  assert.equal(await store.head(), 0)
}, ['memory'])

onEach('a recorded event can be imported elsewhere, to the byte and the microsecond', async ({ open }) => {
  const [from, to] = [await open(), await open()]
  await from.append('order-1', [
    { type: 'V', data: new JsonText('{"rate": 1.0}'), metadata: '{"a": 1}', tags: ['x'], schema: 's/1' },
    { type: 'B', data: new Uint8Array([1, 2]) },
  ])
  const events = await all(from.readAll())
  const copies = events.map((e) => ({ stream: e.stream, version: e.version, recordedAtMicros: e.recordedAtMicros, event: e }))
  assert.equal((await to.importEvents(copies)).imported, 2)
  const read = await all(to.readAll())
  read.forEach((e, place) => {
    const was = events[place]
    assert.deepEqual([e.id, e.text, e.metadataText, e.recordedAtMicros, e.tags, e.schema], [was.id, was.text, was.metadataText, was.recordedAtMicros, was.tags, was.schema])
    assert.deepEqual(e.bytes, was.bytes)
  })
})

test('an event made by event(…) is frozen, has an id of version 7, and no data is {}', () => {
  const made = event('Paid')
  assert.ok(Object.isFrozen(made))
  assert.match(made.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(made.data, {})
  assert.notEqual(event('Paid').id, made.id)
  assert.throws(() => event('Paid', undefined), InvalidArgumentError)
})

onEach('snapshots keep values, text and bytes', async ({ open }) => {
  const store = await open()
  await store.append('s', [{ type: 'V' }, { type: 'V' }])
  await store.saveSnapshot({ stream: 's', version: 1, schema: 'text', data: new JsonText('[1.0]') })
  await store.saveSnapshot({ stream: 's', version: 2, schema: 'bytes', data: new Uint8Array([7]) })
  assert.equal((await store.loadSnapshot('s', 'text')).text, '[1.0]')
  assert.deepEqual((await store.loadSnapshot('s', 'text')).data, [1])
  assert.deepEqual(new Uint8Array((await store.loadSnapshot('s', 'bytes')).data), new Uint8Array([7]))
  assert.equal(await store.loadSnapshot('s', 'bytes', { atOrBefore: 1 }), undefined)
})
