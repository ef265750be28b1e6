//! The statements of one namespace, written once when it is opened.
//!
//! The driver hands each statement to a thread of its own, which costs about as much as a small statement does. So what belongs together goes
//! as one text with several statements, each prepared once and kept.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::row::Bound;

/// A statement's text, shared with the driver.
pub(super) type Text = Arc<str>;

/// What an event holds, in the order it is bound.
pub(super) const CONTENT_COLUMNS: &str = "id, recorded_at, type, schema, tags, metadata, data, data_bytes";
/// A whole row, in the order it is bound.
pub(super) const EVENT_COLUMNS: &str = "position, stream, version, id, recorded_at, type, schema, tags, metadata, data, data_bytes";
const EVENT_WIDTH: usize = 11;

/// How many rows an insert takes; fewer are filled up, so that each length's statement is prepared once.
const CHUNKS: [usize; 5] = [1, 8, 32, 128, 512];

/// How many events of one stream go in one statement, filled up likewise.
const RUNS: [usize; 3] = [8, 32, 128];
const CONTENT_WIDTH: usize = 8;

/// Data and metadata up to this length together come with their event. What is longer is fetched by itself once a page is known to hold it, so that
/// pages stay small on their way.
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
    pub(super) events: String,
    pub(super) tags: String,
    /// Begins to write; the last position drawn, then each stream's version.
    pub(super) begin: Text,
    /// The same with a transaction that only becomes a writer later: the planted bug.
    begin_deferred: Text,
    /// Appends one event alone, if the stream's version lies between two bounds.
    pub(super) append_one: Text,
    /// Appends some events of one stream, likewise, in one statement.
    append_runs: Vec<(usize, Text)>,
    pub(super) inserts: Vec<Insert>,
    /// Lists the tags of the events between two positions, and commits.
    pub(super) tag_and_commit: Text,
    /// Events by their ids.
    pub(super) by_id: Text,
    /// Long content, by positions.
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
        let columns = packed("");
        let drawn = format!("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{events}'), 0)");
        let begin = |mode: &str| {
            format!(
                "BEGIN {mode}; SELECT NULL, ({drawn}) UNION ALL \
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
            join_packed(&format!("SELECT {columns} AS event FROM {events} WHERE position > ? AND position < ? ORDER BY position {order} LIMIT ?"))
        };
        Self {
            begin: begin("IMMEDIATE").into(),
            begin_deferred: begin("DEFERRED").into(),
            append_one: append_one(&events).into(),
            append_runs: RUNS.iter().map(|rows| (*rows, append_run(&events, &drawn, *rows).into())).collect(),
            inserts: CHUNKS.iter().map(|rows| insert(&events, *rows)).collect(),
            tag_and_commit: format!(
                "INSERT OR IGNORE INTO {tags} (tag, position) SELECT t.value, e.position FROM {events} AS e, json_each(e.tags) AS t \
                 WHERE e.position BETWEEN ? AND ?; COMMIT"
            )
            .into(),
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

    /// The statement that appends so many events of one stream, unless they are too many.
    pub(super) fn append_run(&self, rows: usize) -> Option<&Text> {
        self.append_runs.iter().find(|(most, _)| *most >= rows).map(|(_, text)| text)
    }

    /// The insert for so many rows or, of more, for the first of them.
    pub(super) fn insert(&self, rows: usize) -> Option<&Insert> {
        self.inserts.iter().find(|insert| insert.rows >= rows).or(self.inserts.last())
    }
}

/// An event as one text, as [`super::row::ReadRow`] reads it: numbers and lengths in a line, then the texts. A length that is missing is a NULL.
///
/// The driver copies every column of every row by itself and hands each row over by itself. A page as one text costs a third of that.
pub(super) fn packed(table: &str) -> String {
    let column = |name: &str| format!("{table}{name}");
    let [data, bytes, metadata] = ["data", "data_bytes", "metadata"].map(column);
    let lengths = ["stream", "type", "schema", "tags", "metadata"].map(|name| format!("octet_length({table}{name})")).join(", ' ', ");
    let texts = ["stream", "type", "schema", "tags"].map(column).join(", ");
    let long = format!("octet_length(coalesce({data}, {bytes})) + coalesce(octet_length({metadata}), 0) > {INLINE_BYTES}");
    format!(
        "concat({table}position, ' ', {table}version, ' ', {table}recorded_at, ' ', hex({table}id), ' ', {lengths}, ' ', \
         iif({long}, 'long', iif({data} IS NULL, 'hex', 'text')), ' ', octet_length(coalesce({data}, {bytes})), char(10), \
         {texts}, iif({long}, '', concat({metadata}, coalesce({data}, hex({bytes})))))"
    )
}

/// A page's events, each in a column `event`, as one text. The order stays that of the rows: a limit keeps SQLite from dropping it.
pub(super) fn join_packed(page: &str) -> String {
    format!("SELECT group_concat(event, '') FROM ({page})")
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

/// The same for several events: all of them or, if the stream is not as expected, none.
fn append_run(events: &str, drawn: &str, rows: usize) -> String {
    let values: Vec<String> = (1..=rows).map(|n| format!("({n}, {})", ["?"; CONTENT_WIDTH].join(", "))).collect();
    let content: Vec<String> = (2..CONTENT_WIDTH + 2).map(|n| format!("column{n}")).collect();
    format!(
        "WITH wanted (name, lowest, highest) AS (SELECT ?, ?, ?) INSERT INTO {events} ({EVENT_COLUMNS}) \
         SELECT ({drawn}) + column1, name, head + column1, {} FROM wanted, \
         (SELECT coalesce(max(version), 0) AS head FROM {events} WHERE stream = (SELECT name FROM wanted)), (VALUES {}) \
         WHERE head BETWEEN lowest AND highest AND column2 IS NOT NULL",
        content.join(", "),
        values.join(", ")
    )
}

/// `OR ROLLBACK`: a group that meets a known id is decided again as a whole, and without it SQLite keeps a journal for each statement.
fn insert(events: &str, rows: usize) -> Insert {
    let row = format!("({})", ["?"; EVENT_WIDTH].join(", "));
    let values = vec![row; rows].join(", ");
    let text = format!("INSERT OR ROLLBACK INTO {events} ({EVENT_COLUMNS}) SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL");
    Insert { rows, and_commit: format!("{text}; COMMIT").into(), text: text.into() }
}
