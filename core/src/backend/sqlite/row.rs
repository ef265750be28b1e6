//! Events as rows, and rows as events.

use std::future::poll_fn;

use sqlx::query::Query as Statement;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Either, Executor, Row, TypeInfo, ValueRef};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::Failure;
use super::sql::Sql;
use crate::event::{Event, Payload, RecordedEvent};

/// A statement with its arguments.
pub(super) type Bound = Statement<'static, Sqlite, SqliteArguments>;

/// Content up to this length comes with its row. Longer content is fetched by itself, so that the rows under way between the driver's thread and a reader stay small.
pub(super) const INLINE_BYTES: usize = 64 * 1024;

/// An event to write, with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewRow<'a> {
    pub(super) position: u64,
    pub(super) stream: &'a str,
    pub(super) version: u64,
    pub(super) recorded_at: i64,
    pub(super) event: &'a Event,
}

/// Binds what an event holds, in the order of [`super::sql::CONTENT_COLUMNS`].
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

/// Texts as a JSON array: one argument, however many there are.
pub(super) fn json_list<T: serde::Serialize>(texts: &[T]) -> Result<String, Failure> {
    serde_json::to_string(texts).map_err(|_| Failure::bug())
}

/// Positions and versions are below 2^53; larger bounds of a read are as good as the largest integer.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::bug())
}

/// Reads a column that holds a position or version; absent is 0.
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

/// A row read, in the order of [`super::sql::READ_COLUMNS`].
#[derive(Debug)]
pub(super) struct ReadRow {
    pub(super) position: u64,
    pub(super) version: u64,
    pub(super) stream: String,
    pub(super) id: Uuid,
    /// What the event holds; `None` when it was removed.
    pub(super) event: Option<Box<RecordedEvent>>,
    /// The length of content that did not come with the row.
    missing_bytes: Option<usize>,
}

impl ReadRow {
    fn decode(row: &SqliteRow) -> Result<Self, Failure> {
        let (position, version) = (number(row, 0)?, number(row, 1)?);
        let stream: String = row.try_get(2)?;
        let id = Uuid::from_slice(row.try_get_unchecked(3)?).map_err(|_| Failure::unreadable())?;
        let Some(event_type) = row.try_get::<Option<String>, _>(5)? else {
            return Ok(Self { position, version, stream, id, event: None, missing_bytes: None });
        };
        let (data, missing_bytes) = content(row, 9)?;
        let tags: Option<&str> = row.try_get(7)?;
        let micros: i64 = row.try_get(4)?;
        let event = RecordedEvent {
            stream: stream.clone(),
            version,
            position,
            id,
            event_type,
            data,
            metadata: row.try_get::<Option<String>, _>(8)?.unwrap_or_else(|| "{}".to_owned()),
            tags: tags.map_or(Ok(Vec::new()), serde_json::from_str).map_err(|_| Failure::unreadable())?,
            schema: row.try_get(6)?,
            recorded_at: OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| Failure::unreadable())?,
        };
        Ok(Self { position, version, stream, id, event: Some(Box::new(event)), missing_bytes })
    }

    /// What it counts against a page's bound.
    fn size_bytes(&self) -> usize {
        self.event.as_ref().map_or(0, |event| event.data.len() + event.metadata.len() + self.missing_bytes.unwrap_or(0))
    }

    async fn complete(&mut self, connection: &mut SqliteConnection, sql: &Sql) -> Result<(), Failure> {
        if let (Some(event), Some(_)) = (&mut self.event, self.missing_bytes.take()) {
            let rows = sql.query(&sql.content).bind(signed(self.position)?).fetch_all(connection).await?;
            match rows.first().map(|row| content(row, 0)).transpose()? {
                Some((data, None)) => event.data = data,
                // Removed since the page was read.
                _ => self.event = None,
            }
        }
        Ok(())
    }
}

/// Content as JSON, as bytes, or as the length of what did not come along.
pub(super) fn content(row: &SqliteRow, column: usize) -> Result<(Payload, Option<usize>), Failure> {
    let value = row.try_get_raw(column)?;
    match value.type_info().name() {
        "TEXT" => Ok((Payload::Json(row.try_get_unchecked(column)?), None)),
        "BLOB" => Ok((Payload::Bytes(row.try_get_unchecked(column)?), None)),
        "INTEGER" => {
            let length: i64 = row.try_get_unchecked(column)?;
            Ok((Payload::Bytes(Vec::new()), Some(usize::try_from(length).map_err(|_| Failure::unreadable())?)))
        }
        _ => Err(Failure::unreadable()),
    }
}

/// Rows of a page, up to its bounds.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<ReadRow>,
    /// There was at least one row more.
    pub(super) more: bool,
}

impl Rows {
    /// The position of the last row taken.
    pub(super) fn reached(&self) -> Option<u64> {
        self.rows.last().map(|row| row.position)
    }

    /// The events, without what was removed.
    pub(super) fn into_events(self) -> Vec<RecordedEvent> {
        self.rows.into_iter().filter_map(|row| row.event.map(|event| *event)).collect()
    }
}

/// Runs a statement to its end or until a page is full. The statement ends with the last row taken: no read transaction is left.
pub(super) async fn fetch(connection: &mut SqliteConnection, sql: &Sql, statement: Bound, max_events: usize, max_bytes: usize) -> Result<Rows, Failure> {
    let mut page = Rows::default();
    let mut bytes_left = max_bytes;
    {
        let mut answers = (&mut *connection).fetch_many(statement);
        while let Some(answer) = poll_fn(|context| answers.as_mut().poll_next(context)).await {
            let Either::Right(row) = answer? else { continue };
            let row = ReadRow::decode(&row)?;
            let bytes = row.size_bytes();
            if page.rows.len() == max_events || (!page.rows.is_empty() && bytes > bytes_left) {
                page.more = true;
                break;
            }
            bytes_left = bytes_left.saturating_sub(bytes);
            page.rows.push(row);
        }
    }
    for row in &mut page.rows {
        row.complete(connection, sql).await?;
    }
    Ok(page)
}
