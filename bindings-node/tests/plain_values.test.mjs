// Events, recorded events and snapshots are plain values: copied, printed, compared, and made for tests.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { event, InvalidArgumentError, JsonText, RecordedEvent, recordedEvent, Snapshot } from 'streamkeep'
import { all, onEach } from './backends.mjs'

const FIELDS = ['contentType', 'data', 'id', 'metadata', 'position', 'recordedAt', 'recordedAtMicros', 'schema', 'stream', 'tags', 'type', 'version']

onEach('a spread, JSON, a structured clone and the console show all of a recorded event', async ({ open }) => {
  const store = await open()
  const sent = event('OrderPlaced', { total: 12.5 }, { metadata: { createdBy: 'amy' }, tags: ['customer:7'], schema: 'order/1' })
  await store.append('order-42', [sent, { type: 'Scan', data: new Uint8Array([1, 2]) }])
  const [read, scan] = await all(store.read('order-42'))
  assert.deepEqual(Object.keys(read).sort(), FIELDS)
  const copy = { ...read }
  const { data, metadata, type, tags, schema, id } = sent
  assert.deepEqual(
    { ...copy, recordedAt: 0, recordedAtMicros: 0, position: 0 },
    { data, metadata, type, tags, schema, id, stream: 'order-42', version: 1, position: 0, contentType: 'application/json', recordedAt: 0, recordedAtMicros: 0 },
  )
  assert.deepEqual(structuredClone(read), copy)
  assert.deepEqual(structuredClone(scan).data, new Uint8Array([1, 2]))
  assert.deepEqual(JSON.parse(JSON.stringify(read)), { ...copy, recordedAt: read.recordedAt.toISOString() })
  for (const words of ['RecordedEvent {', 'total: 12.5', "createdBy: 'amy'", "'customer:7'", 'recordedAt: 20']) assert.ok(inspect(read).includes(words), inspect(read))
  assert.equal(read.text, '{"total":12.5}')
  assert.ok(inspect({ deep: [read] }, { depth: 4 }).includes('total: 12.5'))
  assert.equal(read.data, read.data)
  assert.deepEqual(Object.entries(copy), Object.entries(read))
  assert.equal(read.metadataText, '{"createdBy":"amy"}')
})

onEach('a loaded snapshot is a plain value, and can be saved again as it is', async ({ open }) => {
  const store = await open()
  await store.append('s', [{ type: 'V' }, { type: 'V' }])
  await store.saveSnapshot({ stream: 's', version: 1, schema: 'a', data: new JsonText('{"rate": 1.0}') })
  const loaded = await store.loadSnapshot('s', 'a')
  assert.deepEqual({ ...loaded }, { stream: 's', version: 1, schema: 'a', data: { rate: 1 }, contentType: 'application/json' })
  assert.deepEqual(structuredClone(loaded), { ...loaded })
  assert.deepEqual(loaded, new Snapshot({ stream: 's', version: 1, schema: 'a', data: { rate: 1 } }))
  await store.saveSnapshot(loaded)
  assert.equal((await store.loadSnapshot('s', 'a')).text, '{"rate": 1.0}')
}, ['memory'])

test('a recorded event can be made for tests', () => {
  const made = recordedEvent({ stream: 'order-1', type: 'Paid', data: { amount: 1 } })
  assert.ok(made instanceof RecordedEvent)
  assert.deepEqual(Object.keys(made).sort(), FIELDS)
  assert.deepEqual([made.version, made.position, made.tags, made.metadata, made.schema, made.contentType], [1, 1, [], {}, undefined, 'application/json'])
  assert.match(made.id, /^[0-9a-f]{8}-/)
  assert.ok(Math.abs(made.recordedAt.getTime() - Date.now()) < 60_000)
  const recordedAt = new Date('2026-03-02T08:02:50.123Z')
  const all = { stream: 's', version: 3, position: 9, id: made.id, type: 'T', data: 'x', metadata: { a: 1 }, tags: ['t'], schema: 's/1', recordedAt }
  const whole = recordedEvent(all)
  assert.deepEqual({ ...whole }, { ...all, contentType: 'application/json', recordedAtMicros: recordedAt.getTime() * 1000 })
  assert.deepEqual(recordedEvent({ ...whole }), whole)
  assert.equal(recordedEvent({ ...all, recordedAtMicros: recordedAt.getTime() * 1000 + 7 }).recordedAt.getTime(), recordedAt.getTime())
  assert.deepEqual(recordedEvent({ stream: 's', type: 'B', data: Buffer.from([1]) }).bytes, new Uint8Array([1]))
  assert.equal(new RecordedEvent({ stream: 's', type: 'T', data: new JsonText('[1.0]') }).text, '[1.0]')
})

test('what a recorded event or a snapshot cannot be made of is refused', () => {
  for (const fields of [undefined, null, 'x', 1, [], new Map()]) {
    assert.throws(() => recordedEvent(fields), InvalidArgumentError)
    assert.throws(() => new RecordedEvent(fields), InvalidArgumentError)
    assert.throws(() => new Snapshot(fields), InvalidArgumentError)
  }
  const wrong = { stream: 1, type: undefined, version: 1.5, position: '1', id: 2, tags: 'a', schema: 0, recordedAt: '2026-01-01', recordedAtMicros: 1.5, metadata: new Map(), unknown: 1 }
  for (const [name, value] of Object.entries(wrong)) {
    assert.throws(() => recordedEvent({ stream: 's', type: 'T', [name]: value }), (error) => error instanceof InvalidArgumentError && error.argument === name, name)
  }
})

onEach('an event is encoded once, when it is made', async ({ open }) => {
  const store = await open()
  const data = { total: 1, lines: [{ sku: 'a' }] }
  const [metadata, tags, bytes] = [{ createdBy: 'amy' }, ['x'], new Uint8Array([1, 2])]
  const sent = [event('OrderPlaced', data, { metadata, tags }), event('Scan', bytes), event('At', new Date(0)), event.json('Text', '[1.0]')]
  await store.append('s', sent)
  data.lines[0].sku = 'b'
  data.total = NaN
  metadata.createdBy = 'bob'
  tags.push('y')
  bytes[0] = 9
  assert.ok((await store.append('s', sent)).repeated)
  assert.deepEqual(sent[0].data, { total: 1, lines: [{ sku: 'a' }] })
  sent[0].data.total = 2
  sent[0].metadata.createdBy = 'eve'
  sent[1].data[1] = 9
  assert.ok((await store.append('s', sent)).repeated)
  const read = await all(store.read('s'))
  assert.deepEqual(read.map((e) => e.text), ['{"total":1,"lines":[{"sku":"a"}]}', undefined, '"1970-01-01T00:00:00.000Z"', '[1.0]'])
  assert.deepEqual([read[0].metadata, read[0].tags, read[1].data], [{ createdBy: 'amy' }, ['x'], new Uint8Array([1, 2])])
})

onEach('an event that counts how often it is encoded is encoded once', async ({ open }) => {
  const store = await open()
  let times = 0
  const counting = { toJSON: () => ({ times: (times += 1) }) }
  const sent = event('V', counting, { metadata: counting })
  assert.equal(times, 2)
  await store.append('s', [sent])
  assert.ok((await store.append('s', [sent])).repeated)
  assert.equal(times, 2)
}, ['memory'])

onEach('a recorded event that is appended again is refused, with the way to make a new one', async ({ open }) => {
  const store = await open()
  await store.append('s', [{ type: 'V', data: { a: 1 } }])
  const [read] = await all(store.read('s'))
  for (const again of [read, { ...read }, structuredClone(read), recordedEvent({ stream: 's', type: 'V' })]) {
    await assert.rejects(store.append('s', [again]), (error) => error instanceof InvalidArgumentError && error.argument === 'events' && error.message.includes('event(recorded.type, recorded.data'))
  }
  assert.equal(await store.head(), 1)
  await store.append('s', [event(read.type, read.data)])
  assert.equal((await store.importEvents([{ stream: 's', version: 1, event: read }])).passedOver, 1)
}, ['memory'])
