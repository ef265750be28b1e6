//! Reads pages of a stream, pages of the log, and the head.
//!
//! Positions are committed in their order (see [`super::transaction`]). A reader of the log first reads the log's head
//! with read concern majority: every position up to it is committed and durable. Then it reads events up to it, in the
//! same session, so the server that answers has all of them. So what a page reads cannot change while it is read.

use std::sync::Arc;

use mongodb::bson::RawDocumentBuf;
use mongodb::bson::{Document, doc};
use mongodb::options::ReadConcern;
use mongodb::{ClientSession, SessionCursor};
use tokio::time::Instant;
use uuid::Uuid;

use super::Mongo;
use super::candidates::candidates;
use super::document::{event, id, int64, is_shell, number};
use super::error::Failure;
use super::format::{check_reader, log_head, of_log};
use super::names::{LOG, Names};
use super::query::filter;
use super::work::left;
use crate::error::Result;
use crate::event::RecordedEvent;
use crate::faults::{planted, point};
use crate::limits::PAGE_SCAN_EVENTS;
use crate::plan::Candidates;
use crate::position::Direction;
use crate::request::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};

/// How many positions a page requests at once.
const POSITIONS_AT_ONCE: usize = 500;
/// The largest number of events in the first batch of a page.
const BATCH: usize = 1_001;

impl Mongo {
    pub(super) async fn stream_page(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        let (names, request, format) = (self.writer.names.clone(), request.clone(), Arc::clone(&self.format));
        let page = self.work.run(request.deadline, |mut session| async move {
            format.reader(&names, &mut session, request.deadline).await?;
            let (mut request, mut to) = (request.clone(), window_of_versions(&request));
            loop {
                let (page, last) = stream_page_in_session(&names, &mut session, &request, to).await?;
                match last {
                    // There is no such stream, or an import began it at a higher version.
                    None if to < request.to_version => to = request.to_version,
                    // The window had only removed events.
                    Some(last) if page.events.is_empty() && !page.end => {
                        match request.direction {
                            Direction::Forward => request.from_version = last + 1,
                            Direction::Backward => request.to_version = last.saturating_sub(1),
                        }
                        to = window_of_versions(&request);
                    }
                    _ => return Ok(page),
                }
            }
        });
        Ok(page.await?)
    }

    pub(super) async fn version_of(&self, stream: &str, deadline: Instant) -> Result<u64> {
        let (names, stream, format) = (self.writer.names.clone(), stream.to_owned(), Arc::clone(&self.format));
        let found = self.work.run(deadline, |mut session| async move {
            format.reader(&names, &mut session, deadline).await?;
            // Not from the events: SecantusDB sorts the whole stream for its last one.
            let find = names.heads.find_one(doc! { "_id": stream }).max_time(left(deadline));
            find.session(&mut session).await?.map_or(Ok(0), |head| number(&head, "version"))
        });
        Ok(found.await?)
    }

    pub(super) async fn stored_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
        let (names, stream, format) = (self.writer.names.clone(), stream.to_owned(), Arc::clone(&self.format));
        let found = self.work.run(deadline, |mut session| async move {
            format.reader(&names, &mut session, deadline).await?;
            let find = names.events.find_one(doc! { "stream": stream, "version": int64(version) });
            let found = find.projection(doc! { "_id": 1 }).max_time(left(deadline)).session(&mut session).await?;
            found.map(|event| id(&event, "_id")).transpose()
        });
        Ok(found.await?)
    }

    pub(super) async fn log_page(&self, request: &LogPageRequest) -> Result<LogPage> {
        let (names, request) = (self.writer.names.clone(), request.clone());
        let page = self.work.run(request.deadline, |mut session| async move {
            let head = head(&names, &mut session, request.deadline).await?;
            point("mongodb-between-head-and-page").await;
            log_page_in_session(&names, &mut session, &request, head).await
        });
        Ok(page.await?)
    }

    pub(super) async fn log_head(&self, deadline: Instant) -> Result<u64> {
        let names = self.writer.names.clone();
        Ok(self.work.run(deadline, |mut session| async move { head(&names, &mut session, deadline).await }).await?)
    }
}

/// The last version that a page looks at. A stream has no holes, so a page need not look further than it can hold. The
/// bound is for servers that sort all matches instead of following the index.
fn window_of_versions(request: &StreamPageRequest) -> u64 {
    match request.direction {
        Direction::Forward => {
            request.to_version.min(request.from_version.max(1).saturating_add(request.max_events as u64))
        }
        Direction::Backward => request.to_version,
    }
}

/// Reads a page within a window. Answers it, and the version of the last document in it, which may be of a removed
/// event.
async fn stream_page_in_session(
    names: &Names,
    session: &mut ClientSession,
    request: &StreamPageRequest,
    to: u64,
) -> std::result::Result<(StreamPage, Option<u64>), Failure> {
    let wanted =
        doc! { "stream": &request.stream, "version": { "$gte": int64(request.from_version), "$lte": int64(to) } };
    let order = doc! { "version": sign(request.direction) };
    let mut page = PageBuilder::new(request.max_events, request.max_bytes);
    let all = page.fill(names, wanted, order, session, request.deadline).await?;
    // If the page has the first version that was requested and is not full, the stream ends in the window.
    let begun = page.first.is_some_and(|first| first.version == request.from_version.max(1));
    let end = all && (begun || to == request.to_version);
    Ok((StreamPage { end, events: page.events }, page.last.map(|last| last.version)))
}

/// Reads the position of the last committed event. The head changes in the same transaction as the events.
async fn head(names: &Names, session: &mut ClientSession, deadline: Instant) -> std::result::Result<u64, Failure> {
    let log = if planted("mongodb-head-of-another-session") {
        log_head(names, &mut names.database.client().start_session().await?, deadline).await?
    } else {
        log_head(names, session, deadline).await?
    };
    check_reader(of_log(&log)?)?;
    number(&log, "position")
}

/// Reads the head so that a former primary, which does not know yet that there is a new one, cannot answer.
async fn certain_head(names: &Names, deadline: Instant) -> std::result::Result<u64, Failure> {
    let log = names
        .heads
        .find_one(doc! { "_id": LOG })
        .read_concern(ReadConcern::linearizable())
        .max_time(left(deadline))
        .await?;
    log.map_or(Ok(0), |log| number(&log, "position"))
}

async fn log_page_in_session(
    names: &Names,
    session: &mut ClientSession,
    request: &LogPageRequest,
    head: u64,
) -> std::result::Result<LogPage, Failure> {
    let top = request.before.map_or(head, |before| before.saturating_sub(1).min(head));
    let top = if planted("mongodb-reader-skips") {
        request.before.map_or(u64::MAX >> 1, |before| before.saturating_sub(1))
    } else {
        top
    };
    if top <= request.after {
        // A cursor above the head comes from another log, or the server that answered lacks the newest events. A
        // linearizable read tells which.
        let drawn = if request.after > head { certain_head(names, request.deadline).await?.max(head) } else { head };
        if request.after > head && request.after <= drawn {
            return Err(Failure::Unreached("the server that answered does not have the newest events yet".to_owned()));
        }
        return Ok(LogPage { events: Vec::new(), reached: request.after, caught_up: true, drawn: Some(drawn) });
    }
    if let Some(candidates) = candidates(names, session, request, top).await? {
        let (events, reached, whole) = page_of_candidates(names, session, request, top, candidates).await?;
        // As below: there may be no event just below the request's bound.
        let bounded = whole && request.direction == Direction::Forward && request.before.is_some();
        let reached = if bounded { events.last().map_or(request.after, |event| event.position) } else { reached };
        return Ok(LogPage { events, reached, caught_up: whole, drawn: Some(head) });
    }
    let mut page = PageBuilder::new(request.max_events, request.max_bytes);
    let backward = request.direction == Direction::Backward;
    let matching = filter(&request.query);
    let width = if matching.is_some() { PAGE_SCAN_EVENTS } else { request.max_events as u64 + 1 };
    let window = if backward {
        (top.saturating_sub(width).max(request.after), top)
    } else {
        (request.after, top.min(request.after.saturating_add(width)))
    };
    let mut wanted = matching.unwrap_or_default();
    wanted.insert("position", doc! { "$gt": int64(window.0), "$lte": int64(window.1) });
    let all = page.fill(names, wanted, doc! { "position": sign(request.direction) }, session, request.deadline).await?;
    let last = page.last.map(|last| last.position);
    let (end, whole) = if backward { (window.0, window.0 <= request.after) } else { (window.1, window.1 >= top) };
    let reached = match (all, last) {
        (false, Some(last)) => last,
        // There may be no event just below the request's bound. At the head there is one.
        (true, _) if !backward && request.before.is_some() && whole => last.unwrap_or(request.after),
        _ => end,
    };
    Ok(LogPage { events: page.events, reached, caught_up: all && whole, drawn: Some(head) })
}

/// Reads a page of candidates that all match, at most one more than a page holds.
async fn page_of_candidates(
    names: &Names,
    session: &mut ClientSession,
    request: &LogPageRequest,
    top: u64,
    candidates: Candidates,
) -> std::result::Result<(Vec<RecordedEvent>, u64, bool), Failure> {
    let mut page = PageBuilder::new(request.max_events, request.max_bytes);
    let mut positions = candidates.positions;
    if request.direction == Direction::Backward {
        positions.reverse();
    }
    positions.truncate(request.max_events.saturating_add(1));
    let mut all = true;
    for part in positions.chunks(POSITIONS_AT_ONCE) {
        let mut part: Vec<i64> = part.iter().copied().map(int64).collect();
        // SecantusDB returns the documents in the order of the list, as if that were ascending.
        part.sort_unstable();
        let (wanted, order) = (doc! { "position": { "$in": part } }, doc! { "position": sign(request.direction) });
        all = page.fill(names, wanted, order, session, request.deadline).await?;
        if !all {
            break;
        }
    }
    let whole = if request.direction == Direction::Backward { request.after } else { top };
    let reached = match page.events.last() {
        Some(last) if !all => last.position,
        _ => candidates.end.unwrap_or(whole),
    };
    Ok((page.events, reached, all && candidates.end.is_none()))
}

const fn sign(direction: Direction) -> i32 {
    match direction {
        Direction::Forward => 1,
        Direction::Backward => -1,
    }
}

/// The place of a document.
#[derive(Clone, Copy)]
struct Seen {
    version: u64,
    position: u64,
}

/// A page that is filled up to its limits.
struct PageBuilder {
    events: Vec<RecordedEvent>,
    /// The first and the last document that fitted, including removed events.
    first: Option<Seen>,
    last: Option<Seen>,
    taken: usize,
    max_events: usize,
    bytes_left: usize,
}

impl PageBuilder {
    fn new(max_events: usize, max_bytes: usize) -> Self {
        let events = Vec::with_capacity(max_events.min(BATCH));
        Self { events, first: None, last: None, taken: 0, max_events, bytes_left: max_bytes }
    }

    /// Takes events while they fit, and answers whether all did. The server sends at most 16 MiB at a time, and a
    /// cursor that is not read to its end is closed.
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
            let document = cursor.current();
            if self.taken == self.max_events {
                return Ok(false);
            }
            if !is_shell(document)? {
                let event = event(document)?;
                let bytes = event.data.len() + event.metadata.len();
                if !self.events.is_empty() && bytes > self.bytes_left {
                    return Ok(false);
                }
                self.bytes_left = self.bytes_left.saturating_sub(bytes);
                self.events.push(event);
            }
            let seen = Seen { version: number(document, "version")?, position: number(document, "position")? };
            self.first.get_or_insert(seen);
            self.last = Some(seen);
            self.taken += 1;
        }
        Ok(true)
    }
}
