//! Reads pages of a stream, pages of the log, and the log's head.

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::Postgres;
use super::error::Failure;
use super::horizon::Horizon;
use super::lease::Lease;
use super::names::{horizon, safe};
use super::query::{log_page_statement, search};
use super::row::{bigint, event, is_shell, number};
use crate::error::Result;
use crate::event::RecordedEvent;
use crate::faults::{planted, point};
use crate::position::Direction;
use crate::request::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};

/// The column after an event's columns: whether the event fits the page.
const FITS: usize = 11;
/// The column of the first row of a page of the log that holds the head.
const HEAD: usize = 12;

impl Postgres {
    pub(super) async fn stream_page(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        let statement = match request.direction {
            Direction::Forward => &self.statements.stream_forward,
            Direction::Backward => &self.statements.stream_backward,
        };
        let query = sqlx::query(statement.clone())
            .bind(&request.stream)
            .bind(bigint(request.from_version))
            .bind(bigint(request.to_version))
            .bind(one_more(request.max_events))
            .bind(i64::try_from(request.max_bytes).unwrap_or(i64::MAX));
        let mut lease = self.pool.lease_to_read(request.deadline).await?;
        let rows = lease.fetch(query, request.deadline).await?;
        drop(lease);
        let fitting = fitting(&rows, request.max_events, request.direction)?;
        Ok(StreamPage { events: fitting.events, end: fitting.all })
    }

    pub(super) async fn version_of(&self, stream: &str, deadline: Instant) -> Result<u64> {
        let query = sqlx::query(self.statements.stream_version.clone()).bind(stream);
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let rows = lease.fetch(query, deadline).await?;
        Ok(rows.first().map_or(Ok(0), |row| number(row, 0))?)
    }

    pub(super) async fn stored_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
        let query = sqlx::query(self.statements.event_id.clone()).bind(stream).bind(bigint(version));
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let rows = lease.fetch(query, deadline).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose().map_err(Failure::from)?)
    }

    pub(super) async fn log_page(&self, request: &LogPageRequest) -> Result<LogPage> {
        let mut lease = self.pool.lease_to_read(request.deadline).await?;
        let top = request.before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let known = self.known.reached(lease.generation());
        // The log below the known position is complete for good: such a page needs no new horizon.
        let without_horizon =
            request.after < top && (top <= known || (request.direction == Direction::Forward && request.after < known));
        if !without_horizon {
            return Ok(self.page_to_horizon(&mut lease, request).await?);
        }
        let page = self.page_to(&mut lease, request, top.min(known), None).await?;
        if page.events.is_empty() && page.reached == request.after && request.after > 0 {
            // No event follows `after`. It may be above the last drawn position, if the database was restored from a
            // backup.
            return Ok(self.page_to_horizon(&mut lease, request).await?);
        }
        if request.direction == Direction::Backward || page.caught_up || page.reached < known {
            return Ok(page);
        }
        // The page holds everything up to the known position. Fill it with what follows, up to a new horizon.
        let left = request.max_bytes.saturating_sub(page.events.iter().map(weight).sum());
        let rest = LogPageRequest {
            after: page.reached,
            max_events: request.max_events - page.events.len(),
            max_bytes: left,
            ..request.clone()
        };
        if rest.max_events == 0 || left == 0 {
            return Ok(page);
        }
        let more = self.page_to_horizon(&mut lease, &rest).await?;
        Ok(join(page, more, left))
    }

    /// Reads a page up to a new horizon. Writers that are still running add events only above it.
    async fn page_to_horizon(
        &self,
        lease: &mut Lease,
        request: &LogPageRequest,
    ) -> std::result::Result<LogPage, Failure> {
        if planted("postgres-one-snapshot-reader") {
            lease
                .run(
                    safe("begin isolation level repeatable read; select count(*) from pg_class".to_owned()),
                    request.deadline,
                )
                .await?;
        }
        point("postgres-before-horizon").await;
        let horizon = self.horizon(lease, request.deadline).await?;
        point("postgres-between-horizon-and-page").await;
        let high = request.before.map_or(horizon.until, |before| before.saturating_sub(1).min(horizon.until));
        let skips = request.direction == Direction::Forward && planted("postgres-horizon-as-cursor");
        let page = if high <= request.after && !skips {
            LogPage { events: Vec::new(), reached: request.after, caught_up: true, drawn: Some(horizon.drawn) }
        } else {
            self.page_to(lease, request, high, Some(horizon)).await?
        };
        if planted("postgres-one-snapshot-reader") {
            lease.run(safe("commit".to_owned()), request.deadline).await?;
        }
        Ok(page)
    }

    /// Reads a page up to `high` in one statement, whose snapshot is later than the one that gave `high`. `horizon` is
    /// set if it was read for this page.
    async fn page_to(
        &self,
        lease: &mut Lease,
        request: &LogPageRequest,
        high: u64,
        horizon: Option<Horizon>,
    ) -> std::result::Result<LogPage, Failure> {
        let candidates = self.candidates(lease, request, high).await?;
        let backward = request.direction == Direction::Backward;
        let whole = if backward { request.after.saturating_add(1) } else { high };
        let candidates = candidates.map(|candidates| {
            let positions = candidates.positions.into_iter().map(bigint).collect();
            (positions, bigint(candidates.end.unwrap_or(whole)))
        });
        let (search, values) = search(&request.query, candidates);
        let statement = log_page_statement(&self.names, backward, &search);
        let bytes = i64::try_from(request.max_bytes).unwrap_or(i64::MAX);
        let mut page = sqlx::query(statement)
            .bind(bigint(request.after))
            .bind(bigint(high))
            .bind(one_more(request.max_events))
            .bind(bytes);
        for list in values.lists {
            page = page.bind(list);
        }
        if let Some((positions, until)) = values.candidates {
            page = page.bind(positions).bind(until);
        }
        let rows = lease.fetch(page, request.deadline).await?;
        self.finish_log_page(request, &rows, high, horizon, lease.generation())
    }

    fn finish_log_page(
        &self,
        request: &LogPageRequest,
        rows: &[PgRow],
        high: u64,
        horizon: Option<Horizon>,
        generation: u64,
    ) -> std::result::Result<LogPage, Failure> {
        let Some((first, rows)) = rows.split_first() else {
            return Err(Failure::Unreadable("a page of the log".to_owned()));
        };
        let (looked, seen) = (
            first.try_get::<i64, _>(0)?,
            first.try_get::<Option<i64>, _>(2)?.and_then(|seen| u64::try_from(seen).ok()),
        );
        if let Some(head) = first.try_get::<Option<i64>, _>(HEAD)?.and_then(|head| u64::try_from(head).ok()) {
            self.known.record_committed(head, generation);
        }
        let Fitting { events, all, last } = fitting(rows, request.max_events, request.direction)?;
        let backward = request.direction == Direction::Backward;
        let whole = if backward { looked <= bigint(request.after).saturating_add(1) } else { looked >= bigint(high) };
        let mut reached = match (all, backward) {
            (false, _) => last,
            (true, true) if whole => request.after,
            (true, _) => seen.unwrap_or(request.after),
        };
        if planted("postgres-horizon-as-cursor") && all && whole && !backward {
            reached = reached.max(high);
        }
        // Without a new horizon, the end of a forward page is not known to be the end of the log.
        let end =
            backward || horizon.is_some() || request.before.is_some_and(|before| before.saturating_sub(1) <= high);
        Ok(LogPage { events, reached, caught_up: all && whole && end, drawn: horizon.map(|horizon| horizon.drawn) })
    }

    pub(super) async fn log_head(&self, deadline: Instant) -> Result<u64> {
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let horizon = self.horizon(&mut lease, deadline).await?;
        let rows = lease.fetch(sqlx::query(self.statements.head.clone()).bind(bigint(horizon.until)), deadline).await?;
        let head = rows.first().map(|row| number(row, 0)).transpose()?.unwrap_or(0);
        self.known.record_committed(head, lease.generation());
        Ok(head)
    }

    pub(super) async fn log_change_mark(&self, deadline: Instant) -> Result<u64> {
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let rows = lease.fetch(sqlx::query(self.statements.change_mark.clone()), deadline).await?;
        let drawn = rows.first().map(|row| number(row, 0)).transpose()?.unwrap_or(0);
        Ok(self.known.mark(drawn))
    }

    /// Reads the horizon. The page that relies on it must be read by a later statement, in a snapshot of its own.
    pub(super) async fn horizon(&self, lease: &mut Lease, deadline: Instant) -> std::result::Result<Horizon, Failure> {
        let sql = horizon(&self.names, self.class, lease.database());
        let horizon = Horizon::read(&lease.run(sql, deadline).await?)?;
        self.known.record_horizon(horizon);
        Ok(horizon)
    }
}

/// Appends `more` to a page, unless its first event, which every page returns whatever its size, exceeds the bytes
/// left.
fn join(mut page: LogPage, more: LogPage, left: usize) -> LogPage {
    if more.events.first().is_some_and(|event| weight(event) > left) {
        return page;
    }
    page.events.extend(more.events);
    LogPage { events: page.events, ..more }
}

/// The bytes that an event counts against a page: a little less than the size that the database has stored.
fn weight(event: &RecordedEvent) -> usize {
    event.data.len() + event.metadata.len()
}

/// The row limit of a page's statement. The one extra row tells whether anything follows.
fn one_more(max_events: usize) -> i64 {
    i64::try_from(max_events).unwrap_or(i64::MAX).saturating_add(1)
}

/// The part of the rows that fits the page.
#[derive(Default)]
struct Fitting {
    events: Vec<RecordedEvent>,
    /// Whether all rows fit.
    all: bool,
    /// The position of the last row that fits, even if its event was removed.
    last: u64,
}

fn fitting(rows: &[PgRow], max_events: usize, direction: Direction) -> std::result::Result<Fitting, Failure> {
    let mut fitting = Fitting { events: Vec::with_capacity(rows.len().min(max_events)), ..Fitting::default() };
    for (n, row) in rows.iter().enumerate() {
        if n == max_events || !row.try_get::<bool, _>(FITS)? {
            return Ok(fitting);
        }
        let position = number(row, 0)?;
        if n > 0 && (position > fitting.last) != (direction == Direction::Forward) {
            return Err(Failure::Bug(format!("a page has position {position} after {}", fitting.last)));
        }
        fitting.last = position;
        if !is_shell(row)? {
            fitting.events.push(event(row)?);
        }
    }
    fitting.all = true;
    Ok(fitting)
}
