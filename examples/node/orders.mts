// Orders: append, read, follow, with the application's events as types.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { event, EventStore } from 'streamkeep'

type OrderEvent = { type: 'OrderPlaced'; data: { total: number } } | { type: 'Paid'; data: Record<string, never> }

const folder = await mkdtemp(join(tmpdir(), 'streamkeep-'))
const url = process.env['STREAMKEEP_URL'] ?? `sqlite:${join(folder, 'orders.db')}`

const store = await EventStore.open<OrderEvent>(url) // `await using store = …` where the compiler or Node has it
try {
  const at = await store.append('order-42', [{ type: 'OrderPlaced', data: { total: 12.5 } }], { expected: 'no-stream' })
  for await (const e of store.read('order-42', { fromVersion: 1 })) {
    if (e.type === 'OrderPlaced') console.log(e.version, e.type, e.data.total)
  }
  for await (const e of store.readAll({ query: { types: ['OrderPlaced'] }, after: 0, limit: 100 })) console.log(e.position === at.position)
  const stop = new AbortController()
  const paid = event('Paid', {}) // has its id: the same object can be sent again after an abort
  await store.append('order-42', [paid], { expected: at.version, signal: stop.signal })
  const orders = store.subscribe({ query: { categories: ['order'] }, start: 'beginning', signal: stop.signal, onCaughtUp: () => stop.abort() })
  for await (const e of orders) console.log(e.stream, e.version)
} finally {
  await store.close()
  await rm(folder, { recursive: true })
}
