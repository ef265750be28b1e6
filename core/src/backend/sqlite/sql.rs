//! The statements of one namespace, written once when it is opened.
//!
//! The driver hands each statement to a thread of its own, which costs about as much as a small statement does. So what belongs together goes
//! as one text with several statements, each prepared once and kept.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::row::{Bound, INLINE_BYTES};

/// A statement's text, shared with the driver.
pub(super) type Text = Arc<str>;

/// What an event holds, in the order it is bound.
pub(super) const CONTENT_COLUMNS: &str = "id, recorded_at, type, schema, tags, metadata, data, data_bytes";
/// A whole row, in the order it is bound.
pub(super) const EVENT_COLUMNS: &str = "position, stream, version, id, recorded_at, type, schema, tags, metadata, data, data_bytes";
const EVENT_WIDTH: usize = 11;

/// How many rows an insert takes; fewer are filled up, so that each length's statement is prepared once.
const CHUNKS: [usize; 5] = [1, 8, 32, 128, 512];

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
    pub(super) events: String,
    pub(super) tags: String,
    /// Begins to write; the last position drawn, then each stream's version.
    pub(super) begin: Text,
    /// The same with a transaction that only becomes a writer later: the planted bug.
    begin_deferred: Text,
    /// Appends one event alone, if the stream's version lies between two bounds.
    pub(super) append_one: Text,
    pub(super) inserts: Vec<Insert>,
    /// Lists the tags of the events between two positions, and commits.
    pub(super) tag_and_commit: Text,
    /// Events by their ids.
    pub(super) by_id: Text,
    /// Long content, by position.
    pub(super) content: Text,
    pub(super) stream_forward: Text,
    pub(super) stream_backward: Text,
    pub(super) log_forward: Text,
    pub(super) log_backward: Text,
    /// The last position drawn.
    pub(super) drawn: Text,
    /// The last position there is.
    pub(super) head: Text,
    pub(super) save_snapshot: Text,
    pub(super) load_snapshot: Text,
}

impl Sql {
    pub(super) fn new(namespace: &str) -> Self {
        let events = format!("streamkeep_{namespace}_events");
        let tags = format!("streamkeep_{namespace}_tags");
        let snapshots = format!("streamkeep_{namespace}_snapshots");
        let columns = read_columns("");
        let drawn = format!("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{events}'), 0)");
        let begin = |mode: &str| {
            format!(
                "BEGIN {mode}; SELECT NULL, ({drawn}) UNION ALL \
                 SELECT value, (SELECT max(version) FROM {events} WHERE stream = value) FROM json_each(?)"
            )
        };
        let stream = |order: &str| {
            format!(
                "SELECT {columns} FROM {events} WHERE stream = ? AND version BETWEEN ? AND ? AND type IS NOT NULL \
                 ORDER BY version {order} LIMIT ?"
            )
        };
        let log = |order: &str| format!("SELECT {columns} FROM {events} WHERE position > ? AND position < ? ORDER BY position {order} LIMIT ?");
        Self {
            begin: begin("IMMEDIATE").into(),
            begin_deferred: begin("DEFERRED").into(),
            append_one: append_one(&events).into(),
            inserts: CHUNKS.iter().map(|rows| insert(&events, *rows)).collect(),
            tag_and_commit: format!(
                "INSERT OR IGNORE INTO {tags} (tag, position) SELECT t.value, e.position FROM {events} AS e, json_each(e.tags) AS t \
                 WHERE e.position BETWEEN ? AND ?; COMMIT"
            )
            .into(),
            by_id: format!("SELECT {columns} FROM {events} WHERE id IN (SELECT unhex(value) FROM json_each(?))").into(),
            content: format!("SELECT coalesce(data, data_bytes) FROM {events} WHERE position = ? AND type IS NOT NULL").into(),
            stream_forward: stream("ASC").into(),
            stream_backward: stream("DESC").into(),
            log_forward: log("ASC").into(),
            log_backward: log("DESC").into(),
            drawn: drawn.into(),
            head: format!("SELECT max(position) FROM {events}").into(),
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

    /// The insert for so many rows or, of more, for the first of them.
    pub(super) fn insert(&self, rows: usize) -> Option<&Insert> {
        self.inserts.iter().find(|insert| insert.rows >= rows).or(self.inserts.last())
    }
}

/// Columns as [`super::row::ReadRow`] reads them. Long content stays behind: its length comes instead.
pub(super) fn read_columns(table: &str) -> String {
    let content = format!("coalesce({table}data, {table}data_bytes)");
    let plain = ["position", "version", "stream", "id", "recorded_at", "type", "schema", "tags", "metadata"];
    let mut columns: Vec<String> = plain.iter().map(|column| format!("{table}{column}")).collect();
    columns.push(format!("iif(octet_length({content}) > {INLINE_BYTES}, octet_length({content}), {content})"));
    columns.join(", ")
}

/// A statement that writes takes the lock before it reads, so one event needs no transaction around it.
fn append_one(events: &str) -> String {
    format!(
        "INSERT INTO {events} (stream, version, {CONTENT_COLUMNS}) \
         SELECT ?1, head + 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 \
         FROM (SELECT coalesce(max(version), 0) AS head FROM {events} WHERE stream = ?1) WHERE head BETWEEN ?2 AND ?3 \
         RETURNING position, version"
    )
}

/// `OR ROLLBACK`: a group that meets a known id is decided again as a whole, and without it SQLite keeps a journal for each statement.
fn insert(events: &str, rows: usize) -> Insert {
    let row = format!("({})", ["?"; EVENT_WIDTH].join(", "));
    let values = vec![row; rows].join(", ");
    let text = format!("INSERT OR ROLLBACK INTO {events} ({EVENT_COLUMNS}) SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL");
    Insert { rows, and_commit: format!("{text}; COMMIT").into(), text: text.into() }
}
