/** What is known of a write that ended in an error: nothing was and will be written, or it may have been. */
export type Outcome = 'not applied' | 'unknown'

/** The stable codes of errors; a program acts on these, or on the classes. */
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

/** An error as the core hands it over. */
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

/** The error of every operation; its subclasses carry the facts of their kind. Messages are for people. */
export class StreamkeepError extends Error {
  /** What kind of error it is. */
  readonly code: ErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  /** What is known of the write this error answers. */
  readonly outcome: Outcome
  /** The ids of the append this error answers, to look for them or to repeat it. */
  readonly ids: readonly string[]
  /** What was being done, for people. */
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

/** The stream was not at the expected version: reload and decide again. */
export class ConflictError extends StreamkeepError {
  /** The stream. */
  declare readonly stream: string
  /** What the append demanded. */
  declare readonly expected: number | 'any' | 'no-stream' | 'stream-exists'
  /** The version the decision saw. */
  declare readonly actual: number

  static {
    this.prototype.name = 'ConflictError'
  }
}

/** An id is known already, with other content or in another place: look at the ids. */
export class DuplicateEventError extends StreamkeepError {
  /** The id. */
  declare readonly id: string
  /** Where it is recorded: the stream. */
  declare readonly stream: string
  /** Where it is recorded: the version. */
  declare readonly version: number

  static {
    this.prototype.name = 'DuplicateEventError'
  }
}

/** What was asked for does not exist. */
export class NotFoundError extends StreamkeepError {
  /** What was asked for. */
  declare readonly what: string

  static {
    this.prototype.name = 'NotFoundError'
  }
}

/** The call is wrong: fix it. */
export class InvalidArgumentError extends StreamkeepError {
  /** Which argument or option. */
  declare readonly argument: string

  static {
    this.prototype.name = 'InvalidArgumentError'
  }
}

/** A value is larger than a limit: send less. */
export class LimitExceededError extends StreamkeepError {
  /** Which limit. */
  declare readonly what: string
  /** The limit. */
  declare readonly limit: number
  /** What was given. */
  declare readonly actual: number

  static {
    this.prototype.name = 'LimitExceededError'
  }
}

/** URL, options or the server's set-up must be changed. */
export class ConfigError extends StreamkeepError {
  static {
    this.prototype.name = 'ConfigError'
  }
}

/** The database could not be reached, or not in time: retry, ids make that safe. */
export class UnavailableError extends StreamkeepError {
  static {
    this.prototype.name = 'UnavailableError'
  }
}

/** A checkpoint or cursor lies above anything the log ever had: a restored backup. */
export class CheckpointAheadError extends StreamkeepError {
  /** The consumer, or nothing for a plain subscription. */
  declare readonly consumer: string | null
  /** The checkpoint. */
  declare readonly checkpoint: number
  /** The log's head. */
  declare readonly head: number

  static {
    this.prototype.name = 'CheckpointAheadError'
  }
}

/** Stored data cannot be believed: stop, repair, upgrade. */
export class CorruptError extends StreamkeepError {
  /** Where it was seen. */
  declare readonly where: string

  static {
    this.prototype.name = 'CorruptError'
  }
}

/** The store was closed: open a new one. */
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

/** @internal An argument that cannot be handed to the core. */
export function invalidArgument(argument: string, message: string, cause?: unknown): InvalidArgumentError {
  const nothing = { retryable: false, outcome: 'not applied', ids: [], context: null, cause: null } as const
  return new InvalidArgumentError({ ...nothing, ids: [], code: 'invalid-argument', message, fields: { argument } }, cause)
}

/** @internal Where a call came from, so that its error says so although it is made when nothing of the call is left on the stack. */
export class CallSite {
  declare readonly stack: string | undefined

  constructor() {
    Error.captureStackTrace(this, CallSite)
  }

  /** Makes what the native half rejected with, or the face refused, the error of this call. */
  errorFrom(rejected: unknown): unknown {
    const error = rejected instanceof StreamkeepError ? rejected : fromNative(rejected)
    if (error instanceof StreamkeepError) {
      const frames = this.stack?.replace(/^[^\n]*/, '') ?? ''
      Object.defineProperty(error, 'stack', { value: `${error.name}: ${error.message}${frames}`, writable: true, configurable: true })
    }
    return error
  }
}

/** What is not in the form of the core (an argument of the wrong JavaScript type) is an invalid argument. */
function fromNative(rejected: unknown): unknown {
  if (!(rejected instanceof Error)) return rejected
  if (!rejected.message.startsWith('{"')) return invalidArgument('arguments', rejected.message, rejected)
  const data = JSON.parse(rejected.message) as ErrorData
  const { argument } = data.fields
  if (typeof argument === 'string') data.fields['argument'] = argument.replace(/_[a-z]/g, (found) => found.slice(1).toUpperCase())
  return new CLASSES[data.code](data)
}
