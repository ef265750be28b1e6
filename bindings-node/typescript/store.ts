/// <reference lib="esnext.disposable" preserve="true" />

import { take } from './arguments.js'
import { CallSite, refuse, Refusal } from './calls.js'
import { importToNative, toNative, type AnyEvent, type Event, type ImportEvent } from './events.js'
import { EventIterator, type Source } from './iteration.js'
import { wellFormed } from './json.js'
import { mailbox } from './mailbox.js'
import { native, type NativeIteration, type NativePage, type NativeSnapshot, type NativeStore } from './native.js'
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
import type { AppendResult, ImportResult } from './results.js'
import type { Signal } from './signal.js'
import { snapshotFrom, snapshotToNative, type NewSnapshot, type Snapshot } from './snapshots.js'

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
      return (call) => native.open(mailbox.native, call, at, taken)
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
    return this.#call(new CallSite('append'), options, () => [wellFormed('stream', stream), list(events).map(toNative)], plain<AppendResult>)
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
    return this.#call(new CallSite('importEvents'), options, () => [list(events).map(importToNative)], plain<ImportResult>)
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
    const convert = (page: NativePage): Page<E> => ({ events: decode<E>(page), reached: page.reached, caughtUp: page.caughtUp })
    return this.#call(new CallSite('readPage'), options, () => [], convert)
  }

  /** Returns the last event of a stream; `undefined` if the stream is absent. An acknowledged append is seen at once. */
  last(stream: string, options?: CallOptions): Promise<Recorded<E> | undefined> {
    return this.#call(new CallSite('last'), options, () => [wellFormed('stream', stream)], (page: NativePage) => decode<E>(page)[0])
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
    return this.#call(new CallSite('saveSnapshot'), options, () => [snapshotToNative(snapshot)], nothing)
  }

  /** Loads the newest valid snapshot of a stream and schema; `undefined` if there is none. */
  loadSnapshot<S = unknown>(stream: string, schema: string, options?: LoadSnapshotOptions): Promise<Snapshot<S> | undefined> {
    const convert = (found: NativeSnapshot | null): Snapshot<S> | undefined => (found === null ? undefined : snapshotFrom<S>(found))
    return this.#call(new CallSite('loadSnapshot'), options, () => [wellFormed('stream', stream), wellFormed('schema', schema)], convert)
  }

  /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
  head(options?: CallOptions): Promise<number> {
    return this.#call(new CallSite('head'), options, () => [], same<number>)
  }

  /**
   * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is
   * `closed`.
   */
  close(): Promise<void> {
    this.#closed = true
    return mailbox.call(new CallSite('close'), undefined, () => (call) => this.#native.close(call), nothing)
  }

  /** Closes the store, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  static {
    disposable(this.prototype)
  }

  /** Makes a call of the native module, which has the same name and takes the arguments, then the options. */
  #call<O extends Answered, A extends Given<O>, T>(site: CallSite<O>, options: { signal?: Signal | undefined } | undefined, given: () => [...A], convert: (answer: never) => T): Promise<T> {
    const prepare = (): Start => {
      const [args, taken] = [given(), take(options, CHECKS[site.operation])]
      const method = this.#native[site.operation] as (call: number, ...given: unknown[]) => void
      return (call) => method.call(this.#native, call, ...args, taken)
    }
    return mailbox.call(site, options, prepare, convert)
  }

  #iterate(
    site: CallSite<'read' | 'readAll' | 'subscribe'>,
    options: Pick<Source, 'signal' | 'onCaughtUp'> | undefined,
    start: (taken: Record<string, never>) => NativeIteration,
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
    return EventIterator.of<E>({ open, closed: () => this.#closed, refused: (call) => this.#native.head(call, {}), signal, onCaughtUp, site })
  }
}

/** Starts a native call under a number. */
type Start = (call: number) => void
/** The methods with one answer. */
type Answered = Exclude<keyof NativeStore, 'read' | 'readAll' | 'subscribe' | 'close'>
/** The arguments of a method of the native module, between the number and the options. */
type Given<O extends Answered> = Parameters<NativeStore[O]> extends [number, ...infer Args, object] ? Args : never

const nothing = (): void => undefined
const same = <T>(answer: T): T => answer
/** An object of this realm. */
const plain = <T extends object>(answer: T): T => ({ ...answer })

/** The events of a call: an array, or anything that can be iterated but a string. */
function list(events: unknown): unknown[] {
  if (Array.isArray(events) || (typeof events === 'object' && events !== null && Symbol.iterator in events)) return Array.from(events as Iterable<unknown>)
  return refuse('events', `events must be an array of events, not ${kindOf(events)}`)
}
