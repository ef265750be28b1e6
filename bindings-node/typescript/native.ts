// The declarations of the native module, as src/*.rs exports it. Private to this package.

export interface NativeEvent {
  type: string
  data: string | Uint8Array
  metadata?: string
  tags?: string[]
  id?: string
  schema?: string
  stream?: string
  version?: number
  recordedAtMillis?: number
  recordedAtMicros?: number
}

export interface NativePage {
  texts: string[]
  numbers: Float64Array
  bytes?: Uint8Array
  caughtUp: boolean
  reached: number
}

export interface NativeSnapshot {
  stream: string
  version: number
  schema: string
  text?: string
  bytes?: Uint8Array
}

export interface NativeReadOptions {
  fromVersion?: number
  toVersion?: number
  after?: number
  before?: number
  query?: { types?: string[]; tags?: string[]; categories?: string[]; streams?: string[] }[]
  direction?: string
  limit?: number
  timeoutMs?: number
  start?: string
}

export interface NativeOpenOptions {
  namespace?: string
  create?: boolean
  durability?: string
  timeoutMs?: number
  pollIntervalMs?: number
  maxConnections?: number
  insecure?: boolean
}

/** The native calls answer the mailbox, under the number that they are given. */
export interface NativeIteration {
  next(number: number): void
  close(): void
}

export interface NativeStore {
  append(number: number, stream: string, events: NativeEvent[], options: { expected?: string | number; timeoutMs?: number }): void
  importEvents(number: number, events: NativeEvent[], timeoutMs?: number): void
  read(stream: string, options: NativeReadOptions): NativeIteration
  readAll(options: NativeReadOptions): NativeIteration
  subscribe(options: NativeReadOptions): NativeIteration
  readPage(number: number, options: NativeReadOptions): void
  saveSnapshot(number: number, snapshot: { stream: string; version: number; schema: string; data: string | Uint8Array }, timeoutMs?: number): void
  loadSnapshot(number: number, stream: string, schema: string, atOrBefore?: number, timeoutMs?: number): void
  head(number: number, timeoutMs?: number): void
  close(number: number): void
  isClosed(): boolean
}

export interface NativeMailbox {
  /** Gives answers to this function, and keeps the event loop alive, until `release`. */
  hold(settle: Settle): void
  release(): void
  /** Abandons a call: it gets no answer any more. */
  abandon(number: number): void
}

/** Takes the number of a call, its result, and its error as JSON (else null); then those of the next call. */
export type Settle = (answers: unknown[]) => void

interface Native {
  open(mailbox: NativeMailbox, number: number, url: string, options: NativeOpenOptions): void
  newId(): string
  NativeMailbox: new () => NativeMailbox
  NativeStore: new () => NativeStore
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- one loader, CommonJS, for both module systems
export const native = require('../binding.cjs') as Native
