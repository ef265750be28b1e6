// Core's log lines, for whoever listens.

import type * as Channels from 'node:diagnostics_channel'
import type { NativeLogLine } from './native.js'

// eslint-disable-next-line @typescript-eslint/no-require-imports -- as the native module
const { channel } = (require('../builtin.cjs') as (name: string) => typeof Channels)('node:diagnostics_channel')
const CHANNEL = channel('streamkeep:log')

/** A log line of the store. */
export interface LogLine {
  level: 'error' | 'warn' | 'info' | 'debug'
  /** The part of the library that wrote it. */
  target: string
  /** What happened. */
  message: string
  /** The values that belong to it. */
  fields: Record<string, string | number>
}

/** Takes log lines. */
export type Logger = (line: LogLine) => void

let logger: Logger | undefined

/** @internal */
export function use(next: Logger | undefined): void {
  logger = next
}

/** @internal Passes lines to the channel and to the logger. An error of the logger becomes an unhandled rejection. */
export function publish(lines: NativeLogLine[]): void {
  for (const { level, target, message, fields } of lines) {
    const line = { level, target, message, fields: Object.fromEntries(fields.map(({ name, value }) => [name, value])) } as LogLine
    if (CHANNEL.hasSubscribers) CHANNEL.publish(line)
    try {
      logger?.(line)
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what the logger threw
      void Promise.reject(error)
    }
  }
}
