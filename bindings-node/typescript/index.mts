// ESM re-exports the CommonJS module, so that a process has each error class and the native module only once.
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
  recordedEvent,
  setLogger,
  Snapshot,
  StreamkeepError,
  UnavailableError,
} from './index.js'
export type * from './index.js'
