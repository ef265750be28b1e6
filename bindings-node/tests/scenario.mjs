// Runs a scenario of tests/scenarios, whose README describes the format.
import assert from 'node:assert/strict'
import { EventIterator, EventStore, JsonText, RecordedEvent, Snapshot } from 'streamkeep'
import { all, hex, shared } from './backends.mjs'

const camel = (name) => name.replace(/_[a-z]/g, (found) => found.slice(1).toUpperCase())
const STEP_KEYS = ['op', 'args', 'on', 'expect', 'error', 'save', 'as', 'take', 'when_caught_up']
const DEADLINE_MS = 30_000

const surface = JSON.parse(shared('generate/surface.json'))

/** Refuses unknown keys, so that a scenario with a mistake cannot pass. */
function known(object, keys, where) {
  for (const key of Object.keys(object)) if (!keys.includes(key)) throw new Error(`${where}: unknown key '${key}'`)
  return object
}

function renamed(object, renames = {}) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [renames[key] ?? camel(key), value]))
}

const dataIn = (data) => (typeof data === 'string' ? new JsonText(data) : Buffer.from(known(data, ['base64'], 'data').base64, 'base64'))

function eventIn(given) {
  known(given, ['type', 'data', 'metadata', 'tags', 'id', 'schema'], 'event')
  return 'data' in given ? { ...given, data: dataIn(given.data) } : given
}

function importIn(given) {
  known(given, ['stream', 'version', 'recorded_at', 'event'], 'event to import')
  return { ...renamed(given, { recorded_at: 'recordedAtMicros' }), event: eventIn(given.event) }
}

const snapshotIn = (given) => ({ ...known(given, ['stream', 'version', 'schema', 'data'], 'snapshot'), data: dataIn(given.data) })

/** How a scenario's values are converted, by their types. */
const CONVERT = { 'event[]': (events) => events.map(eventIn), 'import_event[]': (events) => events.map(importIn), snapshot: snapshotIn }

/** The arguments of an operation in their order, then its options, as the description has them. */
function taken(operation, args) {
  const entry = surface.store[operation]
  const named = ({ name, type }) => (type === 'duration' ? `${name}_ms` : name)
  const options = entry.options.filter(({ only, type }) => (only === undefined || only.includes('node')) && !['signal', 'callback'].includes(type))
  known(args, [...entry.arguments, ...options].map(named), operation)
  const value = (one) => (CONVERT[one.type] ?? ((same) => same))(args[named(one)])
  const given = options.filter((option) => named(option) in args).map((option) => [camel(named(option)), value(option)])
  return [...entry.arguments.map(value), Object.fromEntries(given)]
}

/** An answer in the form of the scenarios. */
async function told(answer) {
  if (answer instanceof EventIterator) return (await all(answer)).map(eventOut)
  if (answer === undefined || answer === null || typeof answer !== 'object') return answer ?? null
  if (answer instanceof RecordedEvent) return eventOut(answer)
  if (answer instanceof Snapshot) return { stream: answer.stream, version: answer.version, schema: answer.schema, data: dataOut(answer) }
  if (Array.isArray(answer)) return Promise.all(answer.map(told))
  const fields = await Promise.all(Object.entries(snake(answer)).map(async ([name, value]) => [name, await told(value)]))
  return Object.fromEntries(fields)
}

const dataOut = (content) => content.text ?? { base64: Buffer.from(content.data).toString('base64') }

function eventOut(e) {
  const { stream, version, position, id, type, tags, schema } = e
  return { stream, version, position, id, type, tags: [...tags], schema, data: dataOut(e), metadata: e.metadataText, content_type: e.contentType, recorded_at: e.recordedAtMicros }
}

const snake = (object) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), value]))

export class Run {
  handles = new Map()
  saved = new Map()

  constructor(base) {
    this.base = base
    this.namespace = `s_${hex()}`
  }

  async all(scenario) {
    known(scenario, ['name', 'steps', 'open'], 'scenario')
    let timer
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error('the scenario took more than 30 s')), DEADLINE_MS)))
    try {
      await Promise.race([this.steps([{ op: 'open', args: scenario.open ?? {}, as: 'store' }, ...scenario.steps]), late])
    } finally {
      clearTimeout(timer)
      await Promise.all([...this.handles.values()].map((store) => store.close()))
    }
  }

  async steps(steps) {
    for (const [place, step] of steps.entries()) {
      try {
        await this.step(step)
      } catch (error) {
        error.message = `step ${place} (${step.op}): ${error.message}`
        throw error
      }
    }
  }

  async step(step) {
    known(step, STEP_KEYS, 'step')
    assert.ok(Object.hasOwn(surface.store, step.op), `unknown operation '${step.op}'`)
    const args = this.filled(step.args ?? {})
    if ('error' in step) {
      const error = await this.call(step, args).then(() => assert.fail('it did not fail'), (thrown) => thrown)
      if (error instanceof assert.AssertionError) throw error
      this.agree({ ...snake(error), message: error.message }, this.errorExpected(step.error), 'error')
      return
    }
    const answer = await this.call(step, args)
    if (step.save !== undefined) this.saved.set(step.save, answer)
    if ('expect' in step) this.agree(answer, this.filled(step.expect), 'answer')
  }

  /** The name of an argument is in the language's own case. */
  errorExpected(error) {
    const filled = this.filled(error)
    return typeof filled.argument === 'string' ? { ...filled, argument: camel(filled.argument) } : filled
  }

  async call(step, args) {
    if (step.op === 'open') return this.open(step, args)
    const store = this.handles.get(step.on ?? 'store') ?? assert.fail(`no handle '${step.on}'`)
    const given = taken(step.op, args)
    return step.op === 'subscribe' ? this.subscribe(step, store, given[0]) : told(await store[camel(step.op)](...given))
  }

  async open(step, { url = '', namespace, ...args }) {
    const own = namespace === undefined ? this.namespace : `${this.namespace}_${namespace}`
    const added = this.base.includes('?') ? url.replace('?', '&') : url
    const [, options] = taken('open', { ...args, url })
    this.handles.set(step.as, await EventStore.open(this.base + added, { ...options, namespace: own }))
    return null
  }

  async subscribe(step, store, options) {
    const stop = new AbortController()
    const events = []
    let told = false
    const onCaughtUp = async () => {
      if (!told && step.when_caught_up !== undefined) await this.steps(step.when_caught_up)
      told = true
      if (step.take === undefined) stop.abort()
    }
    for await (const e of store.subscribe({ ...options, signal: stop.signal, onCaughtUp })) {
      events.push(eventOut(e))
      if (events.length === step.take) break
    }
    return events
  }

  /** Replaces the names of saved answers with the answers. */
  filled(value) {
    if (Array.isArray(value)) return value.map((one) => this.filled(one))
    if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.filled(one)]))
    if (typeof value !== 'string' || !value.startsWith('$')) return value
    if (value.startsWith('$$')) return value.slice(1)
    const [name, ...path] = value.slice(1).split('.')
    if (!this.saved.has(name)) throw new Error(`nothing was saved as '${name}'`)
    return path.reduce((answer, key) => {
      if (typeof answer !== 'object' || answer === null || !(key in answer)) throw new Error(`'${value}' is not in the saved answer`)
      return answer[key]
    }, this.saved.get(name))
  }

  agree(actual, expected, where) {
    if (expected === null) {
      assert.ok(actual === null || actual === undefined, `${where}: ${JSON.stringify(actual)} instead of nothing`)
    } else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), `${where}: no list`)
      assert.equal(actual.length, expected.length, `${where}: length ${actual.length} instead of ${expected.length}`)
      expected.forEach((one, place) => this.agree(actual[place], one, `${where}[${place}]`))
    } else if (typeof expected === 'object') {
      assert.ok(typeof actual === 'object' && actual !== null, `${where}: no object`)
      for (const [key, one] of Object.entries(expected)) this.agree(actual[key], one, `${where}.${key}`)
    } else {
      assert.equal(actual, expected, `${where}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
    }
  }
}
