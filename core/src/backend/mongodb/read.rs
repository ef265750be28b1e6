//! Reading: pages of a stream, pages of the log, the head.
//!
//! Positions are committed in their order (see [`super::transaction`]), one behind the other. A reader of the log first asks how far the log goes, by majority:
//! every position up to there is committed and will stay. Then it reads events up to there, in the same session, so that whichever server answers knows at least as much:
//! what it reads is settled before it begins to read, however long that takes and however the server goes about it.

use mongodb::bson::RawDocumentBuf;
use mongodb::bson::{Document, doc};
use mongodb::options::ReadConcern;
use mongodb::{ClientSession, SessionCursor};
use tokio::time::Instant;

use super::Mongo;
use super::document::{event, int64, number};
use super::error::Failure;
use super::names::{LOG, Names};
use super::query::{filter, leading_tags};
use super::work::left;
use crate::backend::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};
use crate::error::Result;
use crate::event::RecordedEvent;
use crate::faults::{planted, point};
use crate::limits::PAGE_SCAN_EVENTS;
use crate::position::Direction;

/// How many events the first trip of a page brings at most, however small they are expected to be.
const BATCH: usize = 1_001;

impl Mongo {
    pub(super) async fn page_of_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        let (names, request) = (self.writer.names.clone(), request.clone());
        let page = self.work.run(request.deadline, |mut session| async move {
            let to = window_of_versions(&request);
            let page = stream_page(&names, &mut session, &request, to).await?;
            // There is no such stream, or an import began it further on.
            if page.events.is_empty() && to < request.to_version { stream_page(&names, &mut session, &request, request.to_version).await } else { Ok(page) }
        });
        Ok(page.await?)
    }

    pub(super) async fn page_of_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        let (names, request) = (self.writer.names.clone(), request.clone());
        let page = self.work.run(request.deadline, |mut session| async move {
            let head = head(&names, &mut session, request.deadline).await?;
            point("mongodb-between-head-and-page").await;
            log_page(&names, &mut session, &request, head).await
        });
        Ok(page.await?)
    }

    pub(super) async fn head_of_log(&self, deadline: Instant) -> Result<u64> {
        let names = self.writer.names.clone();
        Ok(self.work.run(deadline, |mut session| async move { head(&names, &mut session, deadline).await }).await?)
    }
}

/// How far a page looks: no further than it can hold, for a stream has no holes. It tells servers so that would rather sort all that follows than walk along an index.
fn window_of_versions(request: &StreamPageRequest) -> u64 {
    match request.direction {
        Direction::Forward => request.to_version.min(request.from_version.max(1).saturating_add(request.max_events as u64)),
        Direction::Backward => request.to_version,
    }
}

async fn stream_page(names: &Names, session: &mut ClientSession, request: &StreamPageRequest, to: u64) -> std::result::Result<StreamPage, Failure> {
    let wanted = doc! { "stream": &request.stream, "version": { "$gte": int64(request.from_version), "$lte": int64(to) } };
    let order = doc! { "version": sign(request.direction) };
    let mut page = Page::new(request.max_events, request.max_bytes);
    let all = page.fill(names, wanted, order, session, request.deadline).await?;
    // A window that is not full has the stream's end in it, if it has the beginning of what was asked for.
    let begun = page.events.first().is_some_and(|event| event.version == request.from_version.max(1));
    Ok(StreamPage { end: all && (begun || to == request.to_version), events: page.events })
}

/// The position of the last committed event: the log's head moves with the events, in one transaction.
async fn head(names: &Names, session: &mut ClientSession, deadline: Instant) -> std::result::Result<u64, Failure> {
    let find = names.heads.find_one(doc! { "_id": LOG }).max_time(left(deadline));
    let log = if planted("mongodb-head-of-another-session") { find.await? } else { find.session(session).await? };
    log.map_or_else(|| Err(Failure::Setup(format!("{} is gone: open the store again", names.heads.name()))), |log| number(&log, "position"))
}

/// The head as no server can know it that has been deposed without noticing.
async fn certain_head(names: &Names, deadline: Instant) -> std::result::Result<u64, Failure> {
    let log = names.heads.find_one(doc! { "_id": LOG }).read_concern(ReadConcern::linearizable()).max_time(left(deadline)).await?;
    log.map_or(Ok(0), |log| number(&log, "position"))
}

async fn log_page(names: &Names, session: &mut ClientSession, request: &LogPageRequest, head: u64) -> std::result::Result<LogPage, Failure> {
    let top = request.before.map_or(head, |before| before.saturating_sub(1).min(head));
    let top = if planted("mongodb-reader-skips") { request.before.map_or(u64::MAX >> 1, |before| before.saturating_sub(1)) } else { top };
    if top <= request.after {
        let bounded = request.before.is_some() || request.direction == Direction::Backward;
        // A cursor above the head comes from another log, or the server that answered does not know the newest: that is not left to chance.
        let drawn = if request.after > head && !bounded { certain_head(names, request.deadline).await?.max(head) } else { head };
        return Ok(LogPage { events: Vec::new(), reached: request.after, caught_up: bounded || drawn <= request.after, drawn: Some(drawn) });
    }
    let mut page = Page::new(request.max_events, request.max_bytes);
    let backward = request.direction == Direction::Backward;
    let matching = filter(&request.query);
    let width = if matching.is_some() { PAGE_SCAN_EVENTS } else { request.max_events as u64 + 1 };
    let window = if backward { (top.saturating_sub(width).max(request.after), top) } else { (request.after, top.min(request.after.saturating_add(width))) };
    let window = match leading_tags(&request.query).filter(|_| matching.is_some() && top - request.after > width) {
        Some(tags) => tagged_window(names, session, request, top, &tags).await?,
        None => window,
    };
    let mut wanted = matching.unwrap_or_default();
    wanted.insert("position", doc! { "$gt": int64(window.0), "$lte": int64(window.1) });
    let all = page.fill(names, wanted, doc! { "position": sign(request.direction) }, session, request.deadline).await?;
    let last = page.events.last().map(|event| event.position);
    let (end, whole) = if backward { (window.0, window.0 <= request.after) } else { (window.1, window.1 >= top) };
    let reached = match (all, last) {
        (false, Some(last)) => last,
        // No event need stand just below a bound that was given; what lies at or below the head has one at its end.
        (true, _) if !backward && request.before.is_some() && whole => last.unwrap_or(request.after),
        _ => end,
    };
    Ok(LogPage { events: page.events, reached, caught_up: all && whole, drawn: Some(head) })
}

/// As many events as a page may look at, of those that carry any of the tags: found by their index, however far apart they lie.
async fn tagged_window(
    names: &Names,
    session: &mut ClientSession,
    request: &LogPageRequest,
    top: u64,
    tags: &[&str],
) -> std::result::Result<(u64, u64), Failure> {
    // Said so that the index, which holds only what is tagged, is seen to suffice.
    let wanted = doc! { "tags": { "$in": tags, "$exists": true }, "position": { "$gt": int64(request.after), "$lte": int64(top) } };
    let find = names.events.find_one(wanted).sort(doc! { "position": sign(request.direction) }).projection(doc! { "position": 1 }).skip(PAGE_SCAN_EVENTS - 1);
    let bound = find.max_time(left(request.deadline)).session(session).await?.map(|event| number(&event, "position")).transpose()?;
    Ok(match (request.direction, bound) {
        (Direction::Forward, bound) => (request.after, bound.unwrap_or(top)),
        (Direction::Backward, bound) => (bound.map_or(request.after, |bound| bound.saturating_sub(1)), top),
    })
}

const fn sign(direction: Direction) -> i32 {
    match direction {
        Direction::Forward => 1,
        Direction::Backward => -1,
    }
}

/// Fills up to its bounds.
struct Page {
    events: Vec<RecordedEvent>,
    max_events: usize,
    bytes_left: usize,
}

impl Page {
    fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::with_capacity(max_events.min(BATCH)), max_events, bytes_left: max_bytes }
    }

    /// Takes events while they fit; answers whether all did. The server sends at most 16 MiB at a time; a cursor that is not read to its end is closed.
    async fn fill(
        &mut self,
        names: &Names,
        wanted: Document,
        order: Document,
        session: &mut ClientSession,
        deadline: Instant,
    ) -> std::result::Result<bool, Failure> {
        let limit = self.max_events.saturating_add(1);
        let find = names
            .events
            .find(wanted)
            .sort(order)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .batch_size(u32::try_from(limit.min(BATCH)).unwrap_or(u32::MAX));
        let mut cursor: SessionCursor<RawDocumentBuf> = find.max_time(left(deadline)).session(&mut *session).await?;
        while cursor.advance(session).await? {
            let event = event(cursor.current())?;
            let bytes = event.data.len() + event.metadata.len();
            if self.events.len() == self.max_events || (!self.events.is_empty() && bytes > self.bytes_left) {
                return Ok(false);
            }
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
            self.events.push(event);
        }
        Ok(true)
    }
}
