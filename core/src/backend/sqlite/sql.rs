//! The SQL statements of one namespace, built when it is opened.
//!
//! The driver passes each statement to a thread, which costs about as much as a small statement itself. So statements
//! that belong together are sent as one text. Each is prepared once and kept.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::row::Bound;

/// `Skp1`: marks the file as Streamkeep's, for the store and for tools like `file`.
pub(super) const APPLICATION_ID: i64 = 0x536B_7031;

/// A statement's text, shared with the driver.
pub(super) type Text = Arc<str>;

/// The columns of an event's content, in the order they are bound.
pub(super) const CONTENT_COLUMNS: &str = "id, recorded_at, type, schema, tags, metadata, data, data_bytes";
/// All columns of an event, in the order they are bound.
pub(super) const EVENT_COLUMNS: &str =
    "position, stream, version, id, recorded_at, type, schema, tags, metadata, data, data_bytes";
/// The number of columns of an event.
pub(super) const EVENT_WIDTH: usize = 11;

/// The numbers of rows for which there is an insert. Fewer rows are padded with NULLs, so that few statements are
/// prepared.
const CHUNKS: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// The numbers of events after the first for which there is an append to one stream, padded likewise. A padding row
/// costs a quarter of a real one. The sizes suit round numbers of events.
const RUNS: [usize; 9] = [4, 9, 19, 31, 49, 63, 79, 99, 127];
const CONTENT_WIDTH: usize = 8;

/// Data and metadata up to this length together are read with their event. Longer content is fetched separately, and
/// only for events that the page returns.
const INLINE_BYTES: usize = 8 * 1024;

/// An insert of a fixed number of rows.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) rows: usize,
    pub(super) text: Text,
}

/// The statements of one namespace.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) namespace: String,
    pub(super) events: String,
    pub(super) tags: String,
    /// Begins a write transaction, and reads the last position and the version of each stream.
    pub(super) begin: Text,
    /// A planted bug: the same with a transaction that takes the write lock only later.
    begin_deferred: Text,
    /// Appends one event, if the stream's version is between two bounds.
    pub(super) append_one: Text,
    /// The same, and returns the event's position and version.
    pub(super) append_one_and_tell: Text,
    /// Appends several events to one stream likewise; each with the number of events after the first.
    append_runs: Vec<(usize, Text)>,
    pub(super) inserts: Vec<Insert>,
    /// Inserts the tags of the events between two positions.
    pub(super) tag: Text,
    /// Writes the file's header unchanged, and commits. SQLite would skip an update that changes nothing, but it does
    /// not skip this.
    pub(super) touch_and_commit: Text,
    /// Reads events by their ids.
    pub(super) by_id: Text,
    /// Reads long content by positions.
    pub(super) content: Text,
    pub(super) stream_version: Text,
    pub(super) event_id: Text,
    pub(super) stream_forward: Text,
    pub(super) stream_backward: Text,
    pub(super) log_forward: Text,
    pub(super) log_backward: Text,
    /// Reads the last position. No higher one is drawn yet, because positions are drawn and committed in one
    /// transaction.
    pub(super) head: Text,
    pub(super) save_snapshot: Text,
    pub(super) load_snapshot: Text,
}

impl Sql {
    pub(super) fn new(namespace: &str) -> Self {
        let events = format!("streamkeep_{namespace}_events");
        let tags = format!("streamkeep_{namespace}_tags");
        let snapshots = format!("streamkeep_{namespace}_snapshots");
        let columns = packed("");
        let head = format!("SELECT max(position) FROM {events}");
        let facts = facts(&events, 0);
        let tag = format!(
            "INSERT OR IGNORE INTO {tags} (tag, position) SELECT t.value, e.position FROM {events} AS e, json_each(e.tags) AS t \
             WHERE e.position BETWEEN ? AND ?"
        );
        let stream = |order: &str| {
            join_packed(&format!(
                "SELECT {columns} AS event FROM {events} WHERE stream = ? AND version BETWEEN ? AND ? AND type IS NOT NULL \
                 ORDER BY version {order} LIMIT ?"
            ))
        };
        let log = |order: &str| {
            join_packed(&format!(
                "SELECT {columns} AS event FROM {events} WHERE position > ? AND position < ? ORDER BY position {order} LIMIT ?"
            ))
        };
        Self {
            namespace: namespace.to_owned(),
            begin: format!("BEGIN IMMEDIATE; {facts}").into(),
            begin_deferred: format!("BEGIN DEFERRED; {facts}").into(),
            append_one: append_one(&events).into(),
            append_one_and_tell: format!("{}; SELECT position, version FROM {events} WHERE position = last_insert_rowid()", append_one(&events)).into(),
            append_runs: RUNS.iter().map(|rows| (*rows, append_run(&events, *rows).into())).collect(),
            inserts: CHUNKS.iter().map(|rows| insert(&events, *rows)).collect(),
            tag: tag.into(),
            touch_and_commit: format!("PRAGMA application_id = {APPLICATION_ID}; COMMIT").into(),
            by_id: join_packed(&format!("SELECT {columns} AS event FROM {events} WHERE id IN (SELECT unhex(value) FROM json_each(?)) LIMIT ?")).into(),
            content: format!(
                "SELECT position, metadata, coalesce(data, data_bytes) FROM {events} \
                 WHERE position IN (SELECT value FROM json_each(?)) AND type IS NOT NULL"
            )
            .into(),
            stream_version: format!("SELECT coalesce(max(version), 0) FROM {events} WHERE stream = ?").into(),
            event_id: format!("SELECT id FROM {events} WHERE stream = ? AND version = ?").into(),
            stream_forward: stream("ASC").into(),
            stream_backward: stream("DESC").into(),
            log_forward: log("ASC").into(),
            log_backward: log("DESC").into(),
            head: head.into(),
            save_snapshot: format!(
                "INSERT INTO {snapshots} (stream, schema, version, event_id, checksum, data, data_bytes) VALUES (?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (stream, schema, version) DO UPDATE SET event_id = excluded.event_id, checksum = excluded.checksum, \
                 data = excluded.data, data_bytes = excluded.data_bytes"
            )
            .into(),
            load_snapshot: format!(
                "SELECT version, event_id, checksum, coalesce(data, data_bytes) FROM {snapshots} \
                 WHERE stream = ? AND schema = ? AND version <= ? ORDER BY version DESC LIMIT 1"
            )
            .into(),
            events,
            tags,
        }
    }

    /// A prepared statement. Its text is built by this module; callers' values are only passed as arguments.
    pub(super) fn query(&self, text: &Text) -> Bound {
        sqlx::query(AssertSqlSafe(Arc::clone(text)))
    }

    /// The statement that begins a write. It takes the write lock first, so that what it reads does not change before
    /// the commit.
    pub(super) fn begin(&self) -> &Text {
        if crate::faults::planted("sqlite-deferred-begin") { &self.begin_deferred } else { &self.begin }
    }

    /// The statement that appends this many events to one stream; at least two. `None` if they are too many.
    pub(super) fn append_run(&self, events: usize) -> Option<&Text> {
        self.append_runs.iter().find(|(after_first, _)| *after_first >= events.saturating_sub(1)).map(|(_, text)| text)
    }

    /// Reads within a transaction what `begin` reads, and marks the rows with a number.
    pub(super) fn facts(&self, number: usize) -> String {
        facts(&self.events, number)
    }

    /// The insert for this many rows, or for the first of them if there are more.
    pub(super) fn insert(&self, rows: usize) -> Option<&Insert> {
        self.inserts.iter().find(|insert| insert.rows >= rows).or(self.inserts.last())
    }
}

/// An event as one text, which [`super::row::ReadRow`] reads: one line of numbers and lengths, then the texts. An empty
/// length means NULL.
///
/// The driver copies each column separately and passes on each row separately. One text for a whole page costs a third
/// of that.
pub(super) fn packed(table: &str) -> String {
    let column = |name: &str| format!("{table}{name}");
    let [data, bytes, metadata] = ["data", "data_bytes", "metadata"].map(column);
    let lengths = ["stream", "type", "schema", "tags", "metadata"]
        .map(|name| format!("octet_length({table}{name})"))
        .join(", ' ', ");
    let texts = ["stream", "type", "schema", "tags"].map(column).join(", ");
    let long =
        format!("octet_length(coalesce({data}, {bytes})) + coalesce(octet_length({metadata}), 0) > {INLINE_BYTES}");
    format!(
        "concat({table}position, ' ', {table}version, ' ', {table}recorded_at, ' ', hex({table}id), ' ', {lengths}, ' ', \
         iif({long}, 'long', iif({data} IS NULL, 'hex', 'text')), ' ', octet_length(coalesce({data}, {bytes})), char(10), \
         {texts}, iif({long}, '', concat({metadata}, coalesce({data}, hex({bytes})))))"
    )
}

/// Joins a page's rows, each in a column `event`, into one text. The page's limit makes SQLite keep the order of the
/// rows.
pub(super) fn join_packed(page: &str) -> String {
    format!("SELECT group_concat(event, '') FROM ({page})")
}

/// Reads the last position, in a row without a stream, and the version of each stream. Each row begins with a number.
/// Argument: the streams as a JSON array.
fn facts(events: &str, number: usize) -> String {
    format!(
        "SELECT {number}, NULL, (SELECT max(position) FROM {events}) UNION ALL \
         SELECT {number}, value, (SELECT max(version) FROM {events} WHERE stream = value) FROM json_each(?)"
    )
}

/// Appends one event. It needs no transaction around it, because a statement that writes takes the lock before it
/// reads.
///
/// If the stream's version is not within two bounds, the new version is NULL, which the table refuses. This is a value
/// of the insert and not a condition of a select, so that SQLite need not buffer the rows. Arguments: the bounds, the
/// stream twice, the content.
fn append_one(events: &str) -> String {
    let head = "coalesce(max(version), 0)";
    let content = ["?"; CONTENT_WIDTH].join(", ");
    format!(
        "INSERT OR ROLLBACK INTO {events} (version, stream, {CONTENT_COLUMNS}) VALUES \
         ((SELECT iif({head} BETWEEN ? AND ?, {head} + 1, NULL) FROM {events} WHERE stream = ?), ?, {content})"
    )
}

/// Appends several events to one stream. The first insert checks the expected version; the other events carry their
/// versions. Arguments: the first event as above, then (stream, version, content) of each other.
fn append_run(events: &str, rows: usize) -> String {
    let row = format!("({})", ["?"; CONTENT_WIDTH + 2].join(", "));
    format!(
        "BEGIN IMMEDIATE; {}; INSERT OR ROLLBACK INTO {events} (stream, version, {CONTENT_COLUMNS}) \
         SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL; COMMIT",
        append_one(events),
        vec![row; rows].join(", ")
    )
}

/// Inserts rows of a group. With `OR ROLLBACK`, a known id rolls back the group, which is then decided again as a
/// whole. Without it, SQLite would keep a journal for each statement.
fn insert(events: &str, rows: usize) -> Insert {
    let row = format!("({})", ["?"; EVENT_WIDTH].join(", "));
    let values = vec![row; rows].join(", ");
    let text = format!(
        "INSERT OR ROLLBACK INTO {events} ({EVENT_COLUMNS}) SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"
    );
    Insert { rows, text: text.into() }
}
