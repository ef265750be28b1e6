// Generated from generate/surface.json by `make generate`. Do not edit it.

// The declarations of the native module. Private to this package.

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

/** Its layout is in `src/page.rs`. */
export interface NativePage {
  texts: string[]
  numbers: Float64Array
  bytes?: Uint8Array
  caughtUp: boolean
  reached: number
}

export interface NativeNewSnapshot {
  stream: string
  version: number
  schema: string
  data: string | Uint8Array
}

export interface NativeSnapshot {
  stream: string
  version: number
  schema: string
  text?: string
  bytes?: Uint8Array
}

export interface NativeQueryItem {
  types?: string[]
  tags?: string[]
  categories?: string[]
  streams?: string[]
}

export interface NativeAppendOptions {
  expected?: string | number
  timeoutMs?: number
}

export interface NativeHeadOptions {
  timeoutMs?: number
}

export interface NativeImportEventsOptions {
  timeoutMs?: number
}

export interface NativeLastOptions {
  timeoutMs?: number
}

export interface NativeLoadSnapshotOptions {
  atOrBefore?: number
  timeoutMs?: number
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

export interface NativeReadOptions {
  fromVersion?: number
  toVersion?: number
  direction?: string
  limit?: number
  timeoutMs?: number
}

export interface NativeReadAllOptions {
  after?: number
  before?: number
  query?: NativeQueryItem[]
  direction?: string
  limit?: number
  timeoutMs?: number
}

export interface NativeReadPageOptions {
  after?: number
  query?: NativeQueryItem[]
  limit?: number
  timeoutMs?: number
}

export interface NativeSaveSnapshotOptions {
  timeoutMs?: number
}

export interface NativeSubscribeOptions {
  query?: NativeQueryItem[]
  start?: string
  after?: number
}

/** The native calls answer the mailbox, under the number that they are given. */
export interface NativeIteration {
  next(call: number): void
  close(): void
}

export interface NativeStore {
  append(call: number, stream: string, events: NativeEvent[], options: NativeAppendOptions): void
  head(call: number, options: NativeHeadOptions): void
  importEvents(call: number, events: NativeEvent[], options: NativeImportEventsOptions): void
  last(call: number, stream: string, options: NativeLastOptions): void
  loadSnapshot(call: number, stream: string, schema: string, options: NativeLoadSnapshotOptions): void
  read(stream: string, options: NativeReadOptions): NativeIteration
  readAll(options: NativeReadAllOptions): NativeIteration
  readPage(call: number, options: NativeReadPageOptions): void
  saveSnapshot(call: number, snapshot: NativeNewSnapshot, options: NativeSaveSnapshotOptions): void
  subscribe(options: NativeSubscribeOptions): NativeIteration
  close(call: number): void
}

export interface NativeLogLine {
  level: string
  target: string
  message: string
  fields: { name: string; value: string | number }[]
}

export interface NativeMailbox {
  /** Gives answers and log lines to this function, and keeps the event loop alive, until `release`. */
  hold(settle: Settle): void
  release(): void
  /** Gives log lines to this function also while no call waits. */
  listen(settle?: Settle): void
  /** Abandons a call: it gets no answer any more. */
  abandon(call: number): void
}

/** Takes the number of a call, its result, and its error as JSON (else null), then those of the next call; and log lines. */
export type Settle = (answers: unknown[], lines: NativeLogLine[]) => void

interface Native {
  open(mailbox: NativeMailbox, call: number, url: string, options: NativeOpenOptions): void
  newId(): string
  NativeMailbox: new () => NativeMailbox
  NativeStore: new () => NativeStore
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- one loader, CommonJS, for both module systems
export const native = require('../binding.cjs') as Native
