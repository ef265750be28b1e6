// The first program, which an empty project runs with the installed package.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConflictError, event, EventStore, JsonText } from 'streamkeep'

const folder = await mkdtemp(join(tmpdir(), 'streamkeep-'))
const store = await EventStore.open(process.env.STREAMKEEP_URL ?? `sqlite:${join(folder, 'orders.db')}`)

const placed = event.json('OrderPlaced', '{"total":12.5}')
const paid = event('OrderPaid', { amount: 12.5 })
const at = await store.append('order-42', [placed, paid], { expected: 'no-stream' })
console.log(`appended order-42 up to version ${at.version}`)

try {
  await store.append('order-42', [{ type: 'OrderPlaced' }], { expected: 'no-stream' })
  throw new Error('the append must conflict')
} catch (error) {
  if (!(error instanceof ConflictError)) throw error
  console.log(`conflict on ${error.stream}: expected ${error.expected}, actual ${error.actual}`)
}

for await (const e of store.read('order-42')) console.log(`${e.version} ${e.type} ${e.text}`)

await store.saveSnapshot({ stream: 'order-42', version: at.version, schema: 'order/1', data: new JsonText('{"paid":true}') })
const snapshot = await store.loadSnapshot('order-42', 'order/1')
console.log(`snapshot ${snapshot.schema} at version ${snapshot.version}: ${snapshot.text}`)

const stop = new AbortController()
for await (const e of store.subscribe({ signal: stop.signal, onCaughtUp: () => stop.abort() })) console.log(`event ${e.version} of ${e.stream}`)
console.log('caught up')

await store.close()
await rm(folder, { recursive: true })
console.log('closed')
