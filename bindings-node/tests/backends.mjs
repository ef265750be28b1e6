// The backends that the tests run on, each with new stores.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { EventStore } from 'streamkeep'

// The variables that name a server of each kind to test on.
const SERVERS = { postgres: 'STREAMKEEP_TEST_POSTGRES_URL', mongodb: 'STREAMKEEP_TEST_MONGODB_URL' }
const root = process.env.STREAMKEEP_ROOT
if (root === undefined) throw new Error('STREAMKEEP_ROOT must name the repository')

export const BACKENDS = ['memory', 'sqlite', ...Object.keys(SERVERS)]
export const shared = (path) => readFileSync(join(root, path), 'utf8')
export const rootPath = (path) => join(root, path)
export const hex = () => randomBytes(6).toString('hex')

/** Why a backend cannot be tested, or false. */
export const missing = (backend) => backend in SERVERS && process.env[SERVERS[backend]] === undefined && `${SERVERS[backend]} is not set`

/** The base URL of one test, and its clean-up. */
export function place(backend) {
  if (backend === 'memory') return { url: `memory:t${hex()}`, free: () => undefined }
  if (backend in SERVERS) return { url: process.env[SERVERS[backend]], free: () => undefined }
  const folder = mkdtempSync(join(tmpdir(), 'streamkeep-test-'))
  return { url: `sqlite:${join(folder, 'test.db')}`, free: () => rmSync(folder, { recursive: true }) }
}

/** Runs a case on each backend. A missing backend is skipped with the reason. */
export function onEach(name, body, backends = BACKENDS) {
  for (const backend of backends) {
    test(`${backend}: ${name}`, { skip: missing(backend), timeout: 120_000 }, async (t) => {
      const { url, free } = place(backend)
      const opened = []
      const open = async (options = {}) => {
        const store = await EventStore.open(url, { namespace: options.namespace ?? `t_${hex()}`, ...options })
        opened.push(store)
        return store
      }
      try {
        await body({ t, url, open, backend })
      } finally {
        await Promise.all(opened.map((store) => store.close()))
        free()
      }
    })
  }
}

export async function all(events) {
  const list = []
  for await (const e of events) list.push(e)
  return list
}

/** Waits until a condition holds, which is checked with each turn of the event loop; fails at the deadline. */
export async function until(what, holds, deadlineMs = 10_000) {
  const deadline = performance.now() + deadlineMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Random numbers from 0 to 1; the same seed gives the same numbers (mulberry32). */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
