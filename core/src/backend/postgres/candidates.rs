//! Finds the candidates for a page of the log: the positions that can match its query, by the indexes on tags and on
//! (stream, version).
//!
//! As in [`super::names`], callers' values are only passed as parameters.

use std::collections::HashMap;

use sqlx::{Row, SqlStr};
use tokio::time::Instant;

use super::Postgres;
use super::error::Failure;
use super::lease::Lease;
use super::names::{Names, safe};
use super::row::{bigint, number};
use crate::plan::{Candidates, Plan, Sources, Versions};
use crate::position::Direction;
use crate::request::LogPageRequest;

type Read<T> = std::result::Result<T, Failure>;

impl Postgres {
    /// Finds what can match above the request's `after` and at or below `high`. `None` if scanning every event costs
    /// less.
    pub(super) async fn candidates(
        &self,
        lease: &mut Lease,
        request: &LogPageRequest,
        high: u64,
    ) -> Read<Option<Candidates>> {
        let width = high.saturating_sub(request.after);
        let Some(mut plan) = Plan::of(&request.query, request.direction, request.max_events, width) else {
            return Ok(None);
        };
        let window = Window { after: request.after, high, direction: request.direction, deadline: request.deadline };
        let tags = plan.tags_to_count();
        if !tags.is_empty() {
            let counts = self.count_tags(lease, &window, &tags, plan.count_limit()).await?;
            plan.counted(&counts);
        }
        let streams = plan.streams();
        let versions = match streams.is_empty() {
            true => HashMap::new(),
            false => self.versions_within(lease, &window, &streams).await?,
        };
        let sources = plan.sources(&versions);
        let found = self.positions(lease, &window, &sources).await?;
        let candidates = sources.candidates(&found);
        let width = candidates.end.map_or(width, |end| window.width(end));
        Ok((!sources.rather_scan(&candidates, width)).then_some(candidates))
    }

    async fn count_tags(
        &self,
        lease: &mut Lease,
        window: &Window,
        tags: &[&str],
        limit: u64,
    ) -> Read<HashMap<String, u64>> {
        let query = sqlx::query(count_tags(&self.names))
            .bind(tags)
            .bind(bigint(window.after))
            .bind(bigint(window.high))
            .bind(bigint(limit));
        let rows = lease.fetch(query, window.deadline).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, number(row, 1)?))).collect()
    }

    async fn versions_within(
        &self,
        lease: &mut Lease,
        window: &Window,
        streams: &[&str],
    ) -> Read<HashMap<String, Versions>> {
        let forward = window.direction == Direction::Forward;
        let bound = if forward { window.after } else { window.high };
        let query = sqlx::query(first_versions_above(&self.names)).bind(streams).bind(bigint(bound));
        let rows = lease.fetch(query, window.deadline).await?;
        let read = |row| {
            let (first, last, above) = (number(row, 1)?, number(row, 2)?, number(row, 3)?);
            let versions = if forward {
                Versions { first: above, last }
            } else {
                Versions { first, last: above.saturating_sub(1) }
            };
            Ok((row.try_get(0)?, versions))
        };
        rows.iter().map(read).collect()
    }

    /// Reads the positions of each source, in the page's direction.
    async fn positions(&self, lease: &mut Lease, window: &Window, sources: &Sources<'_>) -> Read<Vec<Vec<u64>>> {
        let forward = window.direction == Direction::Forward;
        let streams: Vec<&str> = sources.streams.iter().map(|source| source.stream).collect();
        let bounds = |bound: fn(Versions) -> u64| {
            sources.streams.iter().map(|source| bigint(bound(source.versions))).collect::<Vec<_>>()
        };
        let query = sqlx::query(positions(&self.names, forward))
            .bind(&sources.tags)
            .bind(streams)
            .bind(bounds(|versions| versions.first))
            .bind(bounds(|versions| versions.last))
            .bind(bigint(window.after))
            .bind(bigint(window.high))
            .bind(bigint(sources.limit));
        let rows = lease.fetch(query, window.deadline).await?;
        let mut found = vec![Vec::new(); sources.tags.len() + sources.streams.len()];
        for row in &rows {
            let positions: Vec<i64> = row.try_get(1)?;
            let place = usize::try_from(number(row, 0)?).ok().and_then(|place| found.get_mut(place));
            let place = place.ok_or_else(|| Failure::Unreadable("candidates of no source".to_owned()))?;
            *place = positions.into_iter().filter_map(|position| u64::try_from(position).ok()).collect();
        }
        Ok(found)
    }
}

/// The part of the log that a page covers.
struct Window {
    after: u64,
    high: u64,
    direction: Direction,
    deadline: Instant,
}

impl Window {
    /// How many positions are between the window's beginning and `end`.
    const fn width(&self, end: u64) -> u64 {
        match self.direction {
            Direction::Forward => end.saturating_sub(self.after),
            Direction::Backward => self.high.saturating_sub(end),
        }
    }
}

/// Counts the events of each tag above `$2` and up to `$3`, to at most `$4`.
fn count_tags(names: &Names) -> SqlStr {
    safe(format!(
        "select u.tag, (select count(*) from (select 1 from {} as t where t.tag = u.tag and t.position > $2 and t.position <= $3 \
         limit $4) as counted) from unnest($1::text[]) as u(tag)",
        names.tags()
    ))
}

/// Finds, for each stream that exists, its first and last version, and its first version above a position, or one past
/// the last. Versions have no gaps and positions grow with them, so a binary search finds it without another index. One
/// recursion searches in all streams, because starting one costs more than a step.
fn first_versions_above(names: &Names) -> SqlStr {
    let events = names.events();
    let end = |order: &str| {
        format!(
            "(select e.version, e.position from {events} as e where e.stream = u.stream order by e.version {order} limit 1)"
        )
    };
    safe(format!(
        "with recursive halving as (\
         select u.stream, f.version as first, l.version as last, \
         case when f.position > $2 then f.version when l.position <= $2 then l.version + 1 else f.version + 1 end as low, \
         case when f.position > $2 then f.version when l.position <= $2 then l.version + 1 else l.version end as high \
         from unnest($1::text[]) as u(stream) cross join lateral {first} as f cross join lateral {last} as l \
         union all select m.stream, m.first, m.last, case when m.above then m.low else m.middle + 1 end, \
         case when m.above then m.middle else m.high end from (select h.*, (h.low + h.high) / 2 as middle, \
         (select e.position > $2 from {events} as e where e.stream = h.stream and e.version = (h.low + h.high) / 2) as above \
         from halving as h where h.low < h.high offset 0) as m) \
         select stream, first, last, low from halving where low >= high",
        first = end(""),
        last = end("desc"),
    ))
}

/// Finds the positions above `$5` and up to `$6` of each tag in `$1`, at most `$7` of a tag, and of each stream in `$2`
/// from version `$3` to `$4`.
fn positions(names: &Names, forward: bool) -> SqlStr {
    let order = if forward { "" } else { "desc" };
    safe(format!(
        "select u.place - 1, array(select t.position from {tags} as t where t.tag = u.tag and t.position > $5 and t.position <= $6 \
         order by t.position {order} limit $7) from unnest($1::text[]) with ordinality as u(tag, place) \
         union all \
         select cardinality($1::text[]) + u.place - 1, array(select e.position from {events} as e where e.stream = u.stream and e.version between u.first and u.last \
         and e.position > $5 and e.position <= $6 order by e.version {order}) \
         from unnest($2::text[], $3::bigint[], $4::bigint[]) with ordinality as u(stream, first, last, place)",
        tags = names.tags(),
        events = names.events(),
    ))
}
