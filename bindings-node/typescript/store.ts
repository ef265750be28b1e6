import { CallSite } from './errors.js'
import { count, importToNative, texts, toNative, type AnyEvent, type Event, type ImportEvent } from './events.js'
import { EventIterator, type Source } from './iteration.js'
import { encode, wellFormed, type JsonText } from './json.js'
import { native, type NativeIteration, type NativeReadOptions, type NativeStore } from './native.js'
import {
  CHECKS,
  take,
  type AppendOptions,
  type LoadSnapshotOptions,
  type OpenOptions,
  type ReadAllOptions,
  type ReadOptions,
  type ReadPageOptions,
  type SubscribeOptions,
} from './options.js'
import { decode, Snapshot, type Recorded } from './recorded.js'
import { abortable, Aborted } from './signal.js'

/** The result of an append. */
export interface AppendResult {
  /** The stream's version after the append. */
  version: number
  /**
   * The position of the last event. Do not use it as a cursor: an event with a smaller position can still be
   * uncommitted.
   */
  position: number
  /** Whether the same events were appended before. The result is then the one of that time. */
  repeated: boolean
}

/** What an import did. */
export interface ImportResult {
  /** Events written. */
  imported: number
  /** Events that were stored already, with the same content. */
  passedOver: number
  /** The position of the last event given; 0 if none was given. */
  position: number
}

/** One page of the log. */
export interface Page<E extends AnyEvent = AnyEvent> {
  /** The events that match, in the order of positions. */
  events: Recorded<E>[]
  /** How far the page looked: the `after` of the next page. */
  reached: number
  /** Whether nothing more was there to read. */
  caughtUp: boolean
}

/** A snapshot to save. Its data is a value, JSON text that is kept as it is, or bytes. */
export interface NewSnapshot<S = unknown> {
  /** The stream. */
  stream: string
  /** The version of the last event that went into the state. */
  version: number
  /** The name of the code that made it. A snapshot with another schema is another snapshot. */
  schema: string
  /** The state, at most 8 MiB. */
  data: S | JsonText | Uint8Array
}

const { number, text, flag, expected, query, here } = CHECKS

/**
 * A store: one open handle on one namespace of one database.
 *
 * `E` is the application's union of events, discriminated by
 * `type`. A failed call rejects with a {@link StreamkeepError}. An idle store does not keep the process alive.
 */
export class EventStore<E extends AnyEvent = AnyEvent> {
  readonly #native: NativeStore
  #closed = false

  private constructor(opened: NativeStore) {
    this.#native = opened
  }

  /**
   * Opens a store: `memory:` (a log of this handle), `memory:NAME` (shared in this process), `sqlite:PATH`,
   * `postgres://…`, `mongodb://…` or `mongodb+srv://…`. Creates what is missing.
   *
   * Rejects with `config` if the URL, an option or the configuration of the server is wrong, and with `unavailable` if
   * the database cannot be reached.
   */
  static async open<E extends AnyEvent = AnyEvent>(url: string, options?: OpenOptions): Promise<EventStore<E>> {
    return told(new CallSite(), async () => {
      const checks = { namespace: text, create: flag, durability: text, timeoutMs: number, pollIntervalMs: number, maxConnections: number, insecure: flag }
      return new EventStore<E>(await native.open(wellFormed('url', url), take(options, checks)))
    })
  }

  /**
   * Appends events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.
   *
   * Repeating an append of the same events (`event(…)` gives them ids) is safe: the result is then that of the first
   * time, marked `repeated`. Appends that were started without awaiting each other have no order. An append has at
   * least one event, and at most 10,000 events and 32 MiB.
   *
   * Rejects with `conflict` if the stream is not at the expected version, `duplicate-event`, `invalid-argument`,
   * `limit-exceeded`, `unavailable` past the deadline, `closed`; or with the signal's reason: the append is then stored
   * completely or not at all.
   */
  async append(stream: string, events: readonly Event<E>[], options?: AppendOptions): Promise<AppendResult> {
    return told(new CallSite(), async () => {
      const taken = take(options, { expected, timeoutMs: number, signal: here })
      const given = list(events).map((one) => toNative(one as Event))
      const name = wellFormed('stream', stream)
      return abortable(options?.signal, (cancel) => this.#native.append(name, given, taken, cancel))
    })
  }

  /**
   * Imports events that were recorded elsewhere, with their stream, version, id and time. Values that are absent are
   * assigned. Positions are new, in the order given.
   *
   * Each 1,000 events are written completely or not at all. An event that is stored already is passed over, so an
   * import can be repeated and resumed. Rejects with `duplicate-event` if an id is known with other content, and with
   * `conflict` if a version does not follow.
   */
  async importEvents(events: readonly ImportEvent<E>[]): Promise<ImportResult> {
    return told(new CallSite(), () => this.#native.importEvents(list(events).map((one) => importToNative(one as ImportEvent))))
  }

  /** Reads the events of a stream page by page, in the order of versions. An absent stream has none. */
  read(stream: string, options?: ReadOptions): EventIterator<E> {
    const checks = { fromVersion: number, toVersion: number, direction: text, limit: number, timeoutMs: number, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.read(wellFormed('stream', stream), taken))
  }

  /**
   * Reads the events of the log that match a query, page by page, in the order of positions. Both bounds are exclusive;
   * a limit counts matches.
   */
  readAll(options?: ReadAllOptions<E['type']>): EventIterator<E> {
    const checks = { after: number, before: number, query, direction: text, limit: number, timeoutMs: number, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.readAll(taken))
  }

  /** Reads one page of the log and tells how far it looked: `reached` is the `after` of the next page. */
  async readPage(options?: ReadPageOptions<E['type']>): Promise<Page<E>> {
    return told(new CallSite(), async () => {
      const page = await this.#native.readPage(take(options, { after: number, query, limit: number, timeoutMs: number }))
      return { events: decode<E>(page), reached: page.reached, caughtUp: page.caughtUp }
    })
  }

  /**
   * Subscribes to the log: gives every event that matches, once, in the order of positions. It first catches up and
   * then goes on with new events. The reader pulls the events, so a slow reader slows down only itself.
   *
   * If the database is lost, it reconnects. It ends when the loop is left, by its signal, or with `closed`, `corrupt`,
   * `config` or `checkpoint-ahead`.
   */
  subscribe(options?: SubscribeOptions<E['type']>): EventIterator<E> {
    const checks = { query, start: text, after: number, onCaughtUp: here, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.subscribe(taken))
  }

  /**
   * Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
   * newer one.
   */
  async saveSnapshot<S>(snapshot: NewSnapshot<S>): Promise<void> {
    return told(new CallSite(), () => {
      const [stream, schema] = texts('snapshot', [snapshot.stream, snapshot.schema]) as [string, string]
      return this.#native.saveSnapshot({ stream, version: count('version', snapshot.version), schema, data: encode('data', snapshot.data) })
    })
  }

  /** Loads the newest valid snapshot of a stream and schema; `undefined` if there is none. */
  async loadSnapshot<S = unknown>(stream: string, schema: string, options?: LoadSnapshotOptions): Promise<Snapshot<S> | undefined> {
    return told(new CallSite(), async () => {
      const { atOrBefore } = take(options, { atOrBefore: number })
      const loaded = await this.#native.loadSnapshot(wellFormed('stream', stream), wellFormed('schema', schema), atOrBefore)
      return loaded === null ? undefined : new Snapshot<S>(loaded)
    })
  }

  /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
  async head(): Promise<number> {
    return told(new CallSite(), () => this.#native.head())
  }

  /**
   * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is
   * `closed`.
   */
  async close(): Promise<void> {
    this.#closed = true
    return told(new CallSite(), () => this.#native.close())
  }

  /** Closes the store, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #iterate(
    site: CallSite,
    options: Pick<Source, 'signal' | 'onCaughtUp'> | undefined,
    checks: Parameters<typeof take>[1],
    start: (taken: NativeReadOptions) => NativeIteration,
  ): EventIterator<E> {
    const { signal, onCaughtUp } = options ?? {}
    const given = options === undefined ? undefined : { ...options }
    return new EventIterator<E>({ open: () => start(take(given, checks)), closed: () => this.#closed, refused: () => this.#native.head(), signal, onCaughtUp, site })
  }
}

/** Runs a call. Any failure rejects with an error that has the caller's stack. */
async function told<T>(site: CallSite, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw error instanceof Aborted ? error.reason : site.errorFrom(error)
  }
}

function list<T>(events: readonly T[]): readonly T[] {
  return Array.isArray(events) ? (events as readonly T[]) : [...(events as Iterable<T>)]
}
