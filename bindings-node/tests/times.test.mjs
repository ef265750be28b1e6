// Times of imports, in the years 1 to 9999.
import assert from 'node:assert/strict'
import { InvalidArgumentError } from 'streamkeep'
import { all, onEach } from './backends.mjs'

const TIMES = ['0001-01-01T00:00:00.000Z', '0001-01-01T00:00:00.001Z', '1066-10-14T09:00:00.123Z', '1683-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00.000Z', '2026-03-02T08:02:50.123Z', '2256-01-01T00:00:00.001Z', '9999-12-31T23:59:59.999Z']

onEach('a time of the years 1 to 9999 comes back to the millisecond', async ({ open }) => {
  const [store, copy] = [await open(), await open()]
  await store.importEvents(TIMES.map((time) => ({ stream: 's', recordedAt: new Date(time), event: { type: 'V' } })))
  const read = await all(store.read('s'))
  assert.deepEqual(read.map((e) => e.recordedAt.toISOString()), TIMES)
  for (const e of read) assert.ok(Math.abs(e.recordedAtMicros - e.recordedAt.getTime() * 1000) <= 16, e.recordedAt.toISOString())
  await copy.importEvents(read.map((e) => ({ stream: 's', recordedAtMicros: e.recordedAtMicros, event: e })))
  const copied = await all(copy.read('s'))
  assert.deepEqual(copied.map((e) => e.recordedAtMicros), read.map((e) => e.recordedAtMicros))
})

onEach('a time outside of them is refused, and so is what is no time', async ({ open }) => {
  const store = await open()
  const dates = [new Date('0000-12-31T23:59:59.999Z'), new Date(-8.64e15), new Date(8.64e15), new Date(253402300800000), new Date(NaN), '2026-03-02T08:02:50Z', 1772438570000, 0n, null, {}, { getTime: () => 0 }, [], true]
  for (const recordedAt of dates) {
    const importing = store.importEvents([{ stream: 's', recordedAt, event: { type: 'V' } }])
    await assert.rejects(importing, (error) => error instanceof InvalidArgumentError && error.argument === 'recordedAt' && /valid Date|years 1 to 9999/.test(error.message), String(recordedAt))
  }
  for (const recordedAtMicros of [1.5, NaN, Infinity, 2 ** 62, -(2 ** 62), 1e300, '0', 0n, null, {}]) {
    const importing = store.importEvents([{ stream: 's', recordedAtMicros, event: { type: 'V' } }])
    await assert.rejects(importing, (error) => error instanceof InvalidArgumentError && /whole number of microseconds|years 1 to 9999/.test(error.message), String(recordedAtMicros))
  }
  assert.equal(await store.head(), 0)
}, ['memory'])
