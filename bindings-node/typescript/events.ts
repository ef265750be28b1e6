import { count, take, texts } from './arguments.js'
import { CallSite, refuse } from './calls.js'
import { encode, encodeMetadata, JsonText, wellFormed } from './json.js'
import { native, type NativeEvent } from './native.js'
import { isBytes, isMarked, isRecord, isValidDate, kindOf, ownBytes } from './realm.js'
import type { Recorded, RecordedEvent } from './recorded.js'

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
    : { readonly type: E['type']; readonly data?: JsonText | Readonly<Record<string, never>> }
  : never

/** An event to append, which represents one occurrence. A `Uint8Array` as data is bytes, any other value is JSON. */
export type Event<E extends AnyEvent = AnyEvent> = WithData<E> & Readonly<EventOptions>

/**
 * An event made by `event(…)`. It has its id, so the same object can be appended again after a failure. It was encoded
 * when it was made, so later changes to the values it was made from do not reach it.
 */
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
  /** When it was recorded, in the years 1 to 9999. The default is now. */
  recordedAt?: Date | undefined
  /** When it was recorded, in microseconds, instead of `recordedAt`. */
  recordedAtMicros?: number | undefined
  /** The event, which can be a recorded one. Types of the store (`$…`) are accepted too. */
  event: Event<E> | Recorded<E>
}

/** The native form of each event that `event(…)` made. */
const ENCODED = new WeakMap<object, NativeEvent>()

function make(type: string, data: unknown, options: EventOptions | undefined): IdentifiedEvent {
  const encoded: NativeEvent = { type: wellFormed('type', type), data: encode('data', data), id: '' }
  take(options, { metadata: () => undefined, tags: () => undefined, id: () => undefined, schema: () => undefined })
  addOptions(encoded, options ?? {})
  encoded.id ||= native.newId()
  // Set field by field: an object that is spread and then frozen changes its shape each time, which costs more than all
  // the rest.
  const made: { -readonly [Field in keyof IdentifiedEvent]: IdentifiedEvent[Field] } = { type, data: kept(data, encoded.data), id: encoded.id }
  if (isBytes(encoded.data)) encoded.data = ownBytes(encoded.data)
  const { metadata, tags, schema } = encoded
  if (metadata !== undefined) made.metadata = typeof options?.metadata === 'string' ? metadata : (JSON.parse(metadata) as Metadata)
  if (tags !== undefined) made.tags = Object.freeze([...tags])
  if (schema !== undefined) made.schema = schema
  ENCODED.set(made, encoded)
  return Object.freeze(made)
}

/** The data of an event as it was encoded, which later changes to the given value do not reach. */
function kept(given: unknown, encoded: string | Uint8Array): unknown {
  if (typeof encoded !== 'string') return ownBytes(encoded)
  return typeof given === 'object' && given !== null && !isMarked(given, 'JsonText') ? JSON.parse(encoded) : given
}

/**
 * Makes an event with a new id. Make a new one for each occurrence.
 *
 * @param data a `Uint8Array` is bytes, any other value is JSON; the default is `{}`
 */
export function event<T extends string>(type: T): IdentifiedEvent<T, Record<string, never>>
export function event<T extends string, D>(type: T, data: D, options?: EventOptions): IdentifiedEvent<T, D>
export function event(...given: [type: string, data?: unknown, options?: EventOptions]): IdentifiedEvent {
  return made(event, () => make(given[0], given.length === 1 ? {} : given[1], given[2]))
}

/** Makes an event whose data is JSON text, which is kept byte for byte. */
event.json = <T extends string>(type: T, text: string, options?: EventOptions): IdentifiedEvent<T, JsonText> =>
  made(event.json, () => make(type, new JsonText(wellFormed('data', text)), options) as IdentifiedEvent<T, JsonText>)

/** Runs a function that makes an event. A refused argument throws the error of that call. */
function made<T>(caller: (...given: never[]) => unknown, make: () => T): T {
  try {
    return make()
  } catch (refused) {
    throw new CallSite('event', caller).errorFrom(refused)
  }
}

const RECORDED =
  'a recorded event cannot be appended again: it has its place in the log. Make a new event of its content: event(recorded.type, recorded.data, { metadata: recorded.metadata, tags: recorded.tags, schema: recorded.schema })'

/** @internal An event to append. */
export function toNative(given: unknown): NativeEvent {
  const encoded = encodedOf(given)
  if (encoded !== undefined) return encoded
  if (!isRecord(given)) refuse('events', `an event must be an object with type and data, not ${kindOf(given)}`)
  if (isRecorded(given)) {
    refuse('events', RECORDED)
  }
  return convert(given)
}

/** An event of `event(…)` was encoded when it was made. */
function encodedOf(given: unknown): NativeEvent | undefined {
  return typeof given === 'object' && given !== null ? ENCODED.get(given) : undefined
}

/** Whether an object is a recorded event, or a copy of one that has lost its class. */
function isRecorded(given: Record<string, unknown>): boolean {
  return isMarked(given, 'RecordedEvent') || ['stream', 'version', 'position'].every((field) => Object.hasOwn(given, field))
}

function convert(given: Record<string, unknown>): NativeEvent {
  const out: NativeEvent = { type: wellFormed('type', given['type']), data: 'data' in given ? encode('data', given['data']) : '{}' }
  addOptions(out, given)
  return out
}

function addOptions(out: NativeEvent, { metadata, tags, id, schema }: EventOptions): void {
  if (metadata !== undefined) out.metadata = encodeMetadata(metadata)
  if (tags !== undefined) out.tags = texts('tags', tags)
  if (id !== undefined) out.id = wellFormed('id', id)
  if (schema !== undefined) out.schema = wellFormed('schema', schema)
}

/** @internal An event to import. The content of a recorded event is kept byte for byte. */
export function importToNative(given: unknown): NativeEvent {
  if (!isRecord(given)) refuse('events', `an event to import must be an object with stream and event, not ${kindOf(given)}`)
  const { event: content, stream, version, recordedAt, recordedAtMicros } = given
  if (!isRecord(content)) refuse('event', `event must be an object with type and data, not ${kindOf(content)}`)
  const out = { ...(encodedOf(content) ?? convert(isMarked(content, 'RecordedEvent') ? exact(content as unknown as RecordedEvent) : content)) }
  out.stream = wellFormed('stream', stream)
  if (version !== undefined) out.version = count('version', version)
  if (recordedAtMicros !== undefined) out.recordedAtMicros = micros(recordedAtMicros)
  else if (recordedAt !== undefined) out.recordedAtMillis = millis(recordedAt)
  return out
}

function exact(recorded: RecordedEvent): Record<string, unknown> {
  const { type, text, bytes, metadataText, tags, id, schema } = recorded
  return { type, data: text === undefined ? bytes : new JsonText(text), metadata: metadataText, tags, id, schema }
}

/** @internal A time in milliseconds, which a `Date` of any realm has. */
export function millis(recordedAt: unknown): number {
  if (isValidDate(recordedAt)) return Date.prototype.getTime.call(recordedAt)
  return refuse('recordedAt', `recordedAt must be a valid Date, not ${kindOf(recordedAt)}`)
}

/** @internal A time in microseconds. Those before 1684 and after 2255 are whole numbers too, with gaps between them. */
export function micros(recordedAtMicros: unknown): number {
  if (Number.isInteger(recordedAtMicros)) return recordedAtMicros as number
  return refuse('recordedAtMicros', `recordedAtMicros must be a whole number of microseconds, not ${kindOf(recordedAtMicros)}`)
}
