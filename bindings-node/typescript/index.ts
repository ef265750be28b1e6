/**
 * An event store as a library: append, read, snapshot and subscribe, with one contract on memory, SQLite, Postgres and
 * MongoDB. Start at {@link EventStore}.
 *
 * @packageDocumentation
 */

export {
  CheckpointAheadError,
  ClosedError,
  ConfigError,
  ConflictError,
  CorruptError,
  DuplicateEventError,
  InternalError,
  InvalidArgumentError,
  LimitExceededError,
  NotFoundError,
  StreamkeepError,
  UnavailableError,
} from './errors.js'
export type { ErrorCode, ErrorFacts, Outcome } from './errors.js'
export type { ContentType } from './content.js'
export { event } from './events.js'
export type { AnyEvent, Event, EventOptions, IdentifiedEvent, ImportEvent, Metadata } from './events.js'
export { EventIterator } from './iteration.js'
export { JsonText } from './json.js'
export type { Logger, LogLine } from './log.js'
export { setLogger } from './logger.js'
export type * from './options.js'
export { RecordedEvent, recordedEvent } from './recorded.js'
export type { Recorded, RecordedEventFields } from './recorded.js'
export type { Signal } from './signal.js'
export { Snapshot } from './snapshots.js'
export type { NewSnapshot } from './snapshots.js'
export { EventStore } from './store.js'
export type { Page } from './store.js'
export type * from './results.js'
