//! Reads pages of a stream and of the log. Positions become visible in their order, because only one writer at a time
//! draws positions and commits them.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::time::Instant;
use uuid::Uuid;

use super::Sqlite;
use super::connect::within;
use super::error::{Failure, FailureKind};
use super::filter::{Filter, Window};
use super::pool::Lease;
use super::row::{Bound, bound, fetch, number};
use crate::error::Result;
use crate::limits::PAGE_SCAN_EVENTS;
use crate::position::Direction;
use crate::request::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};

type Read<T> = std::result::Result<T, Failure>;

impl Sqlite {
    /// Runs a read on a reader's connection. If another connection holds a lock, which is rare, it retries until the
    /// deadline.
    ///
    /// The read itself returns the connection with [`Lease::settle`]. Past the deadline both are dropped, which closes
    /// the connection.
    pub(super) async fn read<'a, T, F: Future<Output = Read<T>>>(
        &'a self,
        deadline: Instant,
        read: impl Fn(Lease<'a>) -> F,
    ) -> Read<T> {
        loop {
            let lease = self.file.readers.lease(deadline).await?;
            match within(deadline, read(lease)).await {
                Err(failure) if failure.kind == FailureKind::Busy && Instant::now() < deadline => {}
                answer => return answer,
            }
        }
    }

    /// Reads one page of a stream; see the trait.
    pub(super) async fn stream_page(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        let text =
            if request.direction == Direction::Forward { &self.sql.stream_forward } else { &self.sql.stream_backward };
        let read = self.read(request.deadline, |mut lease| async move {
            let statement = self
                .sql
                .query(text)
                .bind(request.stream.as_str())
                .bind(bound(request.from_version))
                .bind(bound(request.to_version));
            let statement = statement.bind(one_more(request.max_events));
            let page = fetch(&mut lease.connection, &self.sql, statement, request.max_events, request.max_bytes).await;
            lease.settle(page)
        });
        let page = read.await?;
        Ok(StreamPage { end: !page.more, events: page.into_events() })
    }

    pub(super) async fn version_of(&self, stream: &str, deadline: Instant) -> Result<u64> {
        let read = self.read(deadline, |mut lease| async move {
            let statement = self.sql.query(&self.sql.stream_version).bind(stream);
            let row = statement.fetch_one(&mut lease.connection).await.map_err(Failure::from);
            lease.settle(row)
        });
        Ok(number(&read.await?, 0)?)
    }

    pub(super) async fn stored_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
        let read = self.read(deadline, |mut lease| async move {
            let statement = self.sql.query(&self.sql.event_id).bind(stream).bind(bound(version));
            let row = statement.fetch_optional(&mut lease.connection).await.map_err(Failure::from);
            lease.settle(row)
        });
        Ok(read.await?.map(|row| stored_uuid(&row)).transpose()?)
    }

    /// Reads one page of the log; see the trait.
    pub(super) async fn log_page(&self, request: &LogPageRequest) -> Result<LogPage> {
        let everything = request.query.is_everything();
        let read = self.read(request.deadline, |mut lease| async move {
            let connection = &mut lease.connection;
            crate::faults::point("sqlite-before-page").await;
            let page = if everything {
                self.whole_page(connection, request).await
            } else {
                self.matching_page(connection, request).await
            };
            lease.settle(page)
        });
        let mut page = read.await?;
        if crate::faults::planted("sqlite-reader-skips") {
            page.reached += 1;
        }
        Ok(page)
    }

    async fn whole_page(&self, connection: &mut SqliteConnection, request: &LogPageRequest) -> Read<LogPage> {
        let text = if request.direction == Direction::Forward { &self.sql.log_forward } else { &self.sql.log_backward };
        let statement = self.sql.query(text).bind(bound(request.after)).bind(bound(request.before.unwrap_or(u64::MAX)));
        let page = fetch(
            connection,
            &self.sql,
            statement.bind(one_more(request.max_events)),
            request.max_events,
            request.max_bytes,
        )
        .await?;
        let drawn = if page.rows.is_empty() { Some(self.read_number(connection, &self.sql.head).await?) } else { None };
        let (reached, caught_up) = (page.reached().unwrap_or(request.after), !page.more);
        Ok(LogPage { events: page.into_events(), reached, caught_up, drawn })
    }

    /// Reads a page of matching events. It first finds out how far the page may look.
    async fn matching_page(&self, connection: &mut SqliteConnection, request: &LogPageRequest) -> Read<LogPage> {
        let mut filter = Filter::new(&self.sql, &request.query)?;
        let mut window =
            Window { after: request.after, before: request.before.unwrap_or(u64::MAX), direction: request.direction };
        let (scan_end, end, drawn) = self.scan_bounds(connection, &window).await?;
        let nothing = LogPage { events: Vec::new(), reached: request.after, caught_up: true, drawn: Some(drawn) };
        let (Some(scan_end), Some(end)) = (scan_end, end) else { return Ok(nothing) };
        let candidates = self.candidates(connection, request, window, end).await?;
        let last = candidates.as_ref().map_or(scan_end, |candidates| candidates.end.unwrap_or(end));
        window.end_with(last);
        let statement = filter.page(&self.sql, &window, candidates.as_ref(), one_more(request.max_events))?;
        let page = fetch(connection, &self.sql, statement, request.max_events, request.max_bytes).await?;
        let (reached, caught_up) =
            if page.more { (page.reached().unwrap_or(request.after), false) } else { (last, last == end) };
        Ok(LogPage { events: page.into_events(), reached, caught_up, drawn: Some(drawn) })
    }

    /// Returns the last position of a bounded scan of the window, the last position in the window, and the log's head.
    async fn scan_bounds(
        &self,
        connection: &mut SqliteConnection,
        window: &Window,
    ) -> Read<(Option<u64>, Option<u64>, u64)> {
        let (events, head) = (&self.sql.events, &self.sql.head);
        let text = match window.direction {
            Direction::Forward => format!(
                "SELECT (SELECT max(position) FROM {events} WHERE position < min(?2, (SELECT min(position) FROM {events} WHERE position > ?1) + ?3)), \
                 (SELECT max(position) FROM {events} WHERE position < ?2), ({head})"
            ),
            Direction::Backward => format!(
                "SELECT (SELECT min(position) FROM {events} WHERE position > max(?1, (SELECT max(position) FROM {events} WHERE position < ?2) - ?3)), \
                 (SELECT min(position) FROM {events} WHERE position > ?1), ({head})"
            ),
        };
        let statement = self
            .sql
            .query(&text.into())
            .bind(bound(window.after))
            .bind(bound(window.before))
            .bind(bound(PAGE_SCAN_EVENTS));
        let rows = statement.fetch_all(connection).await?;
        let Some(row) = rows.first() else { return Err(Failure::bug()) };
        let inside = |position: u64| (position > window.after && position < window.before).then_some(position);
        Ok((inside(number(row, 0)?), inside(number(row, 1)?), number(row, 2)?))
    }

    /// Runs a statement that returns one number; 0 if there is no row.
    async fn read_number(&self, connection: &mut SqliteConnection, text: &super::sql::Text) -> Read<u64> {
        let statement: Bound = self.sql.query(text);
        let rows = statement.fetch_all(connection).await?;
        rows.first().map_or(Ok(0), |row| number(row, 0))
    }

    /// The last position. It is also the change mark, because each commit of events changes it.
    pub(super) async fn last_position(&self, deadline: Instant) -> Result<u64> {
        let read = self.read(deadline, |mut lease| async move {
            let position = self.read_number(&mut lease.connection, &self.sql.head).await;
            lease.settle(position)
        });
        Ok(read.await?)
    }
}

/// The row limit of a page's statement. The one extra row tells whether anything follows.
fn one_more(max_events: usize) -> i64 {
    i64::try_from(max_events).unwrap_or(i64::MAX).saturating_add(1)
}

fn stored_uuid(row: &SqliteRow) -> std::result::Result<Uuid, Failure> {
    Uuid::from_slice(row.try_get(0)?).map_err(|_| Failure::unreadable())
}
