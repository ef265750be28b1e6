import { refuse, Refusal, CallSite } from './calls.js'
import { isBuffer, isBytes, isInvalidDate, isMarked, isOpaque, kindOf, mark, unboxed } from './realm.js'

/** JSON text that is kept byte for byte. It can be given wherever data is expected. */
export class JsonText {
  /** The text. */
  readonly text: string

  constructor(text: string) {
    if (typeof text !== 'string') throw new CallSite('JsonText', JsonText as never).errorFrom(new Refusal('text', `text must be a string, not ${kindOf(text)}`))
    this.text = text
    Object.freeze(this)
  }

  /** @internal */
  static [Symbol.hasInstance](value: unknown): boolean {
    return isMarked(value, 'JsonText')
  }

  static {
    mark(this.prototype, 'JsonText')
  }
}

/** @internal A payload for the native module: JSON text or bytes. */
export function encode(argument: string, value: unknown): string | Uint8Array {
  if (isBytes(value)) return value
  if (isMarked(value, 'JsonText')) return wellFormed(argument, (value as JsonText).text)
  if (value === undefined) refuse(argument, `${argument} must not be undefined; null is JSON null`)
  if (ArrayBuffer.isView(value) || isBuffer(value)) refuse(argument, `bytes must be a Uint8Array, not ${kindOf(value)}`)
  return stringify(argument, value)
}

/** @internal Metadata for the native module: the text of a JSON object, given as an object or as that text. */
export function encodeMetadata(metadata: unknown): string {
  return typeof metadata === 'string' ? wellFormed('metadata', metadata) : stringify('metadata', metadata)
}

/** @internal Checks that text can become UTF-8: the conversion would silently replace a lone surrogate. */
export function wellFormed(argument: string, text: unknown): string {
  if (typeof text !== 'string') refuse(argument, `${argument} must be a string, not ${kindOf(text)}`)
  if (!text.isWellFormed()) refuse(argument, `${argument} has a lone surrogate`)
  return text
}

/** More levels than core accepts, so that a circular value ends the look. */
const MAX_DEPTH = 66

function stringify(argument: string, value: unknown): string {
  try {
    return isPlain(value, MAX_DEPTH) ? JSON.stringify(value) : stringifyWithCare(argument, value)
  } catch (cause) {
    // A getter, a toJSON or a proxy of the caller can throw anything.
    if (cause instanceof Refusal) throw cause
    return refuse(argument, `${argument} cannot be written as JSON: ${String((Object(cause) as { message?: unknown }).message ?? cause)}`, cause)
  }
}

/** Whether JSON.stringify writes all of a value as it is. Most values are like that, and looking costs little. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || depth === 0 || (value as { toJSON?: unknown }).toJSON !== undefined) return false
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) if (!isPlain(value[at], depth - 1)) return false
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key]
    if (field !== undefined && !isPlain(field, depth - 1)) return false
  }
  return true
}

/** Writes a value as JSON. Where JSON.stringify would silently write something else, it refuses it and says where. */
function stringifyWithCare(argument: string, value: unknown): string {
  /** The objects from the value to the one whose fields are written, each with its key. */
  const path: { key: string; object: object }[] = []
  const refuseAt = (key: string, what: string): never => {
    const keys = path.length === 0 ? [] : [...path.slice(1).map((step) => step.key), key]
    const where = keys.map((one, place) => (Array.isArray(path[place]?.object) ? `[${one}]` : member(one))).join('')
    return refuse(argument, `${argument}${where} ${what}`)
  }
  function check(this: object, key: string, written: unknown): unknown {
    while (path.length > 0 && path.at(-1)?.object !== this) path.pop()
    const given = (this as Record<string, unknown>)[key]
    const lost = whatIsLost(given, written, Array.isArray(this) || path.length === 0)
    if (lost !== undefined) refuseAt(key, lost === 'undefined' && !(key in this) ? 'is a hole of a sparse array' : `is ${lost}, which JSON cannot carry`)
    if (typeof written === 'object' && written !== null) {
      if (path.some((step) => step.object === written)) refuseAt(key, 'is circular, which JSON cannot carry')
      path.push({ key, object: written })
    }
    return written
  }
  return JSON.stringify(value, check)
}

const member = (key: string): string => (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`)

/** What JSON.stringify would lose of a value, given before and after its `toJSON`; undefined if nothing. */
function whatIsLost(given: unknown, written: unknown, needed: boolean): string | undefined {
  if (isInvalidDate(given)) return 'an invalid Date'
  // A Buffer has a toJSON, but what it writes is not what anybody reads back as bytes.
  if (ArrayBuffer.isView(given)) return `bytes (${kindOf(given)})`
  const value = unboxed(written)
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? undefined : String(value)
    case 'undefined':
      return needed ? 'undefined' : undefined
    case 'function':
    case 'symbol':
    case 'bigint':
      return kindOf(value)
    case 'object':
      return value !== null && isOpaque(value) ? kindOf(value) : undefined
    default:
      return undefined
  }
}
