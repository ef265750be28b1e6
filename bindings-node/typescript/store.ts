/// <reference lib="esnext.disposable" preserve="true" />

import { take } from './arguments.js'
import { CallSite, refuse, Refusal } from './calls.js'
import { importToNative, toNative, type AnyEvent, type Event, type ImportEvent } from './events.js'
import { EventIterator, type Source } from './iteration.js'
import { wellFormed } from './json.js'
import { mailbox } from './mailbox.js'
import { native, type NativeIteration, type NativePage, type NativeReadOptions, type NativeSnapshot, type NativeStore } from './native.js'
import {
  CHECKS,
  type AppendOptions,
  type CallOptions,
  type LoadSnapshotOptions,
  type OpenOptions,
  type ReadAllOptions,
  type ReadOptions,
  type ReadPageOptions,
  type SubscribeOptions,
} from './options.js'
import { disposable, kindOf } from './realm.js'
import { decode, type Recorded } from './recorded.js'
import { snapshotFrom, snapshotToNative, type NewSnapshot, type Snapshot } from './snapshots.js'

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
    if (!(opened instanceof native.NativeStore)) throw new CallSite('EventStore').errorFrom(new Refusal('opened', 'a store comes from EventStore.open(url)'))
    this.#native = opened
  }

  /**
   * Opens a store: `memory:` (a log of this handle), `memory:NAME` (shared in this process), `sqlite:PATH`,
   * `postgres://…`, `mongodb://…` or `mongodb+srv://…`. Creates what is missing.
   *
   * Rejects with `config` if the URL, an option or the configuration of the server is wrong, and with `unavailable` if
   * the database cannot be reached.
   */
  static open<E extends AnyEvent = AnyEvent>(url: string, options?: OpenOptions): Promise<EventStore<E>> {
    const prepare = (): Start => {
      const [at, taken] = [wellFormed('url', url), take(options, CHECKS.open)]
      return (number) => native.open(mailbox.native, number, at, taken)
    }
    return mailbox.call(new CallSite('open'), options, prepare, (opened: NativeStore) => new EventStore<E>(opened))
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
  append(stream: string, events: readonly Event<E>[], options?: AppendOptions): Promise<AppendResult> {
    const prepare = (): Start => {
      const [name, taken, given] = [wellFormed('stream', stream), take(options, CHECKS.append), list(events).map(toNative)]
      return (number) => this.#native.append(number, name, given, taken)
    }
    return mailbox.call(new CallSite('append'), options, prepare, ({ version, position, repeated }: AppendResult) => ({ version, position, repeated }))
  }

  /**
   * Imports events that were recorded elsewhere, with their stream, version, id and time. Values that are absent are
   * assigned. Positions are new, in the order given.
   *
   * Each 1,000 events are written completely or not at all. An event that is stored already is passed over, so an
   * import can be repeated and resumed. Rejects with `duplicate-event` if an id is known with other content, and with
   * `conflict` if a version does not follow.
   */
  importEvents(events: readonly ImportEvent<E>[], options?: CallOptions): Promise<ImportResult> {
    const prepare = (): Start => {
      const [{ timeoutMs }, given] = [take(options, CHECKS.call), list(events).map(importToNative)]
      return (number) => this.#native.importEvents(number, given, timeoutMs)
    }
    const convert = ({ imported, passedOver, position }: ImportResult): ImportResult => ({ imported, passedOver, position })
    return mailbox.call(new CallSite('importEvents'), options, prepare, convert)
  }

  /** Reads the events of a stream page by page, in the order of versions. An absent stream has none. */
  read(stream: string, options?: ReadOptions): EventIterator<E> {
    return this.#iterate(new CallSite('read'), options, (taken) => this.#native.read(wellFormed('stream', stream), taken))
  }

  /**
   * Reads the events of the log that match a query, page by page, in the order of positions. Both bounds are exclusive;
   * a limit counts matches.
   */
  readAll(options?: ReadAllOptions<E['type']>): EventIterator<E> {
    return this.#iterate(new CallSite('readAll'), options, (taken) => this.#native.readAll(taken))
  }

  /** Reads one page of the log and tells how far it looked: `reached` is the `after` of the next page. */
  readPage(options?: ReadPageOptions<E['type']>): Promise<Page<E>> {
    const prepare = (): Start => {
      const taken = take(options, CHECKS.readPage)
      return (number) => this.#native.readPage(number, taken)
    }
    const convert = (page: NativePage): Page<E> => ({ events: decode<E>(page), reached: page.reached, caughtUp: page.caughtUp })
    return mailbox.call(new CallSite('readPage'), options, prepare, convert)
  }

  /**
   * Subscribes to the log: gives every event that matches, once, in the order of positions. It first catches up and
   * then goes on with new events. The reader pulls the events, so a slow reader slows down only itself.
   *
   * If the database is lost, it reconnects. It ends when the loop is left, by its signal, or with `closed`, `corrupt`,
   * `config` or `checkpoint-ahead`.
   */
  subscribe(options?: SubscribeOptions<E['type']>): EventIterator<E> {
    return this.#iterate(new CallSite('subscribe'), options, (taken) => this.#native.subscribe(taken))
  }

  /**
   * Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
   * newer one.
   */
  saveSnapshot<S>(snapshot: NewSnapshot<S>, options?: CallOptions): Promise<void> {
    const prepare = (): Start => {
      const [given, { timeoutMs }] = [snapshotToNative(snapshot), take(options, CHECKS.call)]
      return (number) => this.#native.saveSnapshot(number, given, timeoutMs)
    }
    return mailbox.call(new CallSite('saveSnapshot'), options, prepare, nothing)
  }

  /** Loads the newest valid snapshot of a stream and schema; `undefined` if there is none. */
  loadSnapshot<S = unknown>(stream: string, schema: string, options?: LoadSnapshotOptions): Promise<Snapshot<S> | undefined> {
    const prepare = (): Start => {
      const { atOrBefore, timeoutMs } = take(options, CHECKS.loadSnapshot)
      const [of, by] = [wellFormed('stream', stream), wellFormed('schema', schema)]
      return (number) => this.#native.loadSnapshot(number, of, by, atOrBefore, timeoutMs)
    }
    const convert = ({ found }: { found?: NativeSnapshot }): Snapshot<S> | undefined => (found === undefined ? undefined : snapshotFrom<S>(found))
    return mailbox.call(new CallSite('loadSnapshot'), options, prepare, convert)
  }

  /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
  head(options?: CallOptions): Promise<number> {
    const prepare = (): Start => {
      const { timeoutMs } = take(options, CHECKS.call)
      return (number) => this.#native.head(number, timeoutMs)
    }
    return mailbox.call(new CallSite('head'), options, prepare, (head: number) => head)
  }

  /**
   * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is
   * `closed`.
   */
  close(): Promise<void> {
    this.#closed = true
    const prepare = (): Start => (number) => this.#native.close(number)
    return mailbox.call(new CallSite('close'), undefined, prepare, nothing)
  }

  /** Closes the store, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  static {
    disposable(this.prototype)
  }

  #iterate(
    site: CallSite<'read' | 'readAll' | 'subscribe'>,
    options: Pick<Source, 'signal' | 'onCaughtUp'> | undefined,
    start: (taken: NativeReadOptions) => NativeIteration,
  ): EventIterator<E> {
    // The options count as they are now. A wrong one is reported by the first pull.
    let open: () => NativeIteration
    let kept: typeof options
    try {
      const taken = take(options, CHECKS[site.operation])
      open = () => start(taken)
      kept = options
    } catch (refused) {
      open = () => {
        throw refused
      }
    }
    const { signal, onCaughtUp } = kept ?? {}
    return EventIterator.of<E>({ open, closed: () => this.#closed, refused: (number) => this.#native.head(number), signal, onCaughtUp, site })
  }
}

/** Starts a native call under a number. */
type Start = (number: number) => void

const nothing = (): void => undefined

/** The events of a call: an array, or anything that can be iterated but a string. */
function list(events: unknown): unknown[] {
  if (Array.isArray(events) || (typeof events === 'object' && events !== null && Symbol.iterator in events)) return Array.from(events as Iterable<unknown>)
  return refuse('events', `events must be an array of events, not ${kindOf(events)}`)
}
