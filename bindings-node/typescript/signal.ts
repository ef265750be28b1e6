/**
 * Tells a call that its caller has gone: an `AbortSignal`. Only what a call needs is declared, so that the types of this
 * package need neither those of Node nor those of browsers.
 */
export interface Signal {
  /** Whether the caller has gone. */
  readonly aborted: boolean
  /** Why. */
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** The calls that one signal stops, and the listener that they share. */
interface Listening {
  readonly stops: Set<() => void>
  readonly listener: () => void
}

const LISTENING = new WeakMap<Signal, Listening>()

/**
 * @internal Calls a function when a signal is aborted, until the answer is called. All calls of a signal share one
 * listener, because Node warns of a leak if a signal has more than ten.
 */
export function onAbort(signal: Signal, stop: () => void): () => void {
  const listening = LISTENING.get(signal) ?? listenTo(signal)
  listening.stops.add(stop)
  return () => {
    listening.stops.delete(stop)
    if (listening.stops.size > 0 || LISTENING.get(signal) !== listening) return
    LISTENING.delete(signal)
    try {
      signal.removeEventListener('abort', listening.listener)
    } catch (error) {
      // A signal that a library made itself. The answers of other calls still come.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what the signal threw
      void Promise.reject(error)
    }
  }
}

function listenTo(signal: Signal): Listening {
  const stops = new Set<() => void>()
  const listener = (): void => {
    LISTENING.delete(signal)
    for (const stop of [...stops]) stop()
  }
  const listening = { stops, listener }
  signal.addEventListener('abort', listener, { once: true })
  LISTENING.set(signal, listening)
  return listening
}
