// Runs tests/vectors/values.json through appends and reads.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { DuplicateEventError, InvalidArgumentError, JsonText, StreamkeepError } from 'streamkeep'
import { all, hex, onEach, shared } from './backends.mjs'

const vectors = JSON.parse(shared('tests/vectors/values.json'))

/** The text of a case; undefined for bytes that are not UTF-8, which a JavaScript string cannot hold. */
function textOf(given) {
  if (given.text !== undefined) return given.text
  if (given.utf16 !== undefined) return String.fromCharCode(...given.utf16)
  if (given.repeat === undefined) return undefined
  const { start = '', open = '', times, middle = '', close = '', end = '' } = given.repeat
  return start + open.repeat(times) + middle + close.repeat(times) + end
}

const tagsOf = (given) => given.tags ?? Array.from({ length: given.numbered }, (_, place) => `tag-${place + 1}`)

async function refuses(store, stream, event, { name, code, fields }, added = {}) {
  const before = await store.head()
  const error = await store.append(stream, [event]).then(() => assert.fail(`${name}: accepted`), (thrown) => thrown)
  assert.ok(error instanceof StreamkeepError, `${name}: ${error}`)
  assert.equal(error.code, code, name)
  for (const [key, value] of Object.entries({ ...fields, ...added })) assert.equal(error[key], value, `${name}: ${key}`)
  assert.equal(await store.head(), before, `${name}: something was written`)
}

/** Appends one event for each case and reads all back together, which is faster than one by one. */
async function accepts(store, cases, eventOf, check) {
  const stream = `accepted-${hex()}`
  for (const one of cases) await store.append(stream, [eventOf(one)])
  const read = await all(store.read(stream))
  assert.equal(read.length, cases.length)
  cases.forEach((one, place) => check(read[place], one))
}

onEach('the values that are taken come back as they were', async ({ open }) => {
  const store = await open()
  await accepts(store, vectors.accepted, (one) => ({ type: 'V', data: new JsonText(textOf(one)) }), (e, one) => assert.equal(e.text, textOf(one), one.name))
  await accepts(store, vectors.metadata.accepted, (one) => ({ type: 'V', metadata: textOf(one) }), (e, one) => assert.equal(e.metadataText, textOf(one), one.name))
  await accepts(store, vectors.tags.accepted, (one) => ({ type: 'V', tags: tagsOf(one) }), (e, one) => assert.deepEqual(e.tags, tagsOf(one), one.name))
})

onEach('the values that are refused are refused, and nothing is written', async ({ t, open }) => {
  const store = await open()
  for (const one of vectors.refused) {
    if (one.hex === undefined) await refuses(store, 'refused', { type: 'V', data: new JsonText(textOf(one)) }, one)
    else t.diagnostic(`SKIPPED '${one.name}': bytes that are no UTF-8 fit no string of JavaScript`)
  }
  for (const one of vectors.metadata.refused) await refuses(store, 'refused', { type: 'V', metadata: textOf(one) }, one)
  for (const one of vectors.tags.refused) await refuses(store, 'refused', { type: 'V', tags: tagsOf(one) }, one)
})

onEach('the same value is the same, and another is another', async ({ open }) => {
  const store = await open()
  const twice = async ({ a, b }) => {
    const id = randomUUID()
    await store.append('same', [{ type: 'V', id, data: new JsonText(a) }])
    return store.append('same', [{ type: 'V', id, data: new JsonText(b) }])
  }
  for (const one of vectors.same) assert.ok((await twice(one)).repeated, one.name)
  for (const one of vectors.different) await assert.rejects(twice(one), DuplicateEventError, one.name)
})

const NAMED = {
  stream: (text) => ({ stream: text, event: { type: 'V' }, read: (e) => e.stream }),
  type: (text) => ({ stream: `names-${hex()}`, event: { type: text }, read: (e) => e.type }),
  tag: (text) => ({ stream: `names-${hex()}`, event: { type: 'V', tags: [text] }, read: (e) => e.tags[0] }),
  schema: (text) => ({ stream: `names-${hex()}`, event: { type: 'V', schema: text }, read: (e) => e.schema }),
}

onEach('names are taken or refused by the same rules', async ({ open }) => {
  const store = await open()
  for (const one of vectors.names.accepted) {
    for (const kind of one.as) {
      const { stream, event, read } = NAMED[kind](textOf(one))
      await store.append(stream, [event])
      const events = await all(store.read(stream, { direction: 'backward', limit: 1 }))
      assert.equal(read(events[0]), textOf(one), `${one.name} as ${kind}`)
    }
  }
  for (const one of vectors.names.refused) {
    for (const kind of one.as) {
      const { stream, event } = NAMED[kind](textOf(one))
      await refuses(store, stream, event, one, one.code === 'limit-exceeded' ? { what: kind } : { argument: kind })
    }
  }
})

onEach('half of a surrogate pair is refused wherever text is taken', async ({ open }) => {
  const store = await open()
  const lone = 'a\ud800'
  const refused = [
    store.append(lone, [{ type: 'V' }]),
    store.append('s', [{ type: lone }]),
    store.append('s', [{ type: 'V', tags: [lone] }]),
    store.append('s', [{ type: 'V', schema: lone }]),
    store.append('s', [{ type: 'V', data: lone }]),
    store.append('s', [{ type: 'V', data: new JsonText(`"${lone}"`) }]),
    store.append('s', [{ type: 'V', metadata: { key: lone } }]),
    store.readPage({ query: { types: [lone] } }),
    store.loadSnapshot('s', lone),
    store.saveSnapshot({ stream: 's', version: 1, schema: lone, data: null }),
    all(store.read(lone)),
  ]
  for (const answer of await Promise.allSettled(refused)) assert.ok(answer.reason instanceof InvalidArgumentError, String(answer.reason))
  assert.equal(await store.head(), 0)
}, ['memory'])
