import type { AnyEvent } from './events.js'
import type { NativePage, NativeSnapshot } from './native.js'

const encoder = new TextEncoder()

/** Recorded content: the exact text or bytes, and on demand a value. */
abstract class Content<D> {
  readonly #content: string | Uint8Array
  #data: D | undefined

  constructor(content: string | Uint8Array) {
    this.#content = content
  }

  /** The content: a value, decoded from its JSON on the first access, or bytes. */
  get data(): D {
    this.#data ??= (typeof this.#content === 'string' ? JSON.parse(this.#content) : this.#content) as D
    return this.#data
  }

  /** The JSON text, byte for byte as it was accepted; `undefined` for bytes. */
  get text(): string | undefined {
    return typeof this.#content === 'string' ? this.#content : undefined
  }

  /** The bytes of the content, for JSON and for bytes. */
  get bytes(): Uint8Array {
    return typeof this.#content === 'string' ? encoder.encode(this.#content) : this.#content
  }

  /** Whether the content is JSON or bytes. */
  get contentType(): 'application/json' | 'application/octet-stream' {
    return typeof this.#content === 'string' ? 'application/json' : 'application/octet-stream'
  }
}

/** A recorded event. */
export class RecordedEvent<T extends string = string, D = unknown> extends Content<D> {
  /** The stream it belongs to. */
  readonly stream: string
  /** Its number in the stream: 1, 2, 3, and so on without gaps. */
  readonly version: number
  /**
   * Its number in the log. Positions grow; gaps have no meaning. They are at most 2^53 − 1, which a number holds
   * exactly.
   */
  readonly position: number
  /** The id of the occurrence, a UUID. */
  readonly id: string
  /** What happened. */
  readonly type: T
  /** Labels, in the order given. */
  readonly tags: readonly string[]
  /** The name of the shape of `data`, chosen by its author. */
  readonly schema: string | undefined
  /** When it was recorded, in microseconds since 1970 UTC. It informs, and is never an order. */
  readonly recordedAtMicros: number
  readonly #metadata: string

  /** @internal */
  constructor(text: string, numbers: Float64Array, at: number, payload: Uint8Array | undefined) {
    let cut = 0
    const take = (place: number): string => text.slice(cut, (cut += numbers[at + place] ?? 0))
    const [stream, type, metadata, schema, tags] = [take(5), take(6), take(7), take(8), take(9)]
    super(payload ?? text.slice(cut + 36))
    this.stream = stream
    this.version = numbers[at + 1] ?? 0
    this.position = numbers[at] ?? 0
    this.id = text.slice(cut, cut + 36)
    this.type = type as T
    this.tags = tags === '' ? NONE : tags.split('\n')
    this.schema = schema === '' ? undefined : schema
    this.recordedAtMicros = numbers[at + 2] ?? 0
    this.#metadata = metadata
  }

  /** A JSON object beside the content. Each access makes a new one. */
  get metadata(): Record<string, unknown> {
    return JSON.parse(this.#metadata) as Record<string, unknown>
  }

  /** The JSON text of the metadata, byte for byte as it was accepted. */
  get metadataText(): string {
    return this.#metadata
  }

  /** When it was recorded, in milliseconds. It informs, and is never an order. */
  get recordedAt(): Date {
    return new Date(this.recordedAtMicros / 1000)
  }
}

const NONE: readonly string[] = Object.freeze([])

/** The recorded form of each event of a union, discriminated by `type`. */
export type Recorded<E extends AnyEvent = AnyEvent> = E extends AnyEvent ? RecordedEvent<E['type'], E['data']> : never

/** The state that results from a stream's events up to a version, made by code with the name `schema`. */
export class Snapshot<S = unknown> extends Content<S> {
  /** The stream. */
  readonly stream: string
  /** The version of the last event that went into the state. */
  readonly version: number
  /** The name of the code that made it. */
  readonly schema: string

  /** @internal */
  constructor(native: NativeSnapshot) {
    super(native.text ?? native.bytes ?? new Uint8Array())
    this.stream = native.stream
    this.version = native.version
    this.schema = native.schema
  }
}

/**
 * How many numbers an event has on a page: position, version, time, kind and length of a payload of bytes, and the
 * lengths of stream, type, metadata, schema and tags.
 */
const NUMBERS = 10

/** @internal Decodes the events of a page, whose layout is in `src/page.rs`. */
export function decode<E extends AnyEvent>(page: NativePage): Recorded<E>[] {
  const { texts, numbers } = page
  let cut = 0
  return texts.map((text, place) => {
    const at = place * NUMBERS
    let payload: Uint8Array | undefined
    if (numbers[at + 3] === 1) {
      // A copy, so that an event does not keep all payloads of its page alive.
      payload = page.bytes?.slice(cut, (cut += numbers[at + 4] ?? 0)) ?? new Uint8Array()
    }
    return new RecordedEvent(text, numbers, at, payload) as Recorded<E>
  })
}
