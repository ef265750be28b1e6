// Compiled, never run: the declarations are checked themselves, in a project without the types of Node or of browsers.
import { ConflictError, event, EventStore, RecordedEvent, recordedEvent, Snapshot, type Signal } from 'streamkeep'

export async function all(signal: Signal): Promise<number> {
  const store = await EventStore.open('memory:', { signal })
  await store.append('s', [event('Paid', {})], { signal, timeoutMs: 1000 })
  await store.importEvents([{ stream: 's', recordedAt: new Date(0), event: { type: 'Paid' } }], { signal, timeoutMs: 1000 })
  for await (const e of store.read('s', { signal })) if (e.recordedAt.getTime() > 0) return e.version
  await store.saveSnapshot(new Snapshot({ stream: 's', version: 1, schema: 'a', data: 1 }), { signal, timeoutMs: 1000 })
  await store.loadSnapshot('s', 'a', { signal, timeoutMs: 1000 })
  await store.readPage({ signal, timeoutMs: 1000 })
  await store[Symbol.asyncDispose]()
  return store.head({ signal, timeoutMs: 1000 })
}

export const error: string | undefined = new ConflictError('no', { stream: 's', expected: 1, actual: 2 }).operation

// @ts-expect-error -- a recorded event is made of its fields
new RecordedEvent('x')
// @ts-expect-error -- stream and type are needed
recordedEvent({ type: 'Paid' })
// @ts-expect-error -- a store comes from open
new EventStore('memory:')
