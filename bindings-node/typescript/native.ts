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

export interface NativeIteration {
  next(): Promise<NativePage | null>
  close(): void
}

export interface NativeCancel {
  cancel(): void
}

export interface NativeStore {
  append(
    stream: string,
    events: NativeEvent[],
    options: { expected?: string | number; timeoutMs?: number },
    cancel?: NativeCancel,
  ): Promise<{ version: number; position: number; repeated: boolean } | null>
  importEvents(events: NativeEvent[], timeoutMs?: number, cancel?: NativeCancel): Promise<{ imported: number; passedOver: number; position: number } | null>
  read(stream: string, options: NativeReadOptions): NativeIteration
  readAll(options: NativeReadOptions): NativeIteration
  subscribe(options: NativeReadOptions): NativeIteration
  readPage(options: NativeReadOptions, cancel?: NativeCancel): Promise<NativePage | null>
  saveSnapshot(snapshot: { stream: string; version: number; schema: string; data: string | Uint8Array }, timeoutMs?: number, cancel?: NativeCancel): Promise<null>
  loadSnapshot(stream: string, schema: string, atOrBefore?: number, timeoutMs?: number, cancel?: NativeCancel): Promise<{ found?: NativeSnapshot } | null>
  head(timeoutMs?: number, cancel?: NativeCancel): Promise<number | null>
  close(): Promise<void>
  isClosed(): boolean
}

interface Native {
  open(url: string, options: NativeOpenOptions, cancel?: NativeCancel): Promise<NativeStore | null>
  newId(): string
  NativeCancel: new () => NativeCancel
  NativeStore: new () => NativeStore
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- one loader, CommonJS, for both module systems
export const native = require('../binding.cjs') as Native
