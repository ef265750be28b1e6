// A call of this package: where it was made, and the error in which it can end.

import { classOf, InternalError, InvalidArgumentError, type ErrorCode, type Outcome } from './errors.js'
import { isMarked } from './realm.js'

/** An error in the form in which core passes it. */
interface ErrorData {
  code: ErrorCode
  message: string
  retryable: boolean
  outcome: Outcome
  ids: string[]
  hint: string | null
  cause: string | null
  fields: Record<string, unknown>
}

/** @internal A refused argument, until the call makes its error of it. */
export class Refusal {
  constructor(
    readonly argument: string,
    readonly message: string,
    readonly cause?: unknown,
  ) {}
}

/** @internal Refuses an argument. */
export function refuse(argument: string, message: string, cause?: unknown): never {
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- the call that catches it makes an error of it
  throw new Refusal(argument, message, cause)
}

/** @internal The stack of a call, for its error, which is made when the call is no longer on the stack. */
export class CallSite<Operation extends string = string> {
  declare readonly stack: string | undefined

  constructor(
    /** The method, which the error names as its operation. */
    readonly operation: Operation,
    below: (...given: never[]) => unknown = CallSite as never,
  ) {
    Error.captureStackTrace(this, below)
  }

  /** Converts what the native module threw or answered, or a refused argument, to the error of this call. */
  errorFrom(rejected: unknown): Error {
    return isMarked(rejected, 'error') ? (rejected as Error) : this.#here(this.#make(rejected))
  }

  /** The error of a call whose answer this package could not take. */
  broken(cause: unknown): Error {
    return this.#here(new InternalError('the answer could not be taken', { operation: this.operation, cause }))
  }

  /** Gives an error the stack of this call. */
  #here(error: Error): Error {
    const frames = this.stack?.replace(/^[^\n]*/, '') ?? ''
    Object.defineProperty(error, 'stack', { value: `${error.name}: ${error.message}${frames}`, writable: true, configurable: true })
    return error
  }

  #make(rejected: unknown): Error {
    const { operation } = this
    if (rejected instanceof Refusal) {
      const { argument, message, cause } = rejected
      return new InvalidArgumentError(message, { argument, operation, cause })
    }
    const message = typeof rejected === 'string' ? rejected : messageOf(rejected)
    if (!message.startsWith('{"')) return new InvalidArgumentError(message, { argument: 'arguments', operation, cause: rejected })
    const { code, fields, message: words, hint, cause, ...rest } = JSON.parse(message) as ErrorData
    const { argument } = fields
    if (typeof argument === 'string') fields['argument'] = camel(argument)
    const added = { operation, hint: hint ?? undefined, cause: cause === null ? undefined : new Error(cause) }
    return new (classOf(code))(words, { ...fields, retryable: rest.retryable, outcome: rest.outcome, ids: rest.ids, ...added })
  }
}

/** Its error is of the realm of the native module, so its prototype says nothing. */
function messageOf(rejected: unknown): string {
  const { message } = Object(rejected) as { message?: unknown }
  return typeof message === 'string' ? message : String(rejected)
}

const camel = (name: string): string => name.replace(/_[a-z]/g, (found) => found.slice(1).toUpperCase())
