import { native, type NativeCancel } from './native.js'

/** @internal Wraps the reason of a signal that ended a call, until the call rejects with the reason itself. */
export class Aborted {
  readonly reason: unknown

  constructor(signal: AbortSignal) {
    this.reason = signal.reason
  }
}

/** @internal Runs a call that a signal can withdraw. It then rejects at once, even if the native call still runs. */
export async function abortable<T>(signal: AbortSignal | undefined, call: (cancel?: NativeCancel) => Promise<T | null>): Promise<T> {
  if (signal === undefined) return (await call()) as T
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- unwrapped before it leaves
  if (signal.aborted) throw new Aborted(signal)
  const cancel = new native.NativeCancel()
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      cancel.cancel()
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- unwrapped before it leaves
      reject(new Aborted(signal))
    }
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return (await Promise.race([call(cancel), aborted])) as T
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
