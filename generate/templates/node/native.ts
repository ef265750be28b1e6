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
  {% for field in query_item.fields %}
  {{ field.name }}?: string[]
  {% endfor %}
}
{% for method in methods if method.options %}

export interface Native{{ method.name | pascal }}Options {
  {% for option in method.options if not option.stays %}
  {{ option.named | camel }}?: {{ option.native }}
  {% endfor %}
}
{% endfor %}

/** The native calls answer the mailbox, under the number that they are given. */
export interface NativeIteration {
  next(call: number): void
  close(): void
}

export interface NativeStore {
  {% for method in methods if method.shape in ["answer", "events", "subscription"] %}
  {{ method.name | camel }}({% if method.shape == "answer" %}call: number, {% endif %}{% for argument in method.arguments %}{{ argument.name }}: {{ argument.native }}, {% endfor %}options: Native{{ method.name | pascal }}Options): {{ "void" if method.shape == "answer" else "NativeIteration" }}
  {% endfor %}
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
  {% for method in methods if method.shape == "open" %}
  {{ method.name | camel }}(mailbox: NativeMailbox, call: number, {% for argument in method.arguments %}{{ argument.name }}: {{ argument.native }}, {% endfor %}options: Native{{ method.name | pascal }}Options): void
  {% endfor %}
  newId(): string
  NativeMailbox: new () => NativeMailbox
  NativeStore: new () => NativeStore
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- one loader, CommonJS, for both module systems
export const native = require('../binding.cjs') as Native
