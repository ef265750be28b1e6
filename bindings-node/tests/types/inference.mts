// Compiled, never run: what the types accept, and what they refuse.
import { event, EventStore, type AnyEvent, type RecordedEvent } from 'streamkeep'

type OrderEvent = { type: 'OrderPlaced'; data: { total: number } } | { type: 'Paid'; data: Record<string, never> } | { type: 'Scan'; data: Uint8Array }

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

export async function inferred(): Promise<void> {
  await using store = await EventStore.open<OrderEvent>('memory:')
  await store.append('order-1', [{ type: 'OrderPlaced', data: { total: 1 } }, event('Paid', {}), event('OrderPlaced', { total: 2 }), event.json('Paid', '{}')], { expected: 'no-stream' })
  await store.append('order-1', [{ type: 'Scan', data: new Uint8Array(2), tags: ['a'] as const }], { expected: 3 })
  for await (const e of store.read('order-1')) {
    same<typeof e.type, OrderEvent['type']>(true)
    if (e.type === 'OrderPlaced') same<typeof e.data, { total: number }>(true)
    if (e.type === 'Scan') same<typeof e.data, Uint8Array>(true)
    same<typeof e.position, number>(true)
  }
  // @ts-expect-error -- no such type
  await store.append('order-1', [{ type: 'Shipped', data: {} }])
  // @ts-expect-error -- another type's data
  await store.append('order-1', [{ type: 'OrderPlaced', data: { sum: 1 } }])
  // @ts-expect-error -- data is missing
  await store.append('order-1', [{ type: 'OrderPlaced' }])
  // @ts-expect-error -- no such expectation
  await store.append('order-1', [event('Paid', {})], { expected: 'nothing' })
  // @ts-expect-error -- no such type to ask for
  store.readAll({ query: { types: ['Shipped'] } })
  const page = await store.readPage({ query: [{ types: ['Paid'] }, { tags: ['a'] }], limit: 10 })
  const first = page.events[0]
  if (first?.type === 'OrderPlaced') same<typeof first, RecordedEvent<'OrderPlaced', { total: number }>>(true)
}

export async function untyped(): Promise<AnyEvent> {
  const store = await EventStore.open('memory:')
  await store.append('s', [{ type: 'anything', data: [1, 'a'] }, { type: 'nothing' }, event('E', 1)])
  const snapshot = await store.loadSnapshot<{ paid: boolean }>('s', 'order/1', { atOrBefore: 2 })
  if (snapshot !== undefined) same<typeof snapshot.data, { paid: boolean }>(true)
  for await (const e of store.readAll()) return { type: e.type, data: e.data }
  await store.close()
  return { type: 'none' }
}

/** A type without data is made by `event` with a type alone, and what was recorded can be imported. */
export async function withoutData(): Promise<void> {
  const store = await EventStore.open<{ type: 'Opened' } | { type: 'Named'; data: string }>('memory:')
  await store.append('s', [event('Opened'), event('Named', 'a')])
  // @ts-expect-error -- data that was not declared
  await store.append('s', [event('Opened', { a: 1 })])
  for await (const e of store.readAll()) await store.importEvents([{ stream: e.stream, version: e.version, event: e }])
}
