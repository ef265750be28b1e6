//! Every limit the contract names, in one place.

use std::time::Duration;

/// Longest `data` of an event or a snapshot: 8 MiB.
pub const MAX_DATA_BYTES: usize = 8 * 1024 * 1024;
/// Longest `metadata` of an event: 64 KiB.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Longest stream name, type, tag or schema name: 255 bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// Most tags an event can carry.
pub const MAX_TAGS: usize = 64;
/// Deepest nesting of a JSON value; `[]` is 1.
pub const MAX_JSON_DEPTH: usize = 64;
/// Most events one append takes.
pub const MAX_APPEND_EVENTS: usize = 10_000;
/// Most bytes (data, metadata and names) one append takes: 32 MiB.
pub const MAX_APPEND_BYTES: usize = 32 * 1024 * 1024;
/// Most items a query joins by OR.
pub const MAX_QUERY_ITEMS: usize = 64;

/// Most events a page of a read holds.
pub const PAGE_EVENTS: usize = 1_000;
/// Most bytes a page of a read holds, or one event.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most events of the log one page looks at for a sparse query.
pub const PAGE_SCAN_EVENTS: u64 = 20_000;
/// Most events a group of appends holds, or one append.
pub(crate) const GROUP_EVENTS: usize = 1_000;
/// Most bytes a group of appends holds, or one append.
pub(crate) const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes of appends that wait in one store: 64 MiB.
pub(crate) const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Events an import writes whole or not at all.
pub const IMPORT_CHUNK_EVENTS: usize = 1_000;

/// How long an operation may take unless said otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a subscription waits before it looks again without a notification.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The longest an operation can be given; a longer time is this one.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
