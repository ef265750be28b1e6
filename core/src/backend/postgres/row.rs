//! Converts events to rows and rows to events.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, SqlStr};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::Failure;
use super::names::TAG_SEPARATOR;
use crate::event::{Event, Payload, RecordedEvent};
use crate::faults::planted;

/// Reads an event from the columns of [`super::names::COLUMNS`]. JSON arrives as text and is not parsed.
pub(super) fn event(row: &PgRow) -> Result<RecordedEvent, Failure> {
    let json: Option<&str> = row.try_get_unchecked(7)?;
    let data = match json {
        Some(text) => Payload::Json(text.to_owned()),
        None => Payload::Bytes(row.try_get::<Option<Vec<u8>>, _>(8)?.unwrap_or_default()),
    };
    Ok(RecordedEvent {
        position: number(row, 0)?,
        stream: row.try_get(1)?,
        version: number(row, 2)?,
        id: row.try_get(3)?,
        event_type: row.try_get::<Option<String>, _>(4)?.unwrap_or_default(),
        schema: row.try_get(5)?,
        tags: row.try_get::<Option<Vec<String>>, _>(6)?.unwrap_or_default(),
        data,
        metadata: row.try_get_unchecked::<Option<&str>, _>(9)?.unwrap_or("{}").to_owned(),
        recorded_at: row.try_get(10)?,
    })
}

/// Whether the event was removed, so that only its stream, version, position and id are left.
pub(super) fn is_shell(row: &PgRow) -> Result<bool, Failure> {
    Ok(row.try_get::<Option<&str>, _>(4)?.is_none())
}

/// Reads a version or position: a bigint that is never negative.
pub(super) fn number(row: &PgRow, at: usize) -> Result<u64, Failure> {
    u64::try_from(row.try_get::<i64, _>(at)?)
        .map_err(|_| Failure::Unreadable("a negative version or position".to_owned()))
}

/// Converts a version or position. Larger numbers than a bigint are beyond everything stored.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The columns of the rows to insert, in the order of insertion.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    /// Each stream once; `expected` has its expected version.
    heads: Vec<&'a str>,
    expected: Vec<i64>,
    places_of_heads: HashMap<&'a str, i32>,
    streams: Vec<&'a str>,
    /// The index of each row's stream in `heads`, from 1.
    head: Vec<i32>,
    places: Vec<i64>,
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    schemas: Vec<Option<&'a str>>,
    tags: Vec<Option<String>>,
    data: Vec<Option<&'a str>>,
    data_bytes: Vec<Option<&'a [u8]>>,
    metadata: Vec<Option<&'a str>>,
    recorded_at: Vec<Option<OffsetDateTime>>,
    sizes: Vec<i32>,
}

impl<'a> Rows<'a> {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn has_tags(&self) -> bool {
        self.tags.iter().any(Option::is_some)
    }

    /// Adds an event that is the `place`-th after its stream's version. All events of a stream have the same
    /// `expected`.
    pub(super) fn push(
        &mut self,
        stream: &'a str,
        place: u64,
        expected: i64,
        event: &'a Event,
        recorded_at: Option<OffsetDateTime>,
    ) {
        if self.heads.last().is_none_or(|last| *last != stream) && !self.places_of_heads.contains_key(stream) {
            self.heads.push(stream);
            self.expected.push(expected);
            self.places_of_heads.insert(stream, i32::try_from(self.heads.len()).unwrap_or(i32::MAX));
        }
        self.streams.push(stream);
        self.head.push(self.places_of_heads.get(stream).copied().unwrap_or_default());
        self.places.push(bigint(place));
        self.ids.push(event.id);
        self.types.push(&event.event_type);
        self.schemas.push(event.schema.as_deref());
        self.tags.push((!event.tags.is_empty()).then(|| event.tags.join(&TAG_SEPARATOR.to_string())));
        self.data.push(event.data.as_json());
        self.data_bytes.push(match &event.data {
            Payload::Json(_) => None,
            Payload::Bytes(bytes) => Some(bytes),
        });
        self.metadata.push((event.metadata != "{}").then_some(event.metadata.as_str()));
        self.recorded_at.push(recorded_at);
        self.sizes.push(i32::try_from(event.size_bytes()).unwrap_or(i32::MAX).max(1));
    }

    /// Binds the append statement's parameters. The first is how long it may wait for a lock, or the announced floor.
    pub(super) fn bind(&self, statement: &SqlStr, first: String) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(statement.clone())
            .bind(first)
            .bind(&self.heads)
            .bind(&self.expected)
            .bind(&self.streams)
            .bind(&self.head)
            .bind(&self.places)
            .bind(&self.ids)
            .bind(&self.types)
            .bind(&self.schemas)
            .bind(&self.tags)
            .bind(&self.data)
            .bind(&self.data_bytes)
            .bind(&self.metadata)
            .bind(&self.recorded_at)
            .bind(&self.sizes)
    }
}

/// A written row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) position: u64,
    pub(super) floor: u64,
}

/// Reads the answer of the append statement, and sorts it by position.
///
/// # Errors
/// `Bug` if a position is not above its announced floor: readers may already be past it.
pub(super) fn written(rows: &[PgRow]) -> Result<Vec<Written>, Failure> {
    let read = |row: &PgRow| {
        Ok(Written {
            stream: row.try_get(0)?,
            version: number(row, 1)?,
            position: number(row, 2)?,
            floor: number(row, 3)?,
        })
    };
    let mut rows = rows.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    rows.sort_unstable_by_key(|row| row.position);
    // With this bug planted, the fault test itself must find the wrong order.
    let checked = !planted("postgres-check-after-draw");
    match rows.first() {
        Some(first) if checked && first.position <= first.floor => Err(Failure::Bug(format!(
            "position {} was drawn at or below the announced floor {}: was the sequence of positions reset?",
            first.position, first.floor
        ))),
        _ => Ok(rows),
    }
}
