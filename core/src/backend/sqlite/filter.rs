//! A query as SQL: what matches, and where to look for it.
//!
//! Lists come as one JSON argument each, so a statement's text depends on a query's shape alone and is prepared once.

use std::fmt::Write;

use super::error::Failure;
use super::row::{Bound, bound, json_list};
use super::sql::{Sql, Text, join_packed, packed};
use crate::limits::PAGE_SCAN_EVENTS;
use crate::position::Direction;
use crate::query::{Query, QueryItem};

/// More sources of candidates than this are not worth the seeking.
const MAX_SOURCES: usize = 64;

/// A part of the log; both bounds exclusive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) after: u64,
    pub(super) before: u64,
    pub(super) direction: Direction,
}

impl Window {
    /// How many positions lie between its beginning and its last event.
    pub(super) fn width(&self, end: u64) -> u64 {
        match self.direction {
            Direction::Forward => end.saturating_sub(self.after),
            Direction::Backward => self.before.saturating_sub(end),
        }
    }

    /// Ends the window with a position, inclusive.
    pub(super) fn end_with(&mut self, last: u64) {
        match self.direction {
            Direction::Forward => self.before = self.before.min(last + 1),
            Direction::Backward => self.after = self.after.max(last.saturating_sub(1)),
        }
    }

    const fn order(&self) -> &'static str {
        match self.direction {
            Direction::Forward => "ASC",
            Direction::Backward => "DESC",
        }
    }
}

/// A value of a statement.
#[derive(Debug)]
enum Argument {
    Number(i64),
    Text(String),
}

/// Numbers arguments as they are used.
#[derive(Debug, Default)]
struct Arguments(Vec<Argument>);

impl Arguments {
    fn number(&mut self, number: i64) -> String {
        self.push(Argument::Number(number))
    }

    fn text(&mut self, text: &str) -> String {
        self.push(Argument::Text(text.to_owned()))
    }

    fn list(&mut self, texts: &[String]) -> Result<String, Failure> {
        let list = json_list(texts)?;
        Ok(format!("(SELECT value FROM json_each({}))", self.push(Argument::Text(list))))
    }

    fn push(&mut self, argument: Argument) -> String {
        self.0.push(argument);
        format!("?{}", self.0.len())
    }

    fn bind(self, sql: &Sql, text: String) -> Bound {
        let text: Text = text.into();
        self.0.into_iter().fold(sql.query(&text), |statement, argument| match argument {
            Argument::Number(number) => statement.bind(number),
            Argument::Text(text) => statement.bind(text),
        })
    }
}

/// What matches.
#[derive(Debug)]
pub(super) struct Filter {
    condition: String,
    arguments: Arguments,
}

impl Filter {
    pub(super) fn new(sql: &Sql, query: &Query) -> Result<Self, Failure> {
        let mut arguments = Arguments::default();
        let items = query.items.iter().map(|item| condition(sql, item, &mut arguments)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { condition: items.join(" OR "), arguments })
    }

    /// The statement of a page: every event in the window that matches, of the candidates if there are any.
    pub(super) fn page(&mut self, sql: &Sql, window: &Window, candidates: Option<&Candidates<'_>>, limit: i64) -> Result<Bound, Failure> {
        let mut arguments = std::mem::take(&mut self.arguments);
        let (after, before) = (arguments.number(bound(window.after)), arguments.number(bound(window.before)));
        let mut text = format!(
            "SELECT {} AS event FROM {} AS e WHERE e.position > {after} AND e.position < {before} AND e.type IS NOT NULL AND ({})",
            packed("e."),
            sql.events,
            self.condition
        );
        if let Some(candidates) = candidates {
            let sources = candidates.sources(sql, window, &mut arguments);
            let _ = write!(text, " AND e.position IN ({})", sources.join(" UNION ALL "));
        }
        let limit = arguments.number(limit);
        let _ = write!(text, " ORDER BY e.position {} LIMIT {limit}", window.order());
        Ok(arguments.bind(sql, join_packed(&text)))
    }
}

/// One item: all four lists agree.
fn condition(sql: &Sql, item: &QueryItem, arguments: &mut Arguments) -> Result<String, Failure> {
    let mut terms = Vec::new();
    if !item.types.is_empty() {
        terms.push(format!("e.type IN {}", arguments.list(&item.types)?));
    }
    if !item.streams.is_empty() {
        terms.push(format!("e.stream IN {}", arguments.list(&item.streams)?));
    }
    if !item.categories.is_empty() {
        terms.push(format!("substr(e.stream, 1, instr(e.stream || '-', '-') - 1) IN {}", arguments.list(&item.categories)?));
    }
    if !item.tags.is_empty() {
        let tags = arguments.list(&item.tags)?;
        let lacking = format!("SELECT 1 FROM {} AS t WHERE t.tag = wanted.value AND t.position = e.position", sql.tags);
        terms.push(format!("NOT EXISTS (SELECT 1 FROM {tags} AS wanted WHERE NOT EXISTS ({lacking}))"));
    }
    Ok(format!("({})", terms.join(" AND ")))
}

/// Where an index leads to all that can match: for each item one of its tags, or its streams.
#[derive(Debug)]
pub(super) struct Candidates<'q>(Vec<Source<'q>>);

#[derive(Debug)]
enum Source<'q> {
    Tag(&'q str),
    Stream(&'q str),
}

impl<'q> Candidates<'q> {
    /// Nothing if an item names neither, or there are too many.
    pub(super) fn of(query: &'q Query) -> Option<Self> {
        let mut sources = Vec::new();
        for item in &query.items {
            match (item.tags.first(), item.streams.as_slice()) {
                (Some(tag), _) => sources.push(Source::Tag(tag)),
                (None, []) => return None,
                (None, streams) => sources.extend(streams.iter().map(|stream| Source::Stream(stream))),
            }
        }
        (sources.len() <= MAX_SOURCES).then_some(Self(sources))
    }

    /// How many candidates each source gives a page at most.
    pub(super) fn limit(&self) -> i64 {
        let all = usize::try_from(PAGE_SCAN_EVENTS).unwrap_or(usize::MAX);
        i64::try_from(all / self.0.len().max(1)).unwrap_or(i64::MAX)
    }

    /// For each source, the position of the last candidate it gives, and how many it gives.
    pub(super) fn ends(&self, sql: &Sql, window: &Window) -> Result<Bound, Failure> {
        let mut arguments = Arguments::default();
        let farthest = if window.direction == Direction::Forward { "max" } else { "min" };
        let sources = self.sources(sql, window, &mut arguments);
        let ends: Vec<String> = sources.iter().map(|source| format!("SELECT {farthest}(position), count(*) FROM ({source})")).collect();
        Ok(arguments.bind(sql, ends.join(" UNION ALL ")))
    }

    fn sources(&self, sql: &Sql, window: &Window, arguments: &mut Arguments) -> Vec<String> {
        let (after, before) = (arguments.number(bound(window.after)), arguments.number(bound(window.before)));
        let limit = arguments.number(self.limit());
        let (order, events, tags) = (window.order(), &sql.events, &sql.tags);
        let inside = format!("position > {after} AND position < {before}");
        let source = |source: &Source<'q>| match source {
            Source::Tag(tag) => {
                let tag = arguments.text(tag);
                format!("SELECT position FROM (SELECT position FROM {tags} WHERE tag = {tag} AND {inside} ORDER BY position {order} LIMIT {limit})")
            }
            Source::Stream(stream) => {
                let stream = arguments.text(stream);
                let versions = match window.direction {
                    Direction::Forward => format!("version >= {}", first_version_after(events, &stream, &after)),
                    Direction::Backward => format!("version < {}", first_version_after(events, &stream, &format!("{before} - 1"))),
                };
                format!(
                    "SELECT position FROM (SELECT position FROM {events} WHERE stream = {stream} AND {versions} AND {inside} \
                     ORDER BY version {order} LIMIT {limit})"
                )
            }
        };
        self.0.iter().map(source).collect()
    }
}

/// The first version of a stream whose position lies above another, or one past its last: positions grow with versions, so halving finds it
/// without an index of its own.
fn first_version_after(events: &str, stream: &str, position: &str) -> String {
    let of_stream = |what: &str| format!("(SELECT {what} FROM {events} WHERE stream = {stream})");
    let above = format!("(SELECT position FROM {events} WHERE stream = {stream} AND version = (low + high) / 2) > {position}");
    format!(
        "(WITH RECURSIVE halving (low, high) AS (SELECT {}, {} + 1 UNION ALL \
         SELECT iif({above}, low, (low + high) / 2 + 1), iif({above}, (low + high) / 2, high) FROM halving WHERE low < high) \
         SELECT low FROM halving WHERE low >= high)",
        of_stream("min(version)"),
        of_stream("max(version)")
    )
}
