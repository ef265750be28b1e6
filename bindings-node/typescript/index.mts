// ESM re-exports the CommonJS façade, so that there is one class of each error and one native half in a process.
export {
  CheckpointAheadError,
  ClosedError,
  ConfigError,
  ConflictError,
  CorruptError,
  DuplicateEventError,
  event,
  EventIterator,
  EventStore,
  InternalError,
  InvalidArgumentError,
  JsonText,
  LimitExceededError,
  NotFoundError,
  RecordedEvent,
  Snapshot,
  StreamkeepError,
  UnavailableError,
} from './index.js'
export type * from './index.js'
