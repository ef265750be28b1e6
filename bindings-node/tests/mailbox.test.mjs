// The native module answers many calls at once. The probe's calls stand in for those of a store: they are answered at
// once, panic, or have a result that JavaScript cannot have.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { event, InternalError, InvalidArgumentError } from 'streamkeep'
import { onEach, until } from './backends.mjs'

const require = createRequire(import.meta.url)
const ours = (file) => require(require.resolve('streamkeep').replace(/index\.js$/, file))
const { Mailbox } = ours('mailbox.js')
const { CallSite } = ours('calls.js')
const probe = require(process.env.STREAMKEEP_PANIC_PROBE)

/** A mailbox of the probe, with every list of answers that JavaScript was given. */
function probed() {
  const lists = []
  const native = new probe.NativeMailbox()
  native.hold((answers) => lists.push(answers))
  return { native, lists, answers: () => lists.flat() }
}

test('many results wake JavaScript once', async () => {
  const { native, lists } = probed()
  for (let number = 1; number <= 1000; number += 1) probe.echo(native, number)
  assert.equal(lists.length, 0, 'no answer comes before its call has returned')
  await until('the answers are there', () => lists.length > 0)
  native.release()
  assert.equal(lists.length, 1)
  assert.deepEqual(lists[0], Array.from({ length: 1000 }, (_, i) => [i + 1, i + 1, null]).flat())
})

test('a call that panics, or has a result that JavaScript cannot have, loses no other answer', async () => {
  const { native, answers } = probed()
  const calls = [probe.echo, probe.panicLater, probe.echo, probe.answerTooMuch, probe.panicInAnswer, probe.echo]
  calls.forEach((call, number) => call(native, number))
  await until('all answers are there', () => answers().length === 3 * calls.length)
  native.release()
  const found = answers()
  const results = calls.map((_, at) => found.slice(3 * at, 3 * at + 3))
  assert.deepEqual(results.filter(([, , error]) => error === null), [[0, 0, null], [2, 2, null], [5, 5, null]])
  for (const number of [1, 3, 4]) {
    const [, result, error] = results[number]
    assert.deepEqual([result, JSON.parse(error).code], [null, 'internal'], `call ${number}`)
  }
  assert.match(results[3][2], /as great as this result/)
})

test('a result that cannot be taken rejects its own call, and the others get theirs', async () => {
  const mailbox = new Mailbox(new probe.NativeMailbox())
  const call = (start, convert) => mailbox.call(new CallSite('test'), undefined, () => (number) => start(mailbox.native, number), convert)
  const broken = () => {
    throw new Error('out of order')
  }
  const settled = await Promise.allSettled([call(probe.echo, String), call(probe.echo, broken), call(probe.panicLater, String), call(probe.echo, String)])
  assert.deepEqual(settled.map(({ value }) => value), ['1', undefined, undefined, '4'])
  const [, { reason: first }, { reason: second }] = settled
  assert.ok(first instanceof InternalError && first.cause.message === 'out of order' && first.operation === 'test', first)
  assert.ok(second instanceof InternalError && second.message.includes('panicked'), second)
})

test('the event loop is held exactly while calls wait', async () => {
  const native = new probe.NativeMailbox()
  const log = []
  const watched = {
    hold: (settle) => (log.push('hold'), native.hold(settle)),
    release: () => (log.push('release'), native.release()),
    abandon: (number) => (log.push('abandon'), native.abandon(number)),
  }
  const mailbox = new Mailbox(watched)
  const call = (start, options) => mailbox.call(new CallSite('test'), options, () => start, (number) => number)
  const echo = (number) => probe.echo(native, number)
  assert.deepEqual(await Promise.all([call(echo), call(echo)]), [1, 2])
  assert.deepEqual(log.splice(0), ['hold', 'release'])
  const refused = () => {
    throw new TypeError('a string is missing')
  }
  await assert.rejects(call(refused), InvalidArgumentError)
  assert.deepEqual(log.splice(0), ['hold', 'release'])
  const stop = new AbortController()
  const never = call(() => undefined, { signal: stop.signal })
  stop.abort(new RangeError('gone'))
  await assert.rejects(never, RangeError)
  assert.deepEqual(log.splice(0), ['hold', 'release', 'abandon'])
  assert.equal(await call(echo, { signal: new AbortController().signal }), 5)
})

test('a signal that many calls have used has no listeners left', async () => {
  const { signal } = new AbortController()
  const { getEventListeners } = require('node:events')
  const mailbox = new Mailbox(new probe.NativeMailbox())
  const calls = Array.from({ length: 9 }, () => mailbox.call(new CallSite('test'), { signal }, () => (number) => probe.echo(mailbox.native, number), Number))
  assert.equal(getEventListeners(signal, 'abort').length, 1)
  await Promise.all(calls)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

onEach('appends to one stream settle in the order of their versions', async ({ open }) => {
  const store = await open()
  const versions = []
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(Array.from({ length: 32 }, async (_, caller) => versions.push((await store.append('one', [event('E', { caller })])).version)))
  }
  assert.deepEqual(versions, Array.from({ length: 320 }, (_, i) => i + 1))
}, ['memory', 'sqlite'])
