// The calls that wait for an answer of the native module, which answers many of them at once.

import type { CallSite } from './calls.js'
import { publish } from './log.js'
import { native, type NativeLogLine, type NativeMailbox } from './native.js'
import { onAbort, type Signal } from './signal.js'

interface Waiting {
  /** Settles the promise of the call. It never throws. */
  settle: (result: unknown, error: string | null) => void
}

/** @internal The calls of this copy of the package. */
export class Mailbox {
  /** Where the native calls put their answers. */
  readonly native: NativeMailbox
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(mailbox: NativeMailbox = new native.NativeMailbox()) {
    this.native = mailbox
  }

  /**
   * Makes a call, and converts its result. Any failure rejects with the error of the call site; a signal rejects with its
   * reason at once, even if the call was sent and runs to its end.
   *
   * @param prepare checks the arguments, and returns what starts the call under a number
   */
  call<T>(site: CallSite, options: { signal?: Signal | undefined } | undefined, prepare: () => (number: number) => void, convert: (result: never) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      try {
        const start = prepare()
        const signal = options?.signal
        if (signal === undefined) this.#start(start, { settle })
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the reason is the caller's
        else if (signal.aborted) reject(signal.reason)
        else this.#startWith(signal, start, settle, reject)
      } catch (refused) {
        fail(refused)
      }

      function settle(result: unknown, error: string | null): void {
        if (error !== null) {
          fail(error)
          return
        }
        try {
          resolve(convert(result as never))
        } catch (thrown) {
          // The other answers still come.
          reject(site.broken(thrown))
        }
      }

      function fail(rejected: unknown): void {
        reject(site.errorFrom(rejected))
      }
    })
  }

  /** Whether log lines come also while no call waits. */
  listen(always: boolean): void {
    this.native.listen(always ? this.#settle : undefined)
  }

  #startWith(signal: Signal, start: (number: number) => void, settle: Waiting['settle'], reject: (reason: unknown) => void): void {
    let number: number | undefined
    // Before the call is sent: a signal that refuses the listener is a wrong argument.
    const forget = onAbort(signal, () => {
      if (number !== undefined) {
        this.#end(number)
        this.native.abandon(number)
      }
      reject(signal.reason)
    })
    try {
      number = this.#start(start, {
        settle: (result, error) => {
          forget()
          settle(result, error)
        },
      })
    } catch (refused) {
      forget()
      throw refused
    }
  }

  #start(start: (number: number) => void, waiting: Waiting): number {
    const number = this.#number()
    if (this.#waiting.size === 0) this.native.hold(this.#settle)
    this.#waiting.set(number, waiting)
    try {
      start(number)
    } catch (refused) {
      this.#end(number)
      throw refused
    }
    return number
  }

  #end(number: number): void {
    this.#waiting.delete(number)
    if (this.#waiting.size === 0) this.native.release()
  }

  /** The next number that is free. The native module has 32 bits for it. */
  #number(): number {
    do this.#last = (this.#last + 1) >>> 0
    while (this.#waiting.has(this.#last))
    return this.#last
  }

  readonly #settle = (answers: unknown[], lines: NativeLogLine[]): void => {
    for (let at = 0; at < answers.length; at += 3) {
      const number = answers[at] as number
      const waiting = this.#waiting.get(number)
      this.#waiting.delete(number)
      waiting?.settle(answers[at + 1], answers[at + 2] as string | null)
    }
    if (this.#waiting.size === 0) this.native.release()
    publish(lines)
  }
}

/** @internal The mailbox of this copy of the package. */
export const mailbox = new Mailbox()
