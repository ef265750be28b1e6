// What holds in every realm. Jest, Vitest's vm pools and `node:vm` give the caller's code its own `Error`, `Date`, `Map`
// and `Uint8Array`, and each of their contexts loads this package again. The native module belongs to the main realm.
// So nothing here asks for a prototype: an object of ours has a mark, and one of the language is known by what it is.

import type * as Util from 'node:util'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- as the native module
const { TextEncoder, types } = (require('../builtin.cjs') as (name: string) => typeof Util)('node:util')
const encoder = new TextEncoder()

/** The same symbol in every realm and every copy of this package. */
const MARK = Symbol.for('streamkeep.mark')

type Marked = 'error' | 'JsonText' | 'RecordedEvent' | 'Snapshot'

/** @internal Marks the objects of a class. */
export function mark(prototype: object, name: Marked): void {
  Object.defineProperty(prototype, MARK, { value: name })
}

/** @internal Whether a value is an object of that class, of any realm and any copy of this package. */
export function isMarked(value: unknown, name: Marked): value is object {
  return typeof value === 'object' && value !== null && (value as { [MARK]?: unknown })[MARK] === name && !Object.hasOwn(value, MARK)
}

/** @internal Bytes: a `Uint8Array` or a `Buffer`. */
export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value)
}

/** @internal A copy of bytes that belongs to this realm, with memory of its own. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** @internal The UTF-8 of a text. */
export function utf8(text: string): Uint8Array {
  return ownBytes(encoder.encode(text))
}

/** @internal Whether a value is a built-in object with content that is not in its fields: JSON has `{}` for it. */
export function isOpaque(value: object): boolean {
  if (Array.isArray(value)) return false
  if (types.isMap(value) || types.isSet(value) || types.isRegExp(value) || types.isNativeError(value)) return true
  if (isBuffer(value) || types.isPromise(value)) return true
  return tagOf(value) !== 'Object' && Object.keys(value).length === 0
}

/** @internal An `ArrayBuffer`, shared or not. */
export function isBuffer(value: unknown): value is ArrayBufferLike {
  return types.isAnyArrayBuffer(value)
}

/** @internal The value of a `Number`, `String` or another object around a primitive value; else the value itself. */
export function unboxed(value: unknown): unknown {
  return types.isBoxedPrimitive(value) ? value.valueOf() : value
}

/** @internal */
export function isInvalidDate(value: unknown): boolean {
  return types.isDate(value) && !isValidDate(value)
}

/** @internal */
export function isValidDate(value: unknown): value is Date {
  return types.isDate(value) && !Number.isNaN(Date.prototype.getTime.call(value))
}

/** @internal What a value is, without its content: `NaN`, `a Map`, `a bigint`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  if (types.isDate(value)) return isValidDate(value) ? 'a Date' : 'an invalid Date'
  const tag = tagOf(value)
  return /^[AEIOU]/.test(tag) ? `an ${tag}` : `a ${tag}`
}

/** @internal `Object` for plain objects and those of a class, else the name of the built-in kind. */
export function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

/** @internal An object with fields: not an array, a `Map`, a `Date` or another built-in object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && tagOf(value) === 'Object'
}

/**
 * @internal Node 20 has `Symbol.asyncDispose` in its main realm only, as a symbol that all realms share. In another one
 * the method of a class is named `undefined`, and gets that symbol instead.
 */
export function disposable(prototype: { [Symbol.asyncDispose](): Promise<void> }): void {
  if ((Symbol.asyncDispose as symbol | undefined) !== undefined) return
  Object.defineProperty(prototype, Symbol.for('nodejs.asyncDispose'), { value: prototype[Symbol.asyncDispose], writable: true, configurable: true })
  Reflect.deleteProperty(prototype, 'undefined')
}
