import { invalidArgument } from './errors.js'
import { count, texts } from './events.js'
import { wellFormed } from './json.js'
import type { NativeReadOptions } from './native.js'

/** How to open a store. Every option can stand in the URL under its snake_case name. */
export interface OpenOptions {
  /** A log of its own inside the database, named `[a-z][a-z0-9_]{0,39}`; `default` unless given. */
  namespace?: string | undefined
  /** Whether what is missing is created; if not, opening never writes. True unless given. */
  create?: boolean | undefined
  /** Whether a server set to less than durable is refused; `full` unless given. */
  durability?: 'full' | 'relaxed' | undefined
  /** How long an operation may take unless it says otherwise; 30,000 unless given. */
  timeoutMs?: number | undefined
  /** How long a subscription waits before it looks again without a notification; 250 unless given. */
  pollIntervalMs?: number | undefined
  /** The most connections of the store's pool; 10 unless given, 1 is enough for everything. */
  maxConnections?: number | undefined
  /** Whether a connection off this machine may go unencrypted or to an unverified host; no unless given. */
  insecure?: boolean | undefined
}

/** What an append demands of its stream: a version, or one of these. */
export type Expected = number | 'any' | 'no-stream' | 'stream-exists'

/** How to append. */
export interface AppendOptions {
  /** What the stream must be at; `any` unless given. */
  expected?: Expected | undefined
  /** How long it may take in all, waiting included; the store's time-out unless given. */
  timeoutMs?: number | undefined
  /** Withdraws the append if it still waits; if it was sent it runs on. The call rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** Which way a read goes; its bounds are lowest and highest in either. */
export type Direction = 'forward' | 'backward'

interface Reading {
  /** Which way; `forward` unless given. */
  direction?: Direction | undefined
  /** The most events wanted; no limit unless given, 0 is refused. */
  limit?: number | undefined
  /** How long each page may take; the store's time-out unless given. */
  timeoutMs?: number | undefined
  /** Ends the iteration, quietly. */
  signal?: AbortSignal | undefined
}

/** Which part of a stream to read. */
export interface ReadOptions extends Reading {
  /** The lowest version wanted, inclusive; 1 unless given. */
  fromVersion?: number | undefined
  /** The highest version wanted, inclusive; no bound unless given. */
  toVersion?: number | undefined
}

/** One alternative of a query: all four lists must agree; an absent or empty one does not restrict. */
export interface QueryItem<T extends string = string> {
  /** The event's type is one of these. */
  types?: readonly T[] | undefined
  /** The event carries all of these. */
  tags?: readonly string[] | undefined
  /** The stream's category, its name before the first `-`, is one of these. */
  categories?: readonly string[] | undefined
  /** The stream is one of these. */
  streams?: readonly string[] | undefined
}

/** An item, or up to 64 joined by OR; none means everything. */
export type Query<T extends string = string> = QueryItem<T> | readonly QueryItem<T>[]

/** Which part of the log to read. */
export interface ReadAllOptions<T extends string = string> extends Reading {
  /** Only positions above this; 0 unless given. */
  after?: number | undefined
  /** Only positions below this; no bound unless given. */
  before?: number | undefined
  /** Only events that match; everything unless given. */
  query?: Query<T> | undefined
}

/** Which page of the log to read. */
export interface ReadPageOptions<T extends string = string> {
  /** Only positions above this; 0 unless given. */
  after?: number | undefined
  /** Only events that match; everything unless given. */
  query?: Query<T> | undefined
  /** The most events wanted; 1,000 at most and unless given, 0 is refused. */
  limit?: number | undefined
  /** How long it may take; the store's time-out unless given. */
  timeoutMs?: number | undefined
}

/** What to subscribe to. */
export interface SubscribeOptions<T extends string = string> {
  /** Only events that match; everything unless given. */
  query?: Query<T> | undefined
  /** Where to begin: `beginning`, unless given, or `now`: behind the head at the first pull. Not together with `after`. */
  start?: 'beginning' | 'now' | undefined
  /** Only positions above this. Not together with `start`. */
  after?: number | undefined
  /** Called when everything committed so far was handed out and handled; awaited. */
  onCaughtUp?: (() => void | Promise<void>) | undefined
  /** Ends the iteration, quietly. */
  signal?: AbortSignal | undefined
}

/** How to load a snapshot. */
export interface LoadSnapshotOptions {
  /** The highest version wanted; the newest snapshot unless given. */
  atOrBefore?: number | undefined
}

type Check = (name: string, value: never) => unknown

/** @internal A check a name: options are taken over by name, and a name that is none is a mistake to be told. */
export const CHECKS = {
  number: count as Check,
  text: wellFormed as Check,
  flag: ((name: string, value: unknown) => {
    if (typeof value !== 'boolean') throw invalidArgument(name, `${name} must be true or false`)
    return value
  }) as Check,
  expected: ((name: string, value: Expected) => (typeof value === 'number' ? count(name, value) : wellFormed(name, value))) as Check,
  query: ((name: string, value: Query) => queryItems(name, value)) as Check,
  /** Seen to on this side of the boundary. */
  here: (() => undefined) as Check,
}

function queryItems(name: string, query: Query): NativeReadOptions['query'] {
  const items = Array.isArray(query) ? (query as readonly QueryItem[]) : [query]
  const list = ((_: string, value: readonly string[]) => texts(name, value)) as Check
  return items.map((item) => take(item, { types: list, tags: list, categories: list, streams: list }))
}

/** @internal Takes options over for the native half, leaving out what is undefined. */
export function take(given: unknown, checks: Record<string, Check>): Record<string, never> {
  const taken: Record<string, unknown> = {}
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null) throw invalidArgument('options', 'options must be an object')
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) throw invalidArgument(name, `there is no option '${name}'`)
    if (value === undefined) continue
    const checked = check(name, value as never)
    if (checked !== undefined) taken[name] = checked
  }
  // Each value is what its check lets through.
  return taken as Record<string, never>
}
