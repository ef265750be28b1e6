//! The statements of one namespace, written once when it is opened.
//!
//! The driver hands each statement to a thread of its own, which costs about as much as a small statement does. So what
//! belongs together goes as one text with several statements, each prepared once and kept.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::row::Bound;

/// `Skp1`, which tells tools like `file` whose the database is.
pub(super) const APPLICATION_ID: i64 = 0x536B_7031;

/// A statement's text, shared with the driver.
pub(super) type Text = Arc<str>;

/// What an event holds, in the order it is bound.
pub(super) const CONTENT_COLUMNS: &str = "id, recorded_at, type, schema, tags, metadata, data, data_bytes";
/// A whole row, in the order it is bound.
pub(super) const EVENT_COLUMNS: &str =
    "position, stream, version, id, recorded_at, type, schema, tags, metadata, data, data_bytes";
const EVENT_WIDTH: usize = 11;

/// How many rows an insert takes; fewer are filled up, so that each length's statement is prepared once.
const CHUNKS: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// How many events of one stream follow the first in one go, filled up likewise: a filled-up row costs a quarter of a
/// real one, and people choose round numbers.
const RUNS: [usize; 9] = [4, 9, 19, 31, 49, 63, 79, 99, 127];
const CONTENT_WIDTH: usize = 8;

/// Data and metadata up to this length together come with their event. What is longer is fetched by itself once a page
/// is known to hold it, so that pages stay small on their way.
const INLINE_BYTES: usize = 8 * 1024;

/// An insert of a fixed number of rows.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) rows: usize,
    pub(super) text: Text,
    /// The same, and the commit.
    pub(super) and_commit: Text,
}

/// The statements of one namespace.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) namespace: String,
    pub(super) events: String,
    pub(super) tags: String,
    /// Begins to write; the last position, then each stream's version.
    pub(super) begin: Text,
    /// The same with a transaction that only becomes a writer later: the planted bug.
    begin_deferred: Text,
    /// Appends one event alone, if the stream's version lies between two bounds.
    pub(super) append_one: Text,
    /// The same, and where the event stands.
    pub(super) append_one_and_tell: Text,
    /// Appends some events of one stream, likewise; how many after the first.
    append_runs: Vec<(usize, Text)>,
    pub(super) inserts: Vec<Insert>,
    /// Lists the tags of the events between two positions, and commits.
    pub(super) tag_and_commit: Text,
    /// Writes what is there already into the file's header, and commits. SQLite skips an update that changes nothing,
    /// but not this.
    pub(super) touch_and_commit: Text,
    /// Events by their ids.
    pub(super) by_id: Text,
    /// Long content, by positions.
    pub(super) content: Text,
    pub(super) stream_forward: Text,
    pub(super) stream_backward: Text,
    pub(super) log_forward: Text,
    pub(super) log_backward: Text,
    /// The last position there is: nothing is ever drawn above it, because drawing and committing are one transaction.
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
        let begin = |mode: &str| {
            format!(
                "BEGIN {mode}; SELECT NULL, ({head}) UNION ALL \
                 SELECT value, (SELECT max(version) FROM {events} WHERE stream = value) FROM json_each(?)"
            )
        };
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
            begin: begin("IMMEDIATE").into(),
            begin_deferred: begin("DEFERRED").into(),
            append_one: append_one(&events).into(),
            append_one_and_tell: format!("{}; SELECT position, version FROM {events} WHERE position = last_insert_rowid()", append_one(&events)).into(),
            append_runs: RUNS.iter().map(|rows| (*rows, append_run(&events, *rows).into())).collect(),
            inserts: CHUNKS.iter().map(|rows| insert(&events, *rows)).collect(),
            tag_and_commit: format!(
                "INSERT OR IGNORE INTO {tags} (tag, position) SELECT t.value, e.position FROM {events} AS e, json_each(e.tags) AS t \
                 WHERE e.position BETWEEN ? AND ?; COMMIT"
            )
            .into(),
            touch_and_commit: format!("PRAGMA application_id = {APPLICATION_ID}; COMMIT").into(),
            by_id: join_packed(&format!("SELECT {columns} AS event FROM {events} WHERE id IN (SELECT unhex(value) FROM json_each(?)) LIMIT ?")).into(),
            content: format!(
                "SELECT position, metadata, coalesce(data, data_bytes) FROM {events} \
                 WHERE position IN (SELECT value FROM json_each(?)) AND type IS NOT NULL"
            )
            .into(),
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

    /// A prepared statement. Its text is the store's own; names and values of users only ever come as arguments.
    pub(super) fn query(&self, text: &Text) -> Bound {
        sqlx::query(AssertSqlSafe(Arc::clone(text)))
    }

    /// The text that begins to write: with the lock first, so that what is read then stays true until the commit.
    pub(super) fn begin(&self) -> &Text {
        if crate::faults::planted("sqlite-deferred-begin") { &self.begin_deferred } else { &self.begin }
    }

    /// The statement that appends so many events of one stream, at least two, unless they are too many.
    pub(super) fn append_run(&self, events: usize) -> Option<&Text> {
        self.append_runs.iter().find(|(after_first, _)| *after_first >= events.saturating_sub(1)).map(|(_, text)| text)
    }

    /// The insert for so many rows or, of more, for the first of them.
    pub(super) fn insert(&self, rows: usize) -> Option<&Insert> {
        self.inserts.iter().find(|insert| insert.rows >= rows).or(self.inserts.last())
    }
}

/// An event as one text, as [`super::row::ReadRow`] reads it: numbers and lengths in a line, then the texts. A length
/// that is missing is a NULL.
///
/// The driver copies every column of every row by itself and hands each row over by itself. A page as one text costs a
/// third of that.
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

/// A page's events, each in a column `event`, as one text. The order stays that of the rows: a limit keeps SQLite from
/// dropping it.
pub(super) fn join_packed(page: &str) -> String {
    format!("SELECT group_concat(event, '') FROM ({page})")
}

/// A statement that writes takes the lock before it reads, so one event needs no transaction around it.
///
/// If the stream's head is not within two bounds, the version is NULL, which no event may have. As a value of the
/// insert, and not as a condition of a select, because then SQLite need not keep the rows aside first. Bound: the
/// bounds, the stream twice, the content.
fn append_one(events: &str) -> String {
    let head = "coalesce(max(version), 0)";
    let content = ["?"; CONTENT_WIDTH].join(", ");
    format!(
        "INSERT OR ROLLBACK INTO {events} (version, stream, {CONTENT_COLUMNS}) VALUES \
         ((SELECT iif({head} BETWEEN ? AND ?, {head} + 1, NULL) FROM {events} WHERE stream = ?), ?, {content})"
    )
}

/// The first event holds the expectation of all; the others come with their versions. Bound: the first as for one, then
/// (stream, version, content) of each.
fn append_run(events: &str, rows: usize) -> String {
    let row = format!("({})", ["?"; CONTENT_WIDTH + 2].join(", "));
    format!(
        "BEGIN IMMEDIATE; {}; INSERT OR ROLLBACK INTO {events} (stream, version, {CONTENT_COLUMNS}) \
         SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL; COMMIT",
        append_one(events),
        vec![row; rows].join(", ")
    )
}

/// `OR ROLLBACK`: a group that meets a known id is decided again as a whole, and without it SQLite keeps a journal for
/// each statement.
fn insert(events: &str, rows: usize) -> Insert {
    let row = format!("({})", ["?"; EVENT_WIDTH].join(", "));
    let values = vec![row; rows].join(", ");
    let text = format!(
        "INSERT OR ROLLBACK INTO {events} ({EVENT_COLUMNS}) SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"
    );
    Insert { rows, and_commit: format!("{text}; COMMIT").into(), text: text.into() }
}
