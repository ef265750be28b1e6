//! Finds the candidates for a page of the log: the positions that can match its query, by the indexes on tags and on
//! (stream, version).
//!
//! Each list is one JSON argument, and the positions of a source are returned as one JSON text, because the driver's
//! cost is per row.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::Sqlite;
use super::error::Failure;
use super::filter::Window;
use super::row::{bound, json_list, number};
use super::sql::Sql;
use crate::plan::{Candidates, Plan, Sources, Versions};
use crate::position::Direction;
use crate::request::LogPageRequest;

type Read<T> = std::result::Result<T, Failure>;

impl Sqlite {
    /// Finds what can match in a window that ends with `end`. `None` if scanning every event costs less.
    pub(super) async fn candidates(
        &self,
        connection: &mut SqliteConnection,
        request: &LogPageRequest,
        mut window: Window,
        end: u64,
    ) -> Read<Option<Candidates>> {
        let width = window.width(end);
        let Some(mut plan) = Plan::of(&request.query, request.direction, request.max_events, width) else {
            return Ok(None);
        };
        window.end_with(end);
        let tags = plan.tags_to_count();
        if !tags.is_empty() {
            plan.counted(&count_tags(connection, &self.sql, &window, &tags, plan.count_limit()).await?);
        }
        let streams = plan.streams();
        let versions = match streams.is_empty() {
            true => HashMap::new(),
            false => versions_within(connection, &self.sql, &window, &streams).await?,
        };
        let sources = plan.sources(&versions);
        let found = positions(connection, &self.sql, &window, &sources).await?;
        let candidates = sources.candidates(&found);
        let width = candidates.end.map_or(width, |end| window.width(end));
        Ok((!sources.rather_scan(&candidates, width)).then_some(candidates))
    }
}

/// Counts the events of each tag in the window, up to a limit.
async fn count_tags(
    connection: &mut SqliteConnection,
    sql: &Sql,
    window: &Window,
    tags: &[&str],
    limit: u64,
) -> Read<HashMap<String, u64>> {
    let text = format!(
        "SELECT value, (SELECT count(*) FROM (SELECT 1 FROM {} WHERE tag = value AND position > ?2 AND position < ?3 LIMIT ?4)) \
         FROM json_each(?1)",
        sql.tags
    );
    let statement = sql.query(&text.into()).bind(json_list(tags)?);
    let statement = statement.bind(bound(window.after)).bind(bound(window.before)).bind(bound(limit));
    let rows = statement.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?))).collect()
}

/// Finds the versions of each stream in the window. Versions beyond the window's end may be among them.
///
/// Versions have no gaps and positions grow with them, so a binary search finds the first one above a position without
/// another index.
async fn versions_within(
    connection: &mut SqliteConnection,
    sql: &Sql,
    window: &Window,
    streams: &[&str],
) -> Read<HashMap<String, Versions>> {
    let events = &sql.events;
    let end = |which: &str| format!("(SELECT {which}(version) FROM {events} WHERE stream = u.value)");
    let text = format!(
        "WITH RECURSIVE halving (stream, first, last, low, high) AS (\
         SELECT u.value, f.version, l.version, \
         iif(f.position > ?2, f.version, iif(l.position <= ?2, l.version, f.version) + 1), \
         iif(f.position > ?2, f.version, iif(l.position <= ?2, l.version + 1, l.version)) \
         FROM json_each(?1) AS u CROSS JOIN {events} AS f ON f.stream = u.value AND f.version = {} \
         CROSS JOIN {events} AS l ON l.stream = u.value AND l.version = {} \
         UNION ALL SELECT h.stream, h.first, h.last, iif(e.position > ?2, h.low, (h.low + h.high) / 2 + 1), \
         iif(e.position > ?2, (h.low + h.high) / 2, h.high) FROM halving AS h \
         LEFT JOIN {events} AS e ON e.stream = h.stream AND e.version = (h.low + h.high) / 2 WHERE h.low < h.high) \
         SELECT stream, first, last, low FROM halving WHERE low >= high",
        end("min"),
        end("max")
    );
    let forward = window.direction == Direction::Forward;
    let below = if forward { window.after } else { window.before.saturating_sub(1) };
    let statement = sql.query(&text.into()).bind(json_list(streams)?).bind(bound(below));
    let rows = statement.fetch_all(connection).await?;
    let read = |row| {
        let (first, last, above) = (number(row, 1)?, number(row, 2)?, number(row, 3)?);
        let versions = match window.direction {
            Direction::Forward => Versions { first: above, last },
            Direction::Backward => Versions { first, last: above.saturating_sub(1) },
        };
        Ok((row.try_get(0)?, versions))
    };
    rows.iter().map(read).collect()
}

/// Reads the positions of each source in the window, in its direction.
async fn positions(
    connection: &mut SqliteConnection,
    sql: &Sql,
    window: &Window,
    sources: &Sources<'_>,
) -> Read<Vec<Vec<u64>>> {
    let order = window.order();
    let text = format!(
        "SELECT key, (SELECT json_group_array(position) FROM (SELECT position FROM {tags} \
         WHERE tag = value AND position > ?3 AND position < ?4 ORDER BY position {order} LIMIT ?5)) FROM json_each(?1) \
         UNION ALL SELECT key + json_array_length(?1), (SELECT json_group_array(position) FROM (SELECT position FROM {events} \
         WHERE stream = value ->> 0 AND version BETWEEN value ->> 1 AND value ->> 2 AND position > ?3 AND position < ?4 \
         ORDER BY version {order} LIMIT ?5)) FROM json_each(?2)",
        tags = sql.tags,
        events = sql.events,
    );
    let streams: Vec<_> =
        sources.streams.iter().map(|source| (source.stream, source.versions.first, source.versions.last)).collect();
    let statement = sql.query(&text.into()).bind(json_list(&sources.tags)?).bind(json_list(&streams)?);
    let statement = statement.bind(bound(window.after)).bind(bound(window.before)).bind(bound(sources.limit));
    let mut found = vec![Vec::new(); sources.tags.len() + sources.streams.len()];
    for row in &statement.fetch_all(connection).await? {
        let place = usize::try_from(number(row, 0)?).ok().and_then(|place| found.get_mut(place));
        let positions = serde_json::from_str(row.try_get(1)?).ok();
        let (Some(place), Some(positions)) = (place, positions) else { return Err(Failure::bug()) };
        *place = positions;
    }
    Ok(found)
}
