import { count } from './arguments.js'
import { CallSite, refuse } from './calls.js'
import { Content, typeOf, valueOf, type ContentType } from './content.js'
import { encode, JsonText, wellFormed } from './json.js'
import type { NativeNewSnapshot, NativeSnapshot } from './native.js'
import { isMarked, isRecord, kindOf, mark, ownBytes } from './realm.js'

/** A snapshot to save. Its data is a value, JSON text that is kept as it is, or bytes. */
export interface NewSnapshot<S = unknown> {
  /** The stream. */
  stream: string
  /** The version of the last event that went into the state. */
  version: number
  /** The name of the code that made it. A snapshot with another schema is another snapshot. */
  schema: string
  /** The state, at most 8 MiB. */
  data: S | JsonText | Uint8Array
}

/**
 * The state that results from a stream's events up to a version, made by code with the name `schema`. A plain value, as
 * a recorded event is.
 */
export class Snapshot<S = unknown> extends Content {
  /** The stream. */
  readonly stream: string
  /** The version of the last event that went into the state. */
  readonly version: number
  /** The name of the code that made it. */
  readonly schema: string
  /** The state: a value, decoded from its JSON, or bytes. */
  readonly data: S
  /** Whether the state is JSON or bytes. */
  readonly contentType: ContentType

  /** Makes one, for tests. */
  constructor(fields: NewSnapshot<S>) {
    const { stream, version, schema, data } = checked(fields)
    const content = typeof data === 'string' ? data : ownBytes(data)
    super(content)
    this.stream = stream
    this.version = version
    this.schema = schema
    this.data = valueOf(content) as S
    this.contentType = typeOf(content)
  }

  /** @internal */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isMarked(value, 'Snapshot')
  }

  static {
    mark(this.prototype, 'Snapshot')
  }
}

/** @internal A snapshot to save, in the form of the native module. The state of a loaded one is kept byte for byte. */
export function snapshotToNative(given: unknown): NativeNewSnapshot {
  if (!isRecord(given)) refuse('snapshot', `snapshot must be an object with stream, version, schema and data, not ${kindOf(given)}`)
  const { stream, version, schema, data } = given
  return {
    stream: wellFormed('stream', stream),
    version: count('version', version),
    schema: wellFormed('schema', schema),
    data: isMarked(given, 'Snapshot') ? exact(given as unknown as Snapshot) : encode('data', data),
  }
}

const exact = (snapshot: Snapshot): string | Uint8Array => snapshot.text ?? snapshot.bytes

/** @internal */
export function snapshotFrom<S>({ stream, version, schema, text, bytes }: NativeSnapshot): Snapshot<S> {
  return new Snapshot<S>({ stream, version, schema, data: text === undefined ? (bytes ?? new Uint8Array()) : new JsonText(text) })
}

function checked(fields: unknown): ReturnType<typeof snapshotToNative> {
  try {
    return snapshotToNative(fields)
  } catch (refused) {
    throw new CallSite('Snapshot', Snapshot as never).errorFrom(refused)
  }
}
