//! Finds the candidates for a page of the log: the positions that can match its query, by the indexes on tags and on
//! (stream, version).
//!
//! No index has every field of a query, so the server fetches each candidate's document anyway. It returns the fields
//! that queries are about, and the matcher in core says which candidates match. The page then reads only those.

use std::collections::{HashMap, HashSet};

use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::Hint;
use mongodb::{ClientSession, SessionCursor};

use super::document::{int64, number, string, tags};
use super::error::Failure;
use super::names::{Names, VERSION_INDEX};
use super::work::left;
use crate::limits::PAGE_SCAN_EVENTS;
use crate::plan::{Candidates, Plan, SourceStream, Sources, Versions};
use crate::position::Direction;
use crate::query::Query;
use crate::request::LogPageRequest;

type Read<T> = Result<T, Failure>;

/// A binary search takes a round trip for each step in each stream. If more streams than this are long, the page looks
/// at every event.
const MOST_LONG_STREAMS: usize = 16;

/// Finds what matches above the request's `after` and up to `top`. `None` if looking at every event costs less.
pub(super) async fn candidates(
    names: &Names,
    session: &mut ClientSession,
    request: &LogPageRequest,
    top: u64,
) -> Read<Option<Candidates>> {
    let width = top.saturating_sub(request.after);
    let Some(mut plan) = Plan::of(&request.query, request.direction, request.max_events, width) else {
        return Ok(None);
    };
    let mut look = Look { names, session, request, top, matching: HashSet::new(), fetched: HashMap::new() };
    let (tags, limit) = (plan.tags_to_count(), plan.count_limit());
    let mut counts = HashMap::new();
    for tag in tags {
        counts.insert(tag.to_owned(), look.count(tag, limit).await?);
    }
    plan.counted(&counts);
    let Some(versions) = look.versions(&plan.streams()).await? else { return Ok(None) };
    let sources = plan.sources(&versions);
    let found = look.positions(&sources).await?;
    let mut candidates = sources.candidates(&found);
    let end = candidates.end.unwrap_or(top);
    let width = if request.direction == Direction::Forward { end - request.after } else { top.saturating_sub(end) };
    if sources.rather_scan(&candidates, width) {
        return Ok(None);
    }
    candidates.positions.retain(|position| look.matching.contains(position));
    Ok(Some(candidates))
}

struct Look<'a> {
    names: &'a Names,
    session: &'a mut ClientSession,
    request: &'a LogPageRequest,
    top: u64,
    /// The positions of those candidates that match.
    matching: HashSet<u64>,
    /// Versions and positions of the streams that were fetched as a whole, in the order of versions.
    fetched: HashMap<String, Vec<(u64, u64)>>,
}

/// A candidate's place.
struct Row {
    stream: String,
    version: u64,
    position: u64,
}

impl Look<'_> {
    fn window(&self) -> Document {
        doc! { "$gt": int64(self.request.after), "$lte": int64(self.top) }
    }

    fn tagged(&self, tag: &str) -> Document {
        // `$exists` tells the server that it can use the index, which has only events with tags.
        doc! { "tags": { "$in": [tag], "$exists": true }, "position": self.window() }
    }

    /// Counts the events of a tag in the window, up to a limit.
    async fn count(&mut self, tag: &str, limit: u64) -> Read<u64> {
        let wanted = self.tagged(tag);
        let count = self.names.events.count_documents(wanted).limit(limit).max_time(left(self.request.deadline));
        Ok(count.session(&mut *self.session).await?)
    }

    /// Finds which versions of each stream are in the window. `None` if too many of the streams are long.
    async fn versions(&mut self, streams: &[&str]) -> Read<Option<HashMap<String, Versions>>> {
        if streams.is_empty() {
            return Ok(Some(HashMap::new()));
        }
        let mut heads = self.heads(streams).await?;
        heads.sort_unstable_by_key(|(_, version)| *version);
        let mut budget = PAGE_SCAN_EVENTS;
        let short = heads.iter().take_while(|(_, version)| {
            let fits = *version <= budget;
            budget = budget.saturating_sub(*version);
            fits
        });
        let long = heads.split_off(short.count());
        if long.len() > MOST_LONG_STREAMS {
            return Ok(None);
        }
        self.fetch_short(&heads).await?;
        let ends = |rows: &Vec<(u64, u64)>| Some(Versions { first: rows.first()?.0, last: rows.last()?.0 });
        let mut versions: HashMap<String, Versions> =
            self.fetched.iter().filter_map(|(stream, rows)| Some((stream.clone(), ends(rows)?))).collect();
        for (stream, last) in long {
            let found = match self.request.direction {
                Direction::Forward => {
                    Versions { first: self.first_above(&stream, last, self.request.after).await?, last }
                }
                // Versions below the window match nothing in it, so the first version need not be exact.
                Direction::Backward => {
                    Versions { first: 1, last: self.first_above(&stream, last, self.top).await?.saturating_sub(1) }
                }
            };
            versions.insert(stream, found);
        }
        Ok(Some(versions))
    }

    /// Reads the last version of each stream that exists.
    async fn heads(&mut self, streams: &[&str]) -> Read<Vec<(String, u64)>> {
        let find = self.names.heads.find(doc! { "_id": { "$in": streams } }).max_time(left(self.request.deadline));
        let mut cursor: SessionCursor<RawDocumentBuf> = find.session(&mut *self.session).await?;
        let mut heads = Vec::new();
        while cursor.advance(self.session).await? {
            heads.push((string(cursor.current(), "_id")?, number(cursor.current(), "version")?));
        }
        Ok(heads)
    }

    /// Fetches all events of the short streams in the window.
    async fn fetch_short(&mut self, heads: &[(String, u64)]) -> Read<()> {
        if heads.is_empty() {
            return Ok(());
        }
        let streams: Vec<&str> = heads.iter().map(|(stream, _)| stream.as_str()).collect();
        let wanted = doc! { "stream": { "$in": streams }, "position": self.window() };
        for row in self.rows(wanted, None, Some(VERSION_INDEX), None).await? {
            self.fetched.entry(row.stream).or_default().push((row.version, row.position));
        }
        self.fetched.values_mut().for_each(|rows| rows.sort_unstable());
        Ok(())
    }

    /// Finds the first version of a stream above a position, or one past its last. Versions have no gaps and positions
    /// grow with them, so a binary search finds it. A version that is missing is before the first one of an imported
    /// stream.
    async fn first_above(&mut self, stream: &str, last: u64, position: u64) -> Read<u64> {
        let (mut low, mut high) = (1, last + 1);
        while low < high {
            let middle = u64::midpoint(low, high);
            let wanted = doc! { "stream": stream, "version": int64(middle) };
            let find = self.names.events.find_one(wanted).projection(doc! { "position": 1 });
            let found = find.max_time(left(self.request.deadline)).session(&mut *self.session).await?;
            match found.map(|event| number(&event, "position")).transpose()? {
                Some(found) if found > position => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }

    /// Reads the positions of each source, in the page's direction.
    async fn positions(&mut self, sources: &Sources<'_>) -> Read<Vec<Vec<u64>>> {
        let mut found = Vec::with_capacity(sources.tags.len() + sources.streams.len());
        for tag in &sources.tags {
            let order = doc! { "position": self.sign() };
            let rows = self.rows(self.tagged(tag), Some(order), None, Some(sources.limit)).await?;
            found.push(rows.iter().map(|row| row.position).collect());
        }
        for source in &sources.streams {
            found.push(self.positions_of_stream(source).await?);
        }
        Ok(found)
    }

    async fn positions_of_stream(&mut self, source: &SourceStream<'_>) -> Read<Vec<u64>> {
        let Versions { first, last } = source.versions;
        let mut positions: Vec<u64> = match self.fetched.get(source.stream) {
            Some(rows) => rows
                .iter()
                .filter(|(version, _)| (first..=last).contains(version))
                .map(|(_, position)| *position)
                .collect(),
            None => {
                let versions = doc! { "$gte": int64(first), "$lte": int64(last) };
                let wanted = doc! { "stream": source.stream, "version": versions, "position": self.window() };
                let rows = self.rows(wanted, Some(doc! { "version": 1 }), Some(VERSION_INDEX), None).await?;
                rows.iter().map(|row| row.position).collect()
            }
        };
        if self.request.direction == Direction::Backward {
            positions.reverse();
        }
        Ok(positions)
    }

    const fn sign(&self) -> i32 {
        match self.request.direction {
            Direction::Forward => 1,
            Direction::Backward => -1,
        }
    }

    /// Fetches candidates and records those that match.
    async fn rows(
        &mut self,
        wanted: Document,
        order: Option<Document>,
        index: Option<&str>,
        limit: Option<u64>,
    ) -> Read<Vec<Row>> {
        let mut find = self
            .names
            .events
            .find(wanted)
            .projection(doc! { "_id": 0, "position": 1, "stream": 1, "version": 1, "type": 1, "tags": 1 })
            .max_time(left(self.request.deadline));
        if let Some(order) = order {
            find = find.sort(order);
        }
        if let Some(index) = index {
            find = find.hint(Hint::Name(index.to_owned()));
        }
        if let Some(limit) = limit {
            find = find.limit(int64(limit));
        }
        let mut cursor: SessionCursor<RawDocumentBuf> = find.session(&mut *self.session).await?;
        let mut rows = Vec::new();
        while cursor.advance(self.session).await? {
            let row = self.row(cursor.current())?;
            rows.push(row);
        }
        Ok(rows)
    }

    fn row(&mut self, document: &RawDocument) -> Read<Row> {
        let row = Row {
            stream: string(document, "stream")?,
            version: number(document, "version")?,
            position: number(document, "position")?,
        };
        if matches(&self.request.query, &row.stream, document)? {
            self.matching.insert(row.position);
        }
        Ok(row)
    }
}

/// Whether a candidate matches. A removed event has no type.
fn matches(query: &Query, stream: &str, document: &RawDocument) -> Read<bool> {
    let Ok(event_type) = string(document, "type") else { return Ok(false) };
    let tags = tags(document)?;
    Ok(query.items.iter().any(|item| item.matches(stream, &event_type, &tags)))
}
