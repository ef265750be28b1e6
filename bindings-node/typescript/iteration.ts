/// <reference lib="esnext.disposable" preserve="true" />

import type { CallSite } from './calls.js'
import type { AnyEvent } from './events.js'
import { mailbox } from './mailbox.js'
import type { NativeIteration, NativePage } from './native.js'
import { disposable } from './realm.js'
import { decode, type Recorded } from './recorded.js'
import { onAbort, type Signal } from './signal.js'

/** @internal What an iteration needs from its store and options. */
export interface Source {
  /** Opens the native iteration at the first pull, which reports a wrong argument. */
  open: () => NativeIteration
  /** Whether the store was closed. */
  closed: () => boolean
  /** Starts a call that the native module refuses with its own error after the store was closed. */
  refused: (number: number) => void
  signal?: Signal | undefined
  onCaughtUp?: (() => void | Promise<void>) | undefined
  site: CallSite
}

/**
 * The events of a read or a subscription, pulled page by page with `for await`. Leaving the loop ends the work behind
 * it, and so do `return()`, the signal and the garbage collector.
 *
 * It is not an async generator, because the `return()` of one waits for a pending `next()`, which may wait for an event
 * that never comes.
 */
export class EventIterator<E extends AnyEvent = AnyEvent> implements AsyncIterableIterator<Recorded<E>> {
  readonly #source: Source
  #native: NativeIteration | undefined
  #page: Recorded<E>[] = []
  #next = 0
  #tellCaughtUp = false
  #ended = false
  /** Ends the wait for `onCaughtUp`. */
  #leave: (() => void) | undefined
  /** The last pending `next()`. They are answered one after the other. */
  #turn: Promise<unknown> | undefined

  private constructor(source: Source) {
    this.#source = source
  }

  /** @internal */
  static of<E extends AnyEvent>(source: Source): EventIterator<E> {
    return new EventIterator<E>(source)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Returns the next event as soon as there is one. */
  next(): Promise<IteratorResult<Recorded<E>, undefined>> {
    if (this.#turn === undefined && this.#next < this.#page.length && this.#mayGoOn()) {
      return Promise.resolve({ value: this.#take(), done: false })
    }
    const turn = this.#turn === undefined ? this.#pull() : this.#turn.then(() => this.#pull())
    const quiet = turn.then(ignore, ignore)
    this.#turn = quiet
    void quiet.then(() => {
      if (this.#turn === quiet) this.#turn = undefined
    })
    return turn
  }

  /** Ends the iteration. A pending `next()` gets the end. */
  return(): Promise<IteratorResult<Recorded<E>, undefined>> {
    this.#end()
    return Promise.resolve({ value: undefined, done: true })
  }

  /** Ends the iteration, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  static {
    disposable(this.prototype)
  }

  async #pull(): Promise<IteratorResult<Recorded<E>, undefined>> {
    try {
      while (!this.#ended) {
        if (this.#source.signal?.aborted === true) this.#end()
        else if (this.#next < this.#page.length) {
          if (this.#source.closed()) await this.#refuse()
          else return { value: this.#take(), done: false }
        } else if (this.#tellCaughtUp) await this.#caughtUp()
        else this.#turnTo(await this.#fetch())
      }
      return { value: undefined, done: true }
    } catch (error) {
      this.#end()
      throw error
    }
  }

  #mayGoOn(): boolean {
    return !this.#ended && !this.#source.closed() && this.#source.signal?.aborted !== true
  }

  #take(): Recorded<E> {
    return this.#page[this.#next++] as Recorded<E>
  }

  /** After the store was closed, events of the current page are not returned any more. */
  async #refuse(): Promise<void> {
    this.#page = []
    const { site, refused } = this.#source
    await mailbox.call(site, undefined, () => refused, ignore)
  }

  async #caughtUp(): Promise<void> {
    this.#tellCaughtUp = false
    const { signal, onCaughtUp } = this.#source
    const told = onCaughtUp?.()
    if (told === undefined) return
    // The end does not wait for the caller's function, which may never be done.
    const ended = new Promise<void>((resolve) => (this.#leave = resolve))
    const forget = signal === undefined ? undefined : onAbort(signal, () => {
      this.#end()
    })
    try {
      await Promise.race([told, ended])
    } finally {
      forget?.()
      this.#leave = undefined
    }
  }

  #turnTo(page: NativePage | null): void {
    if (page === null) {
      this.#end()
      return
    }
    this.#page = decode<E>(page)
    this.#next = 0
    this.#tellCaughtUp = page.caughtUp
  }

  /**
   * Listens to the signal only while it waits, so that a long-lived signal does not keep an abandoned iteration alive.
   */
  async #fetch(): Promise<NativePage | null> {
    const { signal, open, site } = this.#source
    const stop = (): void => {
      this.#end()
    }
    const forget = signal === undefined ? undefined : onAbort(signal, stop)
    try {
      return await mailbox.call(site, undefined, () => this.#start(open), page)
    } finally {
      forget?.()
    }
  }

  #start(open: () => NativeIteration): (number: number) => void {
    const pulled = (this.#native ??= open())
    return (number) => pulled.next(number)
  }

  #end(): void {
    this.#ended = true
    this.#page = []
    this.#next = 0
    this.#native?.close()
    this.#native = undefined
    this.#leave?.()
  }
}

const page = (found: NativePage | null): NativePage | null => found

function ignore(): undefined {
  return undefined
}
