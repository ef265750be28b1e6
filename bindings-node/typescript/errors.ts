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

/** An error in the form in which core passes it. */
interface ErrorData {
  code: ErrorCode
  message: string
  retryable: boolean
  outcome: Outcome
  ids: string[]
  context: string | null
  cause: string | null
  fields: Record<string, unknown>
}

/** The error of every operation. Its subclasses have the facts of their kind. Messages are for people. */
export class StreamkeepError extends Error {
  /** The stable code. */
  readonly code: ErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  /** What is known about the write that ended in this error. */
  readonly outcome: Outcome
  /** The event ids of the append that ended in this error. */
  readonly ids: readonly string[]
  /** The hint or the operation that failed, for people. */
  readonly context: string | undefined

  /** @internal */
  constructor(data: ErrorData, cause: unknown = data.cause === null ? undefined : new Error(data.cause)) {
    super((data.context === null ? '' : `${data.context}: `) + data.message, cause === undefined ? undefined : { cause })
    this.code = data.code
    this.retryable = data.retryable
    this.outcome = data.outcome
    this.ids = data.ids
    this.context = data.context ?? undefined
    for (const [name, value] of Object.entries(data.fields)) {
      Object.defineProperty(this, name, { value, enumerable: true })
    }
  }

  static {
    this.prototype.name = 'StreamkeepError'
  }
}

/** The stream is not at the expected version. Reload and decide again. */
export class ConflictError extends StreamkeepError {
  /** The stream. */
  declare readonly stream: string
  /** The expected version of the append. */
  declare readonly expected: number | 'any' | 'no-stream' | 'stream-exists'
  /** The version that the decision was based on. */
  declare readonly actual: number

  static {
    this.prototype.name = 'ConflictError'
  }
}

/** An event id is already known, with other content or at another place. Check how ids are made. */
export class DuplicateEventError extends StreamkeepError {
  /** The id. */
  declare readonly id: string
  /** The stream in which it is recorded. */
  declare readonly stream: string
  /** Its version there. */
  declare readonly version: number

  static {
    this.prototype.name = 'DuplicateEventError'
  }
}

/** Something does not exist. */
export class NotFoundError extends StreamkeepError {
  /** What does not exist. */
  declare readonly what: string

  static {
    this.prototype.name = 'NotFoundError'
  }
}

/** The call is wrong. Fix it. */
export class InvalidArgumentError extends StreamkeepError {
  /** Which argument or option. */
  declare readonly argument: string

  static {
    this.prototype.name = 'InvalidArgumentError'
  }
}

/** A value exceeds a limit. Send less. */
export class LimitExceededError extends StreamkeepError {
  /** Which limit. */
  declare readonly what: string
  /** The limit. */
  declare readonly limit: number
  /** The size of the value. */
  declare readonly actual: number

  static {
    this.prototype.name = 'LimitExceededError'
  }
}

/** The URL, the options or the configuration of the server has to change. */
export class ConfigError extends StreamkeepError {
  static {
    this.prototype.name = 'ConfigError'
  }
}

/** The database did not answer before the deadline. Retry: the event ids make that safe. */
export class UnavailableError extends StreamkeepError {
  static {
    this.prototype.name = 'UnavailableError'
  }
}

/** A checkpoint or cursor is above every position that the log has drawn, for example after a backup was restored. */
export class CheckpointAheadError extends StreamkeepError {
  /** The consumer; `undefined` for a subscription or read. */
  declare readonly consumer: string | null
  /** The checkpoint. */
  declare readonly checkpoint: number
  /** The log's head. */
  declare readonly head: number

  static {
    this.prototype.name = 'CheckpointAheadError'
  }
}

/** Stored data is not valid. Stop, then repair it or upgrade the library. */
export class CorruptError extends StreamkeepError {
  /** Where it was found. */
  declare readonly where: string

  static {
    this.prototype.name = 'CorruptError'
  }
}

/** The store was closed. Open a new one. */
export class ClosedError extends StreamkeepError {
  static {
    this.prototype.name = 'ClosedError'
  }
}

/** A bug in this library. */
export class InternalError extends StreamkeepError {
  static {
    this.prototype.name = 'InternalError'
  }
}

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

/** @internal An argument that cannot be passed to core. */
export function invalidArgument(argument: string, message: string, cause?: unknown): InvalidArgumentError {
  const nothing = { retryable: false, outcome: 'not applied', ids: [], context: null, cause: null } as const
  return new InvalidArgumentError({ ...nothing, ids: [], code: 'invalid-argument', message, fields: { argument } }, cause)
}

/** @internal The stack of a call, for its error, which is made when the call is no longer on the stack. */
export class CallSite {
  declare readonly stack: string | undefined

  constructor() {
    Error.captureStackTrace(this, CallSite)
  }

  /** Converts a rejection of the native module, or a refused argument, to the error of this call. */
  errorFrom(rejected: unknown): unknown {
    const error = rejected instanceof StreamkeepError ? rejected : fromNative(rejected)
    if (error instanceof StreamkeepError) {
      const frames = this.stack?.replace(/^[^\n]*/, '') ?? ''
      Object.defineProperty(error, 'stack', { value: `${error.name}: ${error.message}${frames}`, writable: true, configurable: true })
    }
    return error
  }
}

/** An error that is not in core's form is an argument of the wrong JavaScript type. */
function fromNative(rejected: unknown): unknown {
  if (!(rejected instanceof Error)) return rejected
  if (!rejected.message.startsWith('{"')) return invalidArgument('arguments', rejected.message, rejected)
  const data = JSON.parse(rejected.message) as ErrorData
  const { argument } = data.fields
  if (typeof argument === 'string') data.fields['argument'] = argument.replace(/_[a-z]/g, (found) => found.slice(1).toUpperCase())
  return new CLASSES[data.code](data)
}
