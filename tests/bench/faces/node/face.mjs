// The rounds of `streamkeep-bench --face` in JavaScript: face.mjs URL RUN WORKLOAD prints one round as JSON.
//
// Data and metadata are JSON text, and the text of each event's data is read.
import { readFileSync } from 'node:fs'
import { event, EventStore } from 'streamkeep'

/** The number of events in a call of `importEvents`: one unit, one transaction. */
const CALL_EVENTS = 1_000

const [url, run, file] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: face.mjs URL RUN WORKLOAD')
  process.exit(2)
}
const workload = JSON.parse(readFileSync(file, 'utf8'))
const store = await EventStore.open(url, { namespace: `bench_${run}_${process.pid}` })
const log = await EventStore.open(url, { namespace: `bench_${run}_log` })
try {
  if ((await log.head()) === 0) await fill()
  // The second of two rounds, because the first warms up.
  await round(0)
  console.log(JSON.stringify(await round(1)))
} finally {
  await store.close()
  await log.close()
}

/** Measures every row once. */
async function round(number) {
  return {
    one_us: await one(number),
    many_per_s: await many(number),
    batch_per_s: await batches(number),
    stream_per_s: await read(log.read('long'), workload.long_stream_events),
    log_per_s: await read(log.readAll(), workload.log_events),
  }
}

function placed() {
  return event.json(workload.type, workload.data, { metadata: workload.metadata })
}

/** One event per call, one caller: the median latency in microseconds. */
async function one(number) {
  const latencies = []
  for (let n = 0; n < workload.lone_appends; n += 1) {
    const stream = `lone${number}-${n % workload.lone_streams}`
    const events = [placed()]
    const started = performance.now()
    await store.append(stream, events, { expected: Math.trunc(n / workload.lone_streams) })
    latencies.push(performance.now() - started)
  }
  latencies.sort((a, b) => a - b)
  return latencies[Math.trunc(latencies.length / 2)] * 1000
}

/** Many callers, each with its own stream: appends per second. */
async function many(number) {
  const call = async (caller) => {
    for (let version = 0; version < workload.appends_per_caller; version += 1) {
      await store.append(`many${number}-${caller}`, [placed()], { expected: version })
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: workload.callers }, (_, caller) => call(caller)))
  return rate(workload.callers * workload.appends_per_caller, started)
}

/** A hundred events of one stream per call: events per second. */
async function batches(number) {
  const started = performance.now()
  for (let n = 0; n < workload.batches; n += 1) {
    await store.append(`batch${number}-${n}`, Array.from({ length: workload.batch_events }, placed), { expected: 'no-stream' })
  }
  return rate(workload.batches * workload.batch_events, started)
}

/** Writes the log that is read: one long stream first, the rest in streams of a hundred. */
async function fill() {
  for (let first = 0; first < workload.log_events; first += CALL_EVENTS) {
    const numbers = Array.from({ length: Math.min(CALL_EVENTS, workload.log_events - first) }, (_, place) => first + place)
    await log.importEvents(numbers.map((n) => ({ stream: n < workload.long_stream_events ? 'long' : `short-${Math.trunc(n / 100)}`, event: placed() })))
  }
}

/** Reads events and their data: events per second. */
async function read(events, expected) {
  const started = performance.now()
  let [count, length] = [0, 0]
  for await (const e of events) {
    count += 1
    length += e.text.length
  }
  const figure = rate(count, started)
  if (count !== expected || length !== expected * workload.data.length) throw new Error(`${count} events with ${length} characters read`)
  return figure
}

function rate(count, started) {
  return count / ((performance.now() - started) / 1000)
}
