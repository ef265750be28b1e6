import { Aborted } from './calls.js'
import { native, type NativeCancel } from './native.js'

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

/** @internal Runs a call that a signal can withdraw. It then rejects at once, even if the native call still runs. */
export async function abortable<T>(signal: Signal | undefined, call: (cancel?: NativeCancel) => Promise<T | null>): Promise<T> {
  if (signal === undefined) return (await call()) as T
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- unwrapped before it leaves
  if (signal.aborted) throw new Aborted(signal.reason)
  const cancel = new native.NativeCancel()
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      cancel.cancel()
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- unwrapped before it leaves
      reject(new Aborted(signal.reason))
    }
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return (await Promise.race([call(cancel), aborted])) as T
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
