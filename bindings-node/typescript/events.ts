import { invalidArgument } from './errors.js'
import { encode, encodeMetadata, JsonText, wellFormed } from './json.js'
import { native, type NativeEvent } from './native.js'
import { RecordedEvent } from './recorded.js'

/** The event types of an application: a union, discriminated by `type`. */
export interface AnyEvent {
  type: string
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- undeclared events have any data
  data?: any
}

/** Facts about an event besides its content: an object, or the text of a JSON object, which is kept byte for byte. */
export type Metadata = Readonly<Record<string, unknown>> | string

/** The optional parts of an event besides its data. */
export interface EventOptions {
  /** A JSON object beside the content. The default is `{}`. */
  metadata?: Metadata | undefined
  /** A set of labels, in the order given. */
  tags?: readonly string[] | undefined
  /** The id of the occurrence, a UUID. By default `event(…)` or the append makes it. */
  id?: string | undefined
  /** The name of the shape of `data`, chosen by its author. */
  schema?: string | undefined
}

/** The data of an event: a value, or JSON text that is kept as it is. */
type WithData<E extends AnyEvent> = E extends AnyEvent
  ? 'data' extends keyof E
    ? undefined extends E['data']
      ? { readonly type: E['type']; readonly data?: E['data'] | JsonText }
      : { readonly type: E['type']; readonly data: E['data'] | JsonText }
    : { readonly type: E['type']; readonly data?: JsonText }
  : never

/** An event to append, which represents one occurrence. A `Uint8Array` as data is bytes, any other value is JSON. */
export type Event<E extends AnyEvent = AnyEvent> = WithData<E> & Readonly<EventOptions>

/** An event made by `event(…)`. It has its id, so the same object can be appended again after a failure. */
export interface IdentifiedEvent<T extends string = string, D = unknown> extends Readonly<EventOptions> {
  readonly type: T
  readonly data: D
  readonly id: string
}

/** An event that was recorded elsewhere, to import with its stream, version, id and time. */
export interface ImportEvent<E extends AnyEvent = AnyEvent> {
  /** The stream it belongs to. */
  stream: string
  /** Its version there. The default is the stream's next one. */
  version?: number | undefined
  /** When it was recorded. The default is now. */
  recordedAt?: Date | undefined
  /** When it was recorded, in microseconds, instead of `recordedAt`. */
  recordedAtMicros?: number | undefined
  /** The event. Types of the store (`$…`) are accepted too. */
  event: Event<E>
}

function make<T extends string, D>(type: T, data: D, options: EventOptions): IdentifiedEvent<T, D> {
  encode('data', data)
  // Set field by field: an object that is spread and then frozen changes its shape each time, which costs more than all
  // the rest.
  const made: { -readonly [Field in keyof IdentifiedEvent<T, D>]: IdentifiedEvent<T, D>[Field] } = { type, data, id: options.id ?? native.newId() }
  const { metadata, tags, schema } = options
  if (metadata !== undefined) made.metadata = metadata
  if (tags !== undefined) made.tags = tags
  if (schema !== undefined) made.schema = schema
  return Object.freeze(made)
}

/**
 * Makes an event with a new id. Make a new one for each occurrence.
 *
 * @param data a `Uint8Array` is bytes, any other value is JSON; the default is `{}`
 */
export function event<T extends string>(type: T): IdentifiedEvent<T, Record<string, never>>
export function event<T extends string, D>(type: T, data: D, options?: EventOptions): IdentifiedEvent<T, D>
export function event(...given: [type: string, data?: unknown, options?: EventOptions]): IdentifiedEvent {
  return make(given[0], given.length === 1 ? {} : given[1], given[2] ?? {})
}

/** Makes an event whose data is JSON text, which is kept byte for byte. */
event.json = <T extends string>(type: T, text: string, options: EventOptions = {}): IdentifiedEvent<T, JsonText> => make(type, new JsonText(text), options)

/** @internal */
export function toNative(given: Event): NativeEvent {
  if (typeof given !== 'object' || (given as object | null) === null) throw invalidArgument('events', 'an event must be an object with type and data')
  const out: NativeEvent = { type: wellFormed('type', given.type), data: dataOf(given) }
  if (given instanceof RecordedEvent) out.metadata = given.metadataText
  else if (given.metadata !== undefined) out.metadata = encodeMetadata(given.metadata)
  if (given.tags !== undefined) out.tags = texts('tags', given.tags)
  if (given.id !== undefined) out.id = wellFormed('id', given.id)
  if (given.schema !== undefined) out.schema = wellFormed('schema', given.schema)
  return out
}

/** Keeps the content of a recorded event byte for byte. */
function dataOf(given: Event): string | Uint8Array {
  if (given instanceof RecordedEvent) return given.text ?? given.bytes
  return 'data' in given ? encode('data', given.data) : '{}'
}

/** @internal */
export function importToNative(given: ImportEvent): NativeEvent {
  if (typeof given !== 'object' || typeof given.event !== 'object') throw invalidArgument('events', 'an event to import must be an object with stream and event')
  const out = toNative(given.event)
  out.stream = wellFormed('stream', given.stream)
  if (given.version !== undefined) out.version = count('version', given.version)
  const micros = given.recordedAtMicros ?? (given.recordedAt === undefined ? undefined : given.recordedAt.getTime() * 1000)
  if (micros === undefined) return out
  if (!Number.isSafeInteger(micros)) throw invalidArgument('recordedAt', 'recordedAt must be a valid time')
  out.recordedAtMicros = micros
  return out
}

/** @internal A whole number that a JavaScript number holds exactly. */
export function count(argument: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw invalidArgument(argument, `${argument} must be a whole number from 0 to 2^53 - 1`)
}

/** @internal */
export function texts(argument: string, values: readonly string[]): string[] {
  if (!Array.isArray(values)) throw invalidArgument(argument, `${argument} must be an array of strings`)
  return values.map((value) => wellFormed(argument, value))
}
