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

/** Where an append's last event stands. */
export interface AppendResult {
  /** The stream's version after the append. */
  version: number
  /** The position of the last event. Not a cursor: an event with a smaller position may still be on its way. */
  position: number
  /** The same events were appended before, and this is the first append's answer. */
  repeated: boolean
}

/** What an import did. */
export interface ImportResult {
  /** Events written. */
  imported: number
  /** Events that were there already, with the same content. */
  passedOver: number
  /** The position of the last event given; 0 when none was. */
  position: number
}

/** One page of the log. */
export interface Page<E extends AnyEvent = AnyEvent> {
  /** The events that match, in position order. */
  events: Recorded<E>[]
  /** How far the page got: the `after` of the next page. */
  reached: number
  /** Nothing more was there to read. */
  caughtUp: boolean
}

/** A snapshot to save: a value as JSON, its JSON text as it is, or bytes. */
export interface NewSnapshot<S = unknown> {
  /** The stream. */
  stream: string
  /** The version of the last event folded. */
  version: number
  /** Which code made it; another schema is another snapshot. */
  schema: string
  /** The state, at most 8 MiB. */
  data: S | JsonText | Uint8Array
}

const { number, text, flag, expected, query, here } = CHECKS

/**
 * A store: one open handle on one namespace of one database.
 *
 * `E` is the application's union of events, discriminated by `type`. Every call that fails rejects with a {@link StreamkeepError}. An idle store does not keep the process alive.
 */
export class EventStore<E extends AnyEvent = AnyEvent> {
  readonly #native: NativeStore
  #closed = false

  private constructor(opened: NativeStore) {
    this.#native = opened
  }

  /**
   * Opens a store: `memory:` (its own), `memory:NAME` (shared in this process), `sqlite:PATH`, `postgres://…`, `mongodb://…`, `mongodb+srv://…`. Creates what is missing.
   *
   * Rejects with `config` when the URL, an option or the server's set-up is not one to work with, `unavailable` when the database cannot be reached.
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
   * Repeating an append of the same events (`event(…)` gives them ids) is safe: what was done already answers as the first time, `repeated`. Appends started without awaiting each other
   * have no order. At least one event, at most 10,000 or 32 MiB.
   *
   * Rejects with `conflict` when the stream is not as expected, `duplicate-event`, `invalid-argument`, `limit-exceeded`, `unavailable` past the deadline, `closed`; with the signal's reason when
   * that came first: the append is then whole or absent.
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
   * Takes events recorded elsewhere: stream, version, id and time as given (assigned where not), positions anew in the order given.
   *
   * Whole or absent per 1,000. What is there already with the same ids is passed over, so an import can be repeated and resumed. Rejects with `duplicate-event` when an id is known with other
   * content, `conflict` when a version does not follow.
   */
  async importEvents(events: readonly ImportEvent<E>[]): Promise<ImportResult> {
    return told(new CallSite(), () => this.#native.importEvents(list(events).map((one) => importToNative(one as ImportEvent))))
  }

  /** Reads a stream's events in version order, page by page; an absent stream reads as nothing. */
  read(stream: string, options?: ReadOptions): EventIterator<E> {
    const checks = { fromVersion: number, toVersion: number, direction: text, limit: number, timeoutMs: number, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.read(wellFormed('stream', stream), taken))
  }

  /** Reads the log's events that match a query, in position order, page by page. Both bounds are exclusive; a limit counts matches. */
  readAll(options?: ReadAllOptions<E['type']>): EventIterator<E> {
    const checks = { after: number, before: number, query, direction: text, limit: number, timeoutMs: number, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.readAll(taken))
  }

  /** Reads one page of the log and says how far it got: `reached` is the `after` of the next page. */
  async readPage(options?: ReadPageOptions<E['type']>): Promise<Page<E>> {
    return told(new CallSite(), async () => {
      const page = await this.#native.readPage(take(options, { after: number, query, limit: number, timeoutMs: number }))
      return { events: decode<E>(page), reached: page.reached, caughtUp: page.caughtUp }
    })
  }

  /**
   * Follows the log: catch-up, then live, every event that matches once, in position order. Pulled by its reader: a slow one slows itself alone.
   *
   * It goes on over the loss of the database, and ends by leaving the loop, by its signal, or by `closed`, `corrupt`, `config` and `checkpoint-ahead`.
   */
  subscribe(options?: SubscribeOptions<E['type']>): EventIterator<E> {
    const checks = { query, start: text, after: number, onCaughtUp: here, signal: here }
    return this.#iterate(new CallSite(), options, checks, (taken) => this.#native.subscribe(taken))
  }

  /** Saves a snapshot. One of the same stream, schema and version is replaced; an older one never takes the place of a newer one. */
  async saveSnapshot<S>(snapshot: NewSnapshot<S>): Promise<void> {
    return told(new CallSite(), () => {
      const [stream, schema] = texts('snapshot', [snapshot.stream, snapshot.schema]) as [string, string]
      return this.#native.saveSnapshot({ stream, version: count('version', snapshot.version), schema, data: encode('data', snapshot.data) })
    })
  }

  /** Loads the newest snapshot of a stream and schema that can be believed, or nothing. */
  async loadSnapshot<S = unknown>(stream: string, schema: string, options?: LoadSnapshotOptions): Promise<Snapshot<S> | undefined> {
    return told(new CallSite(), async () => {
      const { atOrBefore } = take(options, { atOrBefore: number })
      const loaded = await this.#native.loadSnapshot(wellFormed('stream', stream), wellFormed('schema', schema), atOrBefore)
      return loaded === null ? undefined : new Snapshot<S>(loaded)
    })
  }

  /** The position of the last committed event that is safe to read; 0 when the log is empty. */
  async head(): Promise<number> {
    return told(new CallSite(), () => this.#native.head())
  }

  /** Closes the store: waits for what is in flight, then frees everything. Twice is fine; any later use is `closed`. */
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

/** Runs a call; whatever goes wrong in it rejects, as the error of the place it was called from. */
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
