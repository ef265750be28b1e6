import { callback, count, expectedVersion, flag, query, signal, word, type Check } from './arguments.js'
import { wellFormed } from './json.js'
import type { Signal } from './signal.js'

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
  /** Gives up opening. The call rejects with the signal's reason. */
  signal?: Signal | undefined
}

/** How a call ends early. */
export interface CallOptions {
  /** How long it may take, waiting included. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the call, which then rejects with the signal's reason. A write may have been done all the same. */
  signal?: Signal | undefined
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
  signal?: Signal | undefined
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
  signal?: Signal | undefined
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
export interface ReadPageOptions<T extends string = string> extends CallOptions {
  /** Only positions above this. The default is 0. */
  after?: number | undefined
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** The most events: at most 1,000, which is the default. 0 is refused. */
  limit?: number | undefined
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
  signal?: Signal | undefined
}

/** How to load a snapshot. */
export interface LoadSnapshotOptions extends CallOptions {
  /** The highest version. By default the newest snapshot is loaded. */
  atOrBefore?: number | undefined
}

const call = { timeoutMs: count, signal }
const reading = { ...call, direction: word('forward', 'backward'), limit: count }

/** @internal The checks of each call's options. */
export const CHECKS: Record<'open' | 'append' | 'call' | 'read' | 'readAll' | 'readPage' | 'subscribe' | 'loadSnapshot', Record<string, Check>> = {
  open: {
    ...call,
    namespace: wellFormed,
    create: flag,
    durability: word('full', 'relaxed'),
    pollIntervalMs: count,
    maxConnections: count,
    insecure: flag,
  },
  append: { ...call, expected: expectedVersion },
  call,
  read: { ...reading, fromVersion: count, toVersion: count },
  readAll: { ...reading, after: count, before: count, query },
  readPage: { ...call, after: count, query, limit: count },
  subscribe: { query, start: word('beginning', 'now'), after: count, onCaughtUp: callback, signal },
  loadSnapshot: { ...call, atOrBefore: count },
}
