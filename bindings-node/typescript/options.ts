// Generated from generate/surface.json by `make generate`. Do not edit it.

import { callback, count, flag, query, signal, word, wordOrVersion, type Check } from './arguments.js'
import { wellFormed } from './json.js'
import type { Signal } from './signal.js'

/** The direction of a read. The bounds are the lowest and the highest in both directions. */
export type Direction = 'forward' | 'backward'

/** How durable an acknowledged append is. */
export type Durability = 'full' | 'relaxed'

/** What an append expects of its stream: one of these, or its exact version. */
export type Expected = number | 'any' | 'no-stream' | 'stream-exists'

/** Where a subscription begins. */
export type Start = 'beginning' | 'now'

/** One item of a query. An event must satisfy all four lists; an empty one restricts nothing. */
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

/** How a call ends early. */
export interface CallOptions {
  /** How long it may take, waiting included. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the call, which then rejects with the signal's reason. A write may have been done all the same. */
  signal?: Signal | undefined
}

/** The options of `append`. Appends events to a stream: all of them or none, with consecutive versions. */
export interface AppendOptions {
  /** The expected version of the stream. The default is `any`. */
  expected?: Expected | undefined
  /** How long it may take, waiting included. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Withdraws the append if it still waits; one that was sent runs to its end. The call rejects with the signal's reason. */
  signal?: Signal | undefined
}

/** The options of `loadSnapshot`. Loads the newest valid snapshot, or nothing. */
export interface LoadSnapshotOptions {
  /** The highest version. By default the newest snapshot is loaded. */
  atOrBefore?: number | undefined
  /** How long it may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the call, which then rejects with the signal's reason. */
  signal?: Signal | undefined
}

/** The options of `open`. Opens a store, and creates what is missing. */
export interface OpenOptions {
  /** The namespace: a separate log inside the database. The default is `default`. */
  namespace?: string | undefined
  /** Whether opening creates what is missing. If not, opening never writes. The default is true. */
  create?: boolean | undefined
  /** How durable an acknowledged append is. The default is `full`. */
  durability?: Durability | undefined
  /** How long an operation may take if it has no timeout of its own. The default is 30,000. */
  timeoutMs?: number | undefined
  /** After which time a subscription looks again without a notification. The default is 250. */
  pollIntervalMs?: number | undefined
  /** The most connections of the pool. The default is 10. */
  maxConnections?: number | undefined
  /** Whether a connection to another machine may be unencrypted, or its host unverified. The default is false. */
  insecure?: boolean | undefined
  /** Gives up opening. The call rejects with the signal's reason. */
  signal?: Signal | undefined
}

/** The options of `read`. Reads the events of a stream page by page, in the order of versions. An absent stream has none. */
export interface ReadOptions {
  /** The lowest version, inclusive. The default is 1. */
  fromVersion?: number | undefined
  /** The highest version, inclusive. By default there is no bound. */
  toVersion?: number | undefined
  /** The direction. The default is `forward`. */
  direction?: Direction | undefined
  /** The most events. By default there is no limit; 0 is refused. */
  limit?: number | undefined
  /** How long each page may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the iteration without an error. */
  signal?: Signal | undefined
}

/** The options of `readAll`. Reads the events of the log that match a query, page by page, in the order of positions. */
export interface ReadAllOptions<T extends string = string> {
  /** Only positions above this. The default is 0. */
  after?: number | undefined
  /** Only positions below this. By default there is no bound. */
  before?: number | undefined
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** The direction. The default is `forward`. */
  direction?: Direction | undefined
  /** The most events that match. By default there is no limit; 0 is refused. */
  limit?: number | undefined
  /** How long each page may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the iteration without an error. */
  signal?: Signal | undefined
}

/** The options of `readPage`. Reads one page of the log and says how far it looked. */
export interface ReadPageOptions<T extends string = string> {
  /** Only positions above this. The default is 0. */
  after?: number | undefined
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** The most events: at most 1,000, which is the default. 0 is refused. */
  limit?: number | undefined
  /** How long it may take. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the call, which then rejects with the signal's reason. */
  signal?: Signal | undefined
}

/** The options of `subscribe`. Subscribes to the log: every committed event that matches, once, in the order of positions. */
export interface SubscribeOptions<T extends string = string> {
  /** Only events that match. The default matches everything. */
  query?: Query<T> | undefined
  /** Where to begin. The default is the beginning. Not together with `after`. */
  start?: Start | undefined
  /** Only positions above this. Not together with `start`. */
  after?: number | undefined
  /** Called when everything that was committed so far was given. */
  onCaughtUp?: (() => void | Promise<void>) | undefined
  /** Ends the iteration without an error. */
  signal?: Signal | undefined
}

/** @internal The checks of each call's options. */
export const CHECKS = {
  append: {
    expected: wordOrVersion('any', 'no-stream', 'stream-exists'),
    timeoutMs: count,
    signal: signal,
  },
  head: {
    timeoutMs: count,
    signal: signal,
  },
  importEvents: {
    timeoutMs: count,
    signal: signal,
  },
  last: {
    timeoutMs: count,
    signal: signal,
  },
  loadSnapshot: {
    atOrBefore: count,
    timeoutMs: count,
    signal: signal,
  },
  open: {
    namespace: wellFormed,
    create: flag,
    durability: word('full', 'relaxed'),
    timeoutMs: count,
    pollIntervalMs: count,
    maxConnections: count,
    insecure: flag,
    signal: signal,
  },
  read: {
    fromVersion: count,
    toVersion: count,
    direction: word('forward', 'backward'),
    limit: count,
    timeoutMs: count,
    signal: signal,
  },
  readAll: {
    after: count,
    before: count,
    query: query,
    direction: word('forward', 'backward'),
    limit: count,
    timeoutMs: count,
    signal: signal,
  },
  readPage: {
    after: count,
    query: query,
    limit: count,
    timeoutMs: count,
    signal: signal,
  },
  saveSnapshot: {
    timeoutMs: count,
    signal: signal,
  },
  subscribe: {
    query: query,
    start: word('beginning', 'now'),
    after: count,
    onCaughtUp: callback,
    signal: signal,
  },
} satisfies Record<string, Record<string, Check>>
