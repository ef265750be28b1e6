//! Pages of a stream and of the log. One writer at a time draws positions and commits them, so positions become visible
//! in their order.

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

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
    /// Runs a read on a connection of the readers. Readers hardly ever meet a lock; when they do, they wait until the
    /// deadline.
    ///
    /// The read settles its lease; past the deadline it is dropped with it, and the connection closed.
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

    /// One page of a stream; see the trait.
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

    /// One page of the log; see the trait.
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
        let drawn = if page.rows.is_empty() { Some(self.ask(connection, &self.sql.head).await?) } else { None };
        let (reached, caught_up) = (page.reached().unwrap_or(request.after), !page.more);
        Ok(LogPage { events: page.into_events(), reached, caught_up, drawn })
    }

    /// A page of what matches: first how far it may look, then the events.
    async fn matching_page(&self, connection: &mut SqliteConnection, request: &LogPageRequest) -> Read<LogPage> {
        let mut filter = Filter::new(&self.sql, &request.query)?;
        let mut window =
            Window { after: request.after, before: request.before.unwrap_or(u64::MAX), direction: request.direction };
        let (scan_end, end, drawn) = self.reach(connection, &window).await?;
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

    /// Where a bounded scan of the window ends, where the window does, and the last position of all.
    async fn reach(&self, connection: &mut SqliteConnection, window: &Window) -> Read<(Option<u64>, Option<u64>, u64)> {
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

    /// Asks for one number; nothing is 0.
    async fn ask(&self, connection: &mut SqliteConnection, text: &super::sql::Text) -> Read<u64> {
        let statement: Bound = self.sql.query(text);
        let rows = statement.fetch_all(connection).await?;
        rows.first().map_or(Ok(0), |row| number(row, 0))
    }

    /// The last position there is. Also the mark of change: every commit that gives something to read moves it.
    pub(super) async fn last_position(&self, deadline: Instant) -> Result<u64> {
        let read = self.read(deadline, |mut lease| async move {
            let position = self.ask(&mut lease.connection, &self.sql.head).await;
            lease.settle(position)
        });
        Ok(read.await?)
    }
}

/// One row more than a page takes says whether it is the last.
fn one_more(max_events: usize) -> i64 {
    i64::try_from(max_events).unwrap_or(i64::MAX).saturating_add(1)
}
