// Generated from generate/surface.json by `make generate`. Do not edit it.

// The plain results of calls.

/** The version and position of the last event of an append. Do not use `position` as a cursor: an event with a smaller position can still be uncommitted. `repeated` tells that the same events were appended before; the result is then the one of that time. */
export interface AppendResult {
  /** The stream's version after the append. */
  version: number
  /** The position of the last event. */
  position: number
  /** Whether the same events were appended before. */
  repeated: boolean
}

/** What an import did. */
export interface ImportResult {
  /** Events written. */
  imported: number
  /** Events that were stored already, with the same content. */
  passedOver: number
  /** The position of the last event given; 0 if none was given. */
  position: number
}
