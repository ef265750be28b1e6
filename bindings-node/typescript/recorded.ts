import { count, take, texts } from './arguments.js'
import { CallSite, refuse } from './calls.js'
import { Content, typeOf, valueOf, type ContentType } from './content.js'
import { micros, millis, type AnyEvent, type Metadata } from './events.js'
import { encode, encodeMetadata, wellFormed, type JsonText } from './json.js'
import { native, type NativePage } from './native.js'
import { isMarked, mark, ownBytes } from './realm.js'

/** What `recordedEvent({…})` makes a recorded event of. */
export interface RecordedEventFields<T extends string = string, D = unknown> {
  /** The stream it belongs to. */
  stream: string
  /** What happened. */
  type: T
  /** A value, JSON text or bytes. The default is `{}`. */
  data?: D | JsonText | undefined
  /** A JSON object beside the content. The default is `{}`. */
  metadata?: Metadata | undefined
  /** The default is 1. */
  version?: number | undefined
  /** The default is the version. */
  position?: number | undefined
  /** The default is a new one. */
  id?: string | undefined
  /** The default is none. */
  tags?: readonly string[] | undefined
  /** The name of the shape of `data`. By default it is absent. */
  schema?: string | undefined
  /** The default is now. */
  recordedAt?: Date | undefined
  /** In microseconds, instead of `recordedAt`. */
  recordedAtMicros?: number | undefined
}

/** The method that `console.log` calls. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** A recorded event before its content is decoded. */
class Stored {
  stream = ''
  version = 0
  position = 0
  id = ''
  type = ''
  content: string | Uint8Array = '{}'
  metadata = '{}'
  tags = NONE
  schema: string | undefined = undefined
  millis = 0
  micros = 0
}

/**
 * A recorded event: a plain value, whose fields a spread, `JSON.stringify`, `structuredClone` and `console.log` show.
 * `recordedEvent({…})` makes one, for tests.
 */
export class RecordedEvent<T extends string = string, D = unknown> extends Content {
  // Only declared: the constructor defines each field once, and many events are made.

  /** The stream it belongs to. */
  declare readonly stream: string
  /** Its number in the stream: 1, 2, 3, and so on without gaps. */
  declare readonly version: number
  /**
   * Its number in the log. Positions grow; gaps have no meaning. They are at most 2^53 − 1, which a number holds
   * exactly.
   */
  declare readonly position: number
  /** The id of the occurrence, a UUID. */
  declare readonly id: string
  /** What happened. */
  declare readonly type: T
  /** The content: a value, decoded from its JSON, or bytes. */
  declare readonly data: D
  /** A JSON object beside the content. */
  declare readonly metadata: Record<string, unknown>
  /** Labels, in the order given. */
  declare readonly tags: readonly string[]
  /** The name of the shape of `data`, chosen by its author. */
  declare readonly schema: string | undefined
  /** Whether the content is JSON or bytes. */
  declare readonly contentType: ContentType
  /** When it was recorded, in milliseconds. It informs, and is never an order. */
  declare readonly recordedAt: Date
  /**
   * When it was recorded, in microseconds since 1970 UTC. It informs, and is never an order. In the years 1684 to 2255
   * it is exact, and elsewhere the nearest number.
   */
  declare readonly recordedAtMicros: number
  readonly #metadata: string
  #data: unknown
  #values: unknown

  /** Makes one, as `recordedEvent({…})` does. */
  constructor(fields: RecordedEventFields<T, D>) {
    const of = (fields as unknown) instanceof Stored ? (fields as unknown as Stored) : checked(fields)
    super(of.content)
    this.stream = of.stream
    this.version = of.version
    this.position = of.position
    this.id = of.id
    this.type = of.type as T
    Object.defineProperty(this, 'data', DATA)
    Object.defineProperty(this, 'metadata', METADATA)
    this.tags = of.tags
    this.schema = of.schema
    this.contentType = typeOf(of.content)
    this.recordedAt = new Date(of.millis)
    this.recordedAtMicros = of.micros
    this.#metadata = of.metadata
  }

  /** The JSON text of the metadata, byte for byte as it was accepted. */
  get metadataText(): string {
    return this.#metadata
  }

  /** @internal Decodes the content at the first access, because many readers need a part of their events alone. */
  static data(recorded: RecordedEvent): unknown {
    return (recorded.#data ??= valueOf(recorded.text ?? recorded.bytes))
  }

  /** @internal As the data. */
  static metadata(recorded: RecordedEvent): unknown {
    return (recorded.#values ??= JSON.parse(recorded.#metadata))
  }

  /** @internal Prints the fields themselves, without the way in which they come to be. */
  [INSPECT](depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
    return `RecordedEvent ${inspect(Object.assign({}, this), { ...options, depth })}`
  }

  /** @internal */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isMarked(value, 'RecordedEvent')
  }

  static {
    mark(this.prototype, 'RecordedEvent')
  }
}

/** The properties of all recorded events that are decoded later. They are their own, to be copied and printed. */
const DATA = decodedBy((recorded) => RecordedEvent.data(recorded))
const METADATA = decodedBy((recorded) => RecordedEvent.metadata(recorded))

function decodedBy(decode: (recorded: RecordedEvent) => unknown): PropertyDescriptor {
  return {
    get(this: RecordedEvent) {
      return decode(this)
    },
    enumerable: true,
    configurable: true,
  }
}

/** The recorded form of each event of a union, discriminated by `type`. */
export type Recorded<E extends AnyEvent = AnyEvent> = E extends AnyEvent ? RecordedEvent<E['type'], E['data']> : never

/** Makes a recorded event, for tests of code that reads events. Only its stream and type are needed. */
export function recordedEvent<T extends string, D = unknown>(fields: RecordedEventFields<T, D>): RecordedEvent<T, D> {
  return new RecordedEvent<T, D>(fields)
}

const NONE: readonly string[] = Object.freeze([])

const FIELDS = ['stream', 'version', 'position', 'id', 'type', 'data', 'metadata', 'tags', 'schema', 'contentType', 'recordedAt', 'recordedAtMicros']
const KNOWN = Object.fromEntries(FIELDS.map((name) => [name, () => undefined]))

function checked(fields: RecordedEventFields): Stored {
  try {
    if ((fields as unknown) === undefined) refuse('fields', 'a recorded event is made of its fields: stream, type and others')
    take(fields, KNOWN, 'fields')
    return store(fields)
  } catch (refused) {
    throw new CallSite('recordedEvent', RecordedEvent as never).errorFrom(refused)
  }
}

function store(fields: RecordedEventFields): Stored {
  const { version = 1, position = version, id = native.newId(), data = {}, metadata = {}, tags = NONE, schema, recordedAt = new Date() } = fields
  const [given, content] = [fields.recordedAtMicros, encode('data', data)]
  const of = new Stored()
  of.stream = wellFormed('stream', fields.stream)
  of.version = count('version', version)
  of.position = count('position', position)
  of.id = wellFormed('id', id)
  of.type = wellFormed('type', fields.type)
  of.content = typeof content === 'string' ? content : ownBytes(content)
  of.metadata = encodeMetadata(metadata)
  of.tags = Object.freeze(texts('tags', tags))
  of.schema = schema === undefined ? undefined : wellFormed('schema', schema)
  of.millis = given === undefined ? millis(recordedAt) : Math.floor(micros(given) / 1000)
  of.micros = given ?? of.millis * 1000
  return of
}

/**
 * How many numbers an event has on a page: position, version, time (milliseconds, and the microseconds beyond them), kind
 * and length of a payload of bytes, and the lengths of stream, type, metadata, schema and tags.
 */
const NUMBERS = 11

/** @internal Decodes the events of a page, whose layout is in `src/page.rs`. */
export function decode<E extends AnyEvent>(page: NativePage): Recorded<E>[] {
  const { texts, numbers, bytes } = page
  const events: Recorded<E>[] = []
  // One for all events of the page: each event copies its fields.
  const of = new Stored()
  let cut = 0
  for (let place = 0; place < texts.length; place += 1) {
    const at = place * NUMBERS
    divide(texts[place] ?? '', numbers, at, of)
    if (numbers[at + 4] === 1) {
      // A copy, so that an event does not keep all payloads of its page alive.
      const end = cut + (numbers[at + 5] ?? 0)
      of.content = bytes === undefined ? new Uint8Array() : ownBytes(bytes.subarray(cut, end))
      cut = end
    }
    events.push(new RecordedEvent(of as never) as Recorded<E>)
  }
  return events
}

function divide(text: string, numbers: Float64Array, at: number, of: Stored): void {
  let cut = 0
  const take = (place: number): string => text.slice(cut, (cut += numbers[at + place] ?? 0))
  of.position = numbers[at] ?? 0
  of.version = numbers[at + 1] ?? 0
  of.millis = numbers[at + 2] ?? 0
  of.micros = of.millis * 1000 + (numbers[at + 3] ?? 0)
  of.stream = take(6)
  of.type = take(7)
  of.metadata = take(8)
  of.schema = take(9) || undefined
  const tags = take(10)
  of.tags = tags === '' ? NONE : Object.freeze(tags.split('\n'))
  of.id = text.slice(cut, cut + 36)
  of.content = text.slice(cut + 36)
}
