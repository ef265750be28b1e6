// The demo: imports a log of JSON Lines, reads it back, folds it with and without a snapshot, follows it.
//
// Results go to standard output, speeds to standard error.
import cliProgress from 'cli-progress'
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { event, EventStore, JsonText } from 'streamkeep'
import { microseconds, sliceOf } from './json_lines.mjs'

/** The number of events in a call of `importEvents`: one unit, one transaction. */
const CALL_EVENTS = 1_000
/** The schema of the demo's snapshots. */
const SCHEMA = 'count-by-type/1'
/** The namespace of URLs in UUIDs of version 5. */
const NAMESPACE_URL = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex')

const [url, file] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: demo.mjs URL FILE')
  process.exit(2)
}
const store = await EventStore.open(url)
try {
  const streams = await importFile()
  await foldLongest(streams)
  await follow()
} finally {
  await store.close()
}

/** Imports the file and returns how many events each stream has. */
async function importFile() {
  const source = createReadStream(file)
  const bar = new cliProgress.SingleBar({ format: 'importing {bar} {percentage}% {duration_formatted}', stream: process.stderr, clearOnComplete: true })
  bar.start(statSync(file).size, 0)
  source.on('data', () => bar.update(source.bytesRead))
  const input = file.endsWith('.gz') ? source.pipe(createGunzip()) : source
  const started = performance.now()
  const versions = new Map()
  let [imported, passedOver, call] = [0, 0, []]
  const send = async () => {
    const done = await store.importEvents(call)
    imported += done.imported
    passedOver += done.passedOver
    call = []
  }
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    call.push(importEvent(line, versions))
    if (call.length === CALL_EVENTS) await send()
  }
  if (call.length > 0) await send()
  bar.stop()
  console.log(`imported ${imported}, passed over ${passedOver}, streams ${versions.size}`)
  report('import', imported + passedOver, started)
  return versions
}

/** Makes the event of a line. Its id depends on its stream and version, so that the same file can be imported again. */
function importEvent(line, versions) {
  const { stream, type, time, metadata, tags } = JSON.parse(line)
  const version = (versions.get(stream) ?? 0) + 1
  versions.set(stream, version)
  const options = { id: uuid5(`streamkeep:${stream}#${version}`), tags }
  if (metadata !== undefined) options.metadata = sliceOf(line, 'metadata')
  return { stream, version, recordedAtMicros: microseconds(time), event: event.json(type, sliceOf(line, 'data'), options) }
}

function uuid5(name) {
  const bytes = createHash('sha1').update(NAMESPACE_URL).update(name).digest().subarray(0, 16)
  bytes[6] = (bytes[6] & 0x0f) | 0x50
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Folds the longest stream from its first event and from a snapshot, with the same result. */
async function foldLongest(streams) {
  const byLengthThenName = ([a, m], [b, n]) => n - m || Buffer.compare(Buffer.from(a), Buffer.from(b))
  const longest = [...streams].sort(byLengthThenName)[0]
  if (longest === undefined) throw new Error('the file has no events')
  const [stream, length] = longest
  let started = performance.now()
  const whole = await fold(stream, {}, new Map())
  report('fold from the first event', whole.events, started)
  if (whole.events !== length) throw new Error(`${stream} has ${whole.events} events instead of ${length}`)
  console.log(`longest ${stream} with ${length} events, fold ${written(whole.state)}`)

  const version = Math.max(Math.trunc((length * 9) / 10), 1)
  const early = await fold(stream, { toVersion: version }, new Map())
  await store.saveSnapshot({ stream, version, schema: SCHEMA, data: new JsonText(written(early.state)) })

  started = performance.now()
  const snapshot = await store.loadSnapshot(stream, SCHEMA)
  if (snapshot === undefined) throw new Error('the saved snapshot is not found')
  const again = await fold(stream, { fromVersion: snapshot.version + 1 }, new Map(Object.entries(snapshot.data)))
  report('fold from a snapshot', again.events, started)
  if (written(again.state) !== written(whole.state)) throw new Error('the fold from a snapshot differs')
  console.log(`the same from a snapshot at version ${snapshot.version} and ${again.events} events`)
}

async function fold(stream, bounds, state) {
  let events = 0
  for await (const e of store.read(stream, bounds)) {
    state.set(e.type, (state.get(e.type) ?? 0) + 1)
    events += 1
  }
  return { state, events }
}

/** Compact JSON, sorted by type. JSON.stringify would put keys that look like numbers first. */
function written(state) {
  const byType = [...state].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${byType.map(([type, count]) => `${JSON.stringify(type)}:${count}`).join(',')}}`
}

/** Follows the log from its beginning until the subscription has caught up. */
async function follow() {
  const started = performance.now()
  const stop = new AbortController()
  let [last, count] = [0, 0]
  for await (const e of store.subscribe({ signal: stop.signal, onCaughtUp: () => stop.abort() })) {
    if (e.position <= last) throw new Error(`position ${e.position} came after ${last}`)
    last = e.position
    count += 1
  }
  console.log(`followed ${count} events in order`)
  report('follow', count, started)
}

function report(what, events, started) {
  const seconds = (performance.now() - started) / 1000
  console.error(`${what}: ${events} events in ${seconds.toFixed(3)} s, ${Math.round(events / seconds)} events/s`)
}
