import { invalidArgument } from './errors.js'

/** JSON text that is kept byte for byte. It can be given wherever data is expected. */
export class JsonText {
  /** The text. */
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** Objects that `JSON.stringify` would silently write as `{}`. */
const OPAQUE = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer]

/** @internal A payload for the native module: JSON text or bytes. */
export function encode(argument: string, value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return value
  if (value instanceof JsonText) return wellFormed(argument, value.text)
  if (value === undefined) throw invalidArgument(argument, `${argument} must not be undefined; null is JSON null`)
  if (ArrayBuffer.isView(value)) throw invalidArgument(argument, `bytes must be a Uint8Array, not a ${value.constructor.name}`)
  const text = stringify(argument, value)
  if (text === '{}' && OPAQUE.some((type) => value instanceof type)) {
    throw invalidArgument(argument, `JSON has no form for a ${(value as object).constructor.name}`)
  }
  return text
}

/** @internal Metadata for the native module: the text of a JSON object, given as an object or as that text. */
export function encodeMetadata(metadata: unknown): string {
  return typeof metadata === 'string' ? wellFormed('metadata', metadata) : stringify('metadata', metadata)
}

/** A value without a JSON form gives undefined, which the declaration of JSON.stringify leaves out. */
const write = (value: unknown): string | undefined => JSON.stringify(value)

function stringify(argument: string, value: unknown): string {
  let text: string | undefined
  try {
    text = write(value)
  } catch (cause) {
    throw invalidArgument(argument, `${argument} cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  if (text === undefined) throw invalidArgument(argument, `${argument} cannot be written as JSON`)
  return text
}

/** @internal Checks that text can become UTF-8: the conversion would silently replace a lone surrogate. */
export function wellFormed(argument: string, text: unknown): string {
  if (typeof text !== 'string') throw invalidArgument(argument, `${argument} must be a string`)
  if (!text.isWellFormed()) throw invalidArgument(argument, `${argument} has a lone surrogate`)
  return text
}
