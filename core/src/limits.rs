//! The limits of the contract.

use std::time::Duration;

/// The largest `data` of an event or a snapshot: 8 MiB.
pub const MAX_DATA_BYTES: usize = 8 * 1024 * 1024;
/// The largest `metadata` of an event: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// The longest name of a stream, type, tag or schema: 255 bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The most tags of an event.
pub const MAX_TAGS: usize = 64;
/// The deepest nesting of a JSON value. `[]` is 1.
pub const MAX_JSON_DEPTH: usize = 64;
/// The most events of one append.
pub const MAX_APPEND_EVENTS: usize = 10_000;
/// The most bytes (data, metadata and names) of one append: 32 MiB.
pub const MAX_APPEND_BYTES: usize = 32 * 1024 * 1024;
/// The most items of a query.
pub const MAX_QUERY_ITEMS: usize = 64;
/// Most values (types, tags, categories and streams) that all items of a query name together.
pub const MAX_QUERY_VALUES: usize = 1_000;

/// The most events in a page of a read.
pub const PAGE_EVENTS: usize = 1_000;
/// The most bytes in a page of a read that has more than one event.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most events of the log that a page looks at, for a query that matches few.
pub const PAGE_SCAN_EVENTS: u64 = 20_000;
/// The most events in a group of more than one append.
pub(crate) const GROUP_EVENTS: usize = 1_000;
/// The most bytes in a group of more than one append.
pub(crate) const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// The most bytes of appends that wait in one namespace: 64 MiB.
pub(crate) const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// How many events of an import are written as one unit.
pub const IMPORT_CHUNK_EVENTS: usize = 1_000;

/// The default timeout of an operation.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The default time after which a subscription looks again without a notification.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest timeout of an operation. A longer one is shortened to this.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
