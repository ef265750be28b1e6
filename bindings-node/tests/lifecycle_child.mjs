// The child processes of lifecycle.test.mjs.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { EventStore, setLogger } from 'streamkeep'

const here = fileURLToPath(import.meta.url)
const namespace = 'lifecycle'

const PROGRAMS = {
  /** Sets a logger, opens a store, subscribes until it has caught up, and then has nothing more to do. */
  async idle(url) {
    setLogger(() => undefined)
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

  /** Each worker is terminated while a thousand of its calls wait. */
  async thousands(url) {
    const store = await EventStore.open(url, { namespace })
    for (let round = 0; round < 20; round += 1) {
      const worker = new Worker(here, { workerData: { work: 'thousand', url, round } })
      await once(worker, 'message')
      await worker.terminate()
      await store.append('after', [{ type: 'E' }])
    }
    await store.close()
    console.log('20 terminated')
  },

  /** Ends while a thousand calls wait. */
  async exitOfThousand(url) {
    const store = await EventStore.open(url, { namespace })
    await Promise.race(thousand(store, process.pid))
    process.exit(7)
  },

  /** Has nothing more to do after an append was aborted, and a read of what never comes. */
  async aborted(url) {
    const store = await EventStore.open(url, { namespace })
    const stop = new AbortController()
    const appending = store.append('s', [{ type: 'E' }], { signal: stop.signal })
    const live = store.subscribe({ start: 'now', signal: stop.signal })
    const end = live.next()
    stop.abort()
    await appending.catch(() => undefined)
    console.log('ready', (await end).done)
    globalThis.kept = [store, live]
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

  async thousand(url, round) {
    const store = await EventStore.open(url, { namespace })
    const calls = thousand(store, round)
    await Promise.race(calls)
    parentPort.postMessage('at work')
    await Promise.all(calls)
  },

  async late(url) {
    const store = await EventStore.open(url, { namespace })
    await store.append('late', [{ type: 'Late' }])
    await store.close()
  },
}

const thousand = (store, of) => Array.from({ length: 1000 }, (_, call) => (call % 10 === 9 ? store.head() : store.append(`s-${of}-${call}`, [{ type: 'E' }])))

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
else await WORKERS[workerData.work](workerData.url, workerData.round)
