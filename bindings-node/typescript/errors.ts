import { isMarked, mark } from './realm.js'

/** What is known about a write that ended in an error: nothing was or will be written, or it may have been written. */
export type Outcome = 'not applied' | 'unknown'

/** The stable codes of errors. Programs use these or the classes. */
export type ErrorCode =
  | 'conflict'
  | 'duplicate-event'
  | 'not-found'
  | 'invalid-argument'
  | 'limit-exceeded'
  | 'config'
  | 'unavailable'
  | 'checkpoint-ahead'
  | 'corrupt'
  | 'closed'
  | 'internal'

/** The attributes of an error that a test makes, and the facts of its class. */
export interface ErrorFacts {
  /** The default is true for `unavailable` alone. */
  retryable?: boolean | undefined
  /** The default is `not applied`. */
  outcome?: Outcome | undefined
  ids?: readonly string[] | undefined
  operation?: string | undefined
  hint?: string | undefined
  cause?: unknown
  readonly [fact: string]: unknown
}

/** The code of each class. A subclass of the caller's own has none. */
const CODES = new Map<unknown, ErrorCode>()

/**
 * The error of every operation. Its subclasses have the facts of their kind. Messages are for people.
 *
 * `instanceof` recognises an error of another realm too, for example under Jest or in a `node:vm` context.
 */
export class StreamkeepError extends Error {
  /** The stable code. */
  readonly code: ErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  /** What is known about the write that ended in this error. */
  readonly outcome: Outcome
  /** The event ids of the append that ended in this error. */
  readonly ids: readonly string[]
  /** The method that failed, for example `append`. */
  readonly operation: string | undefined
  /** What the reader of the message can do about it. */
  readonly hint: string | undefined

  /** Makes an error, for tests. */
  constructor(message = '', facts: ErrorFacts = {}) {
    const { retryable, outcome, ids, operation, hint, cause, ...rest } = facts
    const unknown = outcome === 'unknown' ? ' (outcome: unknown)' : ''
    const whole = `${operation === undefined ? '' : `${operation}: `}${message}${hint === undefined ? '' : `; ${hint}`}${unknown}`
    super(whole, cause === undefined ? undefined : { cause })
    this.code = codeOf(new.target)
    this.retryable = retryable ?? this.code === 'unavailable'
    this.outcome = outcome ?? 'not applied'
    this.ids = ids ?? []
    this.operation = operation
    this.hint = hint
    for (const [name, value] of Object.entries(rest)) Object.defineProperty(this, name, { value, enumerable: true })
  }

  /** @internal */
  static override [Symbol.hasInstance](this: unknown, value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this as typeof StreamkeepError, value)) return true
    if (!isMarked(value, 'error')) return false
    return this === StreamkeepError || (CODES.has(this) && (value as StreamkeepError).code === CODES.get(this))
  }

  static {
    this.prototype.name = 'StreamkeepError'
    mark(this.prototype, 'error')
  }
}

/** The code of a class, which a subclass of the caller's own has from its base. */
function codeOf(type: unknown): ErrorCode {
  for (let at = type; at !== null && at !== undefined; at = Object.getPrototypeOf(at)) {
    const code = CODES.get(at)
    if (code !== undefined) return code
  }
  return 'internal'
}

/** The stream is not at the expected version. Reload and decide again. */
export class ConflictError extends StreamkeepError {
  /** The stream. */
  declare readonly stream: string
  /** The expected version of the append. */
  declare readonly expected: number | 'any' | 'no-stream' | 'stream-exists'
  /** The version that the decision was based on. */
  declare readonly actual: number
}

/** An event id is already known, with other content or at another place. Check how ids are made. */
export class DuplicateEventError extends StreamkeepError {
  /** The id. */
  declare readonly id: string
  /** The stream in which it is recorded. */
  declare readonly stream: string
  /** Its version there. */
  declare readonly version: number
}

/** Something does not exist. */
export class NotFoundError extends StreamkeepError {
  /** What does not exist. */
  declare readonly what: string
}

/** The call is wrong. Fix it. */
export class InvalidArgumentError extends StreamkeepError {
  /** Which argument or option. */
  declare readonly argument: string
}

/** A value exceeds a limit. Send less. */
export class LimitExceededError extends StreamkeepError {
  /** Which limit. */
  declare readonly what: string
  /** The limit. */
  declare readonly limit: number
  /** The size of the value. */
  declare readonly actual: number
}

/** The URL, the options or the configuration of the server has to change. */
export class ConfigError extends StreamkeepError {}

/** The database did not answer before the deadline. Retry: the event ids make that safe. */
export class UnavailableError extends StreamkeepError {}

/** A checkpoint or cursor is above every position that the log has drawn, for example after a backup was restored. */
export class CheckpointAheadError extends StreamkeepError {
  /** The consumer; `null` for a subscription or read. */
  declare readonly consumer: string | null
  /** The checkpoint. */
  declare readonly checkpoint: number
  /** The log's head. */
  declare readonly head: number
}

/** Stored data is not valid. Stop, then repair it or upgrade the library. */
export class CorruptError extends StreamkeepError {
  /** Where it was found. */
  declare readonly where: string
}

/** The store was closed. Open a new one. */
export class ClosedError extends StreamkeepError {}

/** A bug in this library. */
export class InternalError extends StreamkeepError {}

const CLASSES: Record<ErrorCode, typeof StreamkeepError> = {
  conflict: ConflictError,
  'duplicate-event': DuplicateEventError,
  'not-found': NotFoundError,
  'invalid-argument': InvalidArgumentError,
  'limit-exceeded': LimitExceededError,
  config: ConfigError,
  unavailable: UnavailableError,
  'checkpoint-ahead': CheckpointAheadError,
  corrupt: CorruptError,
  closed: ClosedError,
  internal: InternalError,
}

for (const [code, type] of Object.entries(CLASSES)) {
  CODES.set(type, code as ErrorCode)
  type.prototype.name = type.name
}

/** @internal The class of a code. */
export function classOf(code: ErrorCode): typeof StreamkeepError {
  return CLASSES[code]
}
