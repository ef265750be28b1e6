//! Converts events to rows and rows to events.

use std::collections::HashMap;

use sqlx::query::Query as Statement;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Row, TypeInfo, ValueRef};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::Failure;
use super::sql::Sql;
use crate::event::{Event, Payload, RecordedEvent};

/// A statement with its arguments.
pub(super) type Bound = Statement<'static, Sqlite, SqliteArguments>;

/// An event to write, with its stream, version and position.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRow<'a> {
    pub(super) position: u64,
    pub(super) stream: &'a str,
    pub(super) version: u64,
    pub(super) recorded_at: i64,
    pub(super) event: &'a Event,
}

/// Binds an event's content, in the order of [`super::sql::CONTENT_COLUMNS`].
pub(super) fn bind_content(statement: Bound, event: &Event, recorded_at: i64) -> Result<Bound, Failure> {
    let tags = if event.tags.is_empty() { None } else { Some(json_list(&event.tags)?) };
    let (text, bytes) = match &event.data {
        Payload::Json(text) => (Some(text.as_str()), None),
        Payload::Bytes(bytes) => (None, Some(bytes.as_slice())),
    };
    Ok(statement
        .bind(event.id.as_bytes().as_slice())
        .bind(recorded_at)
        .bind(event.event_type.as_str())
        .bind(event.schema.as_deref())
        .bind(tags)
        .bind((event.metadata != "{}").then_some(event.metadata.as_str()))
        .bind(text)
        .bind(bytes))
}

/// Binds a whole row, in the order of [`super::sql::EVENT_COLUMNS`].
pub(super) fn bind_row(statement: Bound, row: &NewRow<'_>) -> Result<Bound, Failure> {
    let statement = statement.bind(signed(row.position)?).bind(row.stream).bind(signed(row.version)?);
    bind_content(statement, row.event, row.recorded_at)
}

/// Values as a JSON array, so that a list of any length is one argument.
pub(super) fn json_list<T: serde::Serialize>(texts: &[T]) -> Result<String, Failure> {
    serde_json::to_string(texts).map_err(|_| Failure::bug())
}

/// A bound of a read. Positions and versions are below 2^53, so a larger bound becomes the largest integer.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::bug())
}

/// Reads a column with a position or version; NULL is 0.
pub(super) fn number(row: &SqliteRow, column: usize) -> Result<u64, Failure> {
    let number: Option<i64> = row.try_get(column)?;
    u64::try_from(number.unwrap_or(0)).map_err(|_| Failure::unreadable())
}

/// The host's clock, in microseconds since 1970.
pub(super) fn now_micros() -> i64 {
    to_micros(OffsetDateTime::now_utc())
}

/// A time in microseconds since 1970, as it is stored.
pub(super) fn to_micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

/// An event, read from the text of [`super::sql::packed`].
#[derive(Debug)]
pub(super) struct ReadRow {
    pub(super) position: u64,
    pub(super) version: u64,
    pub(super) stream: String,
    pub(super) id: Uuid,
    /// The event; `None` if it was removed.
    pub(super) event: Option<RecordedEvent>,
    /// The bytes that it counts against a page's limit.
    size_bytes: usize,
    /// Whether its data and metadata must be fetched separately.
    long: bool,
}

impl ReadRow {
    /// Takes the first event from a page's text.
    fn take(page: &mut &str) -> Option<Self> {
        let (head, rest) = page.split_once('\n')?;
        let mut rest = Texts(rest);
        let mut fields = head.split(' ');
        let mut field = || fields.next();
        let (position, version, micros) =
            (field()?.parse().ok()?, field()?.parse().ok()?, field()?.parse::<i64>().ok()?);
        let id = Uuid::try_parse(field()?).ok()?;
        let mut length = || field().map(|length| length.parse::<usize>().ok());
        let lengths = [length()?, length()?, length()?, length()?, length()?];
        let (kind, data_bytes) = (field()?, field()?.parse::<usize>().ok());
        let [stream, event_type, schema, tags] =
            [rest.take(lengths[0])?, rest.take(lengths[1])?, rest.take(lengths[2])?, rest.take(lengths[3])?];
        let long = kind == "long";
        let metadata = rest.take(lengths[4].filter(|_| !long))?;
        let data = match (kind, data_bytes) {
            ("text", Some(length)) => Payload::Json(rest.take(Some(length))??.to_owned()),
            ("hex", Some(length)) => Payload::Bytes(from_hex(rest.take(Some(length * 2))??)?),
            _ => Payload::Bytes(Vec::new()),
        };
        *page = rest.0;
        let stream = stream?.to_owned();
        let event = match event_type {
            None => None,
            Some(event_type) => Some(RecordedEvent {
                stream: stream.clone(),
                version,
                position,
                id,
                event_type: event_type.to_owned(),
                data,
                metadata: metadata.unwrap_or("{}").to_owned(),
                tags: tags.map_or(Some(Vec::new()), |tags| serde_json::from_str(tags).ok())?,
                schema: schema.map(str::to_owned),
                recorded_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?,
            }),
        };
        Some(Self {
            position,
            version,
            stream,
            id,
            event,
            size_bytes: data_bytes.unwrap_or(0) + lengths[4].unwrap_or(2),
            long,
        })
    }
}

/// Texts without separators between them.
struct Texts<'a>(&'a str);

impl<'a> Texts<'a> {
    /// Takes the next text of this length; without a length it is NULL.
    fn take(&mut self, length: Option<usize>) -> Option<Option<&'a str>> {
        let Some(length) = length else { return Some(None) };
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(text))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Reads the content of a column that is text or a blob.
pub(super) fn content(row: &SqliteRow, column: usize) -> Result<Payload, Failure> {
    let value = row.try_get_raw(column)?;
    match value.type_info().name() {
        "TEXT" => Ok(Payload::Json(row.try_get_unchecked(column)?)),
        "BLOB" => Ok(Payload::Bytes(row.try_get_unchecked(column)?)),
        _ => Err(Failure::unreadable()),
    }
}

/// The rows of a page, up to its limits.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<ReadRow>,
    /// Whether at least one more row follows.
    pub(super) more: bool,
}

impl Rows {
    /// The position of the last row.
    pub(super) fn reached(&self) -> Option<u64> {
        self.rows.last().map(|row| row.position)
    }

    /// The events, without those that were removed.
    pub(super) fn into_events(self) -> Vec<RecordedEvent> {
        self.rows.into_iter().filter_map(|row| row.event).collect()
    }
}

/// Runs the statement of a page, and keeps the rows that fit the page.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    sql: &Sql,
    statement: Bound,
    max_events: usize,
    max_bytes: usize,
) -> Result<Rows, Failure> {
    let answer = statement.fetch_all(&mut *connection).await?;
    let text: Option<&str> = answer.first().ok_or_else(Failure::bug)?.try_get(0)?;
    let mut text = text.unwrap_or_default();
    let mut page = Rows::default();
    let mut bytes_left = max_bytes;
    while !text.is_empty() {
        let row = ReadRow::take(&mut text).ok_or_else(Failure::unreadable)?;
        if page.rows.len() == max_events || (!page.rows.is_empty() && row.size_bytes > bytes_left) {
            page.more = true;
            break;
        }
        bytes_left = bytes_left.saturating_sub(row.size_bytes);
        page.rows.push(row);
    }
    if page.rows.iter().any(|row| row.long) {
        complete(connection, sql, &mut page.rows).await?;
    }
    Ok(page)
}

/// Fetches the long content of a page's events. The rows already fit the page, so this stays bounded.
async fn complete(connection: &mut SqliteConnection, sql: &Sql, rows: &mut [ReadRow]) -> Result<(), Failure> {
    let positions: Vec<u64> = rows.iter().filter(|row| row.long).map(|row| row.position).collect();
    let answer = sql.query(&sql.content).bind(json_list(&positions)?).fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(answer.len());
    for row in &answer {
        found.insert(number(row, 0)?, (row.try_get::<Option<String>, _>(1)?, content(row, 2)?));
    }
    for row in rows.iter_mut().filter(|row| row.long) {
        match (&mut row.event, found.remove(&row.position)) {
            (Some(event), Some((metadata, data))) => {
                event.data = data;
                event.metadata = metadata.unwrap_or_else(|| "{}".to_owned());
            }
            // Removed since the page was read.
            _ => row.event = None,
        }
    }
    Ok(())
}
