import { invalidArgument } from './errors.js'
import { count, texts } from './events.js'
import { wellFormed } from './json.js'
import type { NativeReadOptions } from './native.js'

/** How to open a store. Each option can also be a parameter of the URL, under its snake_case name. */
export interface OpenOptions {
  /** The namespace: a separate log inside the database, named `[a-z][a-z0-9_]{0,39}`. The default is `default`. */
  namespace?: string | undefined
  /** Whether opening creates what is missing. If not, opening never writes. The default is true. */
  create?: boolean | undefined
  /** How durable an acknowledged append is. With `full`, the default, a server that can lose it is refused. */
  durability?: 'full' | 'relaxed' | undefined
  /** How long an operation may take if it has no timeout of its own. The default is 30,000. */
  timeoutMs?: number | undefined
  /** After which time a subscription looks again without a notification. The default is 250. */
  pollIntervalMs?: number | undefined
  /** The most connections of the pool. The default is 10; 1 is enough for everything. */
  maxConnections?: number | undefined
  /** Whether a connection to another machine may be unencrypted, or its host unverified. The default is false. */
  insecure?: boolean | undefined
}

/** The expected version of an append: a version, or one of these. */
export type Expected = number | 'any' | 'no-stream' | 'stream-exists'

/** How to append. */
export interface AppendOptions {
  /** The expected version of the stream. The default is `any`. */
  expected?: Expected | undefined
  /** How long it may take, waiting included. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /**
   * Withdraws the append if it still waits; one that was sent runs to its end. The call rejects with the signal's
   * reason.
   */
  signal?: AbortSignal | undefined
}

/** The direction of a read. The bounds are the lowest and the highest in both directions. */
export type Direction = 'forward' | 'backward'

interface Reading {
  /** The direction. The default is `forward`. */
  direction?: Direction | undefined
  /** The most events. By default there is no limit; 0 is refused. */
  limit?: number | undefined
  /** How long each page may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the iteration without an error. */
  signal?: AbortSignal | undefined
}

/** Which part of a stream to read. */
export interface ReadOptions extends Reading {
  /** The lowest version, inclusive. The default is 1. */
  fromVersion?: number | undefined
  /** The highest version, inclusive. By default there is no bound. */
  toVersion?: number | undefined
}

/** One item of a query. An event must satisfy all four lists; an absent or empty one restricts nothing. */
export interface QueryItem<T extends string = string> {
  /** The event's type is one of these. */
  types?: readonly T[] | undefined
  /** The event has all of these. */
  tags?: readonly string[] | undefined
  /** The stream's category (its name before the first `-`) is one of these. */
  categories?: readonly string[] | undefined
  /** The stream is one of these. */
  streams?: readonly string[] | undefined
}

/** Selects events: an item, or up to 64 items of which one must match. Without items it matches everything. */
export type Query<T extends string = string> = QueryItem<T> | readonly QueryItem<T>[]

/** Which part of the log to read. */
export interface ReadAllOptions<T extends string = string> extends Reading {
  /** Only positions above this. The default is 0. */
  after?: number | undefined
  /** Only positions below this. By default there is no bound. */
  before?: number | undefined
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
}

/** Which page of the log to read. */
export interface ReadPageOptions<T extends string = string> {
  /** Only positions above this. The default is 0. */
  after?: number | undefined
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** The most events: at most 1,000, which is the default. 0 is refused. */
  limit?: number | undefined
  /** How long it may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
}

/** What to subscribe to. */
export interface SubscribeOptions<T extends string = string> {
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** Where to begin: `beginning` (the default), or `now`, the head at the first pull. Not together with `after`. */
  start?: 'beginning' | 'now' | undefined
  /** Only positions above this. Not together with `start`. */
  after?: number | undefined
  /** Called and awaited when everything that was committed so far was given and handled. */
  onCaughtUp?: (() => void | Promise<void>) | undefined
  /** Ends the iteration without an error. */
  signal?: AbortSignal | undefined
}

/** How to load a snapshot. */
export interface LoadSnapshotOptions {
  /** The highest version. By default the newest snapshot is loaded. */
  atOrBefore?: number | undefined
}

type Check = (name: string, value: never) => unknown

/** @internal The check of each option, by its name. An option with an unknown name is refused. */
export const CHECKS = {
  number: count as Check,
  text: wellFormed as Check,
  flag: ((name: string, value: unknown) => {
    if (typeof value !== 'boolean') throw invalidArgument(name, `${name} must be true or false`)
    return value
  }) as Check,
  expected: ((name: string, value: Expected) => (typeof value === 'number' ? count(name, value) : wellFormed(name, value))) as Check,
  query: ((name: string, value: Query) => queryItems(name, value)) as Check,
  /** An option that TypeScript itself handles. */
  here: (() => undefined) as Check,
}

function queryItems(name: string, query: Query): NativeReadOptions['query'] {
  const items = Array.isArray(query) ? (query as readonly QueryItem[]) : [query]
  const list = ((_: string, value: readonly string[]) => texts(name, value)) as Check
  return items.map((item) => take(item, { types: list, tags: list, categories: list, streams: list }))
}

/** @internal Copies options for the native module, without those that are undefined. */
export function take(given: unknown, checks: Record<string, Check>): Record<string, never> {
  const taken: Record<string, unknown> = {}
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null) throw invalidArgument('options', 'options must be an object')
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) throw invalidArgument(name, `unknown option '${name}'`)
    if (value === undefined) continue
    const checked = check(name, value as never)
    if (checked !== undefined) taken[name] = checked
  }
  // Each value has passed its check.
  return taken as Record<string, never>
}
