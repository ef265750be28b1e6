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
