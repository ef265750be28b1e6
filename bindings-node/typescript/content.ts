import { utf8 } from './realm.js'

/** Whether recorded content is JSON or bytes. */
export type ContentType = 'application/json' | 'application/octet-stream'

/** Recorded content: the exact text or bytes. */
export abstract class Content {
  readonly #content: string | Uint8Array

  /** @internal */
  constructor(content: string | Uint8Array) {
    this.#content = content
  }

  /** The JSON text, byte for byte as it was accepted; `undefined` for bytes. */
  get text(): string | undefined {
    return typeof this.#content === 'string' ? this.#content : undefined
  }

  /** The bytes of the content, for JSON and for bytes. */
  get bytes(): Uint8Array {
    return typeof this.#content === 'string' ? utf8(this.#content) : this.#content
  }
}

/** @internal */
export function typeOf(content: string | Uint8Array): ContentType {
  return typeof content === 'string' ? 'application/json' : 'application/octet-stream'
}

/** @internal The value of a content: decoded from its JSON, or the bytes themselves. */
export function valueOf(content: string | Uint8Array): unknown {
  return typeof content === 'string' ? JSON.parse(content) : content
}
