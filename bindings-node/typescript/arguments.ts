// Checks that a value can be passed to core. What it may be besides is core's to say.

import { refuse } from './calls.js'
import { wellFormed } from './json.js'
import { isRecord, kindOf } from './realm.js'

/** @internal The check of an option. */
export type Check = (name: string, value: unknown) => unknown

/** @internal A whole number that a JavaScript number holds exactly. */
export function count(argument: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  return refuse(argument, `${argument} must be a whole number from 0 to 2^53 - 1, not ${kindOf(value)}`)
}

/** @internal */
export function texts(argument: string, values: unknown): string[] {
  if (!Array.isArray(values)) refuse(argument, `${argument} must be an array of strings, not ${kindOf(values)}`)
  // Unlike `map`, this does not pass over the holes of a sparse array.
  return Array.from(values, (value: unknown) => {
    if (typeof value !== 'string') refuse(argument, `${argument} must be an array of strings, but has ${kindOf(value)}`)
    return wellFormed(argument, value)
  })
}

/** @internal */
export function flag(argument: string, value: unknown): boolean {
  if (typeof value !== 'boolean') refuse(argument, `${argument} must be true or false, not ${kindOf(value)}`)
  return value
}

/** @internal One of a few words. */
export function word(...words: string[]): Check {
  const [last, ...others] = words.map((one) => `'${one}'`).reverse()
  const taken = `${others.reverse().join(', ')} or ${last ?? ''}`
  return (argument, value) => {
    if (typeof value === 'string' && words.includes(value)) return value
    return refuse(argument, `${argument} must be ${taken}${typeof value === 'string' ? '' : `, not ${kindOf(value)}`}`)
  }
}

/** @internal One of a few words, or a version. */
export function wordOrVersion(...words: string[]): Check {
  const [last, ...others] = words.map((one) => `'${one}'`).reverse()
  const taken = `a version (a whole number from 0 to 2^53 - 1), ${others.reverse().join(', ')} or ${last ?? ''}`
  return (argument, value) => {
    if (typeof value === 'string' ? words.includes(value) : Number.isSafeInteger(value) && (value as number) >= 0) return value
    return refuse(argument, `${argument} must be ${taken}${typeof value === 'string' ? '' : `, not ${kindOf(value)}`}`)
  }
}

/** @internal An `AbortSignal` of any realm, or of a library that makes its own. */
export function signal(argument: string, value: unknown): undefined {
  const { aborted, addEventListener, removeEventListener } = Object(value) as Record<string, unknown>
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function') return undefined
  return refuse(argument, `${argument} must be an AbortSignal, not ${kindOf(value)}`)
}

/** @internal */
export function callback(argument: string, value: unknown): undefined {
  if (typeof value !== 'function') refuse(argument, `${argument} must be a function, not ${kindOf(value)}`)
  return undefined
}

/** @internal The items of a query, in the form of the native module. */
export function query(argument: string, value: unknown): Record<string, unknown>[] {
  const items: unknown[] = Array.isArray(value) ? Array.from(value as unknown[]) : [value]
  const lists = { types: texts, tags: texts, categories: texts, streams: texts }
  return items.map((item) => {
    if (!isRecord(item)) refuse(argument, `${argument} must be a query item or an array of them, not ${kindOf(item)}`)
    return take(item, lists)
  })
}

/**
 * @internal Copies options for the native module, without those that are undefined and those that a check keeps here. An
 * option with an unknown name is refused.
 */
export function take(given: unknown, checks: Record<string, Check>, what = 'options'): Record<string, never> {
  if (given === undefined) return {}
  if (!isRecord(given)) refuse(what, `${what} must be an object, not ${kindOf(given)}`)
  const taken: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) refuse(name, `unknown ${what === 'options' ? 'option' : 'field'} '${name}'`)
    if (value === undefined) continue
    const checked = check(name, value)
    if (checked !== undefined) taken[name] = checked
  }
  // Each value has passed its check.
  return taken as Record<string, never>
}
