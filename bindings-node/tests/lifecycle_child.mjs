// The child processes of lifecycle.test.mjs.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { EventStore } from 'streamkeep'

const here = fileURLToPath(import.meta.url)
const namespace = 'lifecycle'

const PROGRAMS = {
  /** Opens a store, subscribes until it has caught up, and then has nothing more to do. */
  async idle(url) {
    const store = await EventStore.open(url, { namespace })
    await store.append('s', [{ type: 'E' }])
    const live = store.subscribe()
    await live.next()
    const never = store.subscribe()
    console.log('ready', live === never)
    globalThis.kept = [store, live, never]
  },

  /** Awaits an event that a worker thread appends when nothing else keeps the main thread alive. */
  async awaited(url) {
    const shared = url === 'memory:' ? 'memory:shared' : url
    const store = await EventStore.open(shared, { namespace })
    const live = store.subscribe({ start: 'now', query: { types: ['Late'] }, onCaughtUp: () => late(shared) })
    const { value } = await live.next()
    console.log(`got ${value.type}`)
    await store.close()
  },

  async workers(url) {
    for (let round = 0; round < 50; round += 1) {
      const worker = new Worker(here, { workerData: { work: 'storm', url } })
      await once(worker, 'message')
      await worker.terminate()
    }
    const store = await EventStore.open(url, { namespace })
    await store.append('after', [{ type: 'E' }])
    await store.close()
    console.log('50 terminated')
  },

  async exit(url) {
    const store = await EventStore.open(url, { namespace })
    void storm(store)
    for await (const e of store.subscribe({ query: { types: ['E'] } })) if (e.position > 0) process.exit(7)
  },
}

const WORKERS = {
  /** Works until it is terminated. */
  async storm(url) {
    const store = await EventStore.open(url, { namespace })
    const live = store.subscribe({ start: 'now' })
    void live.next().catch(() => undefined)
    await storm(store, () => parentPort.postMessage('at work'))
  },

  async late(url) {
    const store = await EventStore.open(url, { namespace })
    await store.append('late', [{ type: 'Late' }])
    await store.close()
  },
}

async function storm(store, begun = () => undefined) {
  for (let round = 0; ; round += 1) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => store.append(`s-${i}`, [{ type: 'E' }])))
    await store.readPage({ limit: 10 })
    if (round === 0) begun()
  }
}

/** The worker thread does not keep the process alive; only the awaited next() does. */
function late(url) {
  console.log('ready')
  new Worker(here, { workerData: { work: 'late', url } }).unref()
}

if (isMainThread) await PROGRAMS[process.argv[2]](process.argv[3])
else await WORKERS[workerData.work](workerData.url)
