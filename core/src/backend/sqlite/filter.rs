//! Turns a query into SQL: the condition, and the part of the log to search.
//!
//! Each list is one JSON argument. So the text of a statement depends only on the query's shape, and is prepared once.

use std::fmt::Write;

use super::error::Failure;
use super::row::{Bound, bound, json_list};
use super::sql::{Sql, Text, join_packed, packed};
use crate::plan::Candidates;
use crate::position::Direction;
use crate::query::{Query, QueryItem};

/// A part of the log. Both bounds are exclusive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) after: u64,
    pub(super) before: u64,
    pub(super) direction: Direction,
}

impl Window {
    /// How many positions are between the window's beginning and `end`.
    pub(super) fn width(&self, end: u64) -> u64 {
        match self.direction {
            Direction::Forward => end.saturating_sub(self.after),
            Direction::Backward => self.before.saturating_sub(end),
        }
    }

    /// Ends the window with the position `last`, inclusive.
    pub(super) fn end_with(&mut self, last: u64) {
        match self.direction {
            Direction::Forward => self.before = self.before.min(last + 1),
            Direction::Backward => self.after = self.after.max(last.saturating_sub(1)),
        }
    }

    pub(super) const fn order(&self) -> &'static str {
        match self.direction {
            Direction::Forward => "ASC",
            Direction::Backward => "DESC",
        }
    }
}

/// An argument of a statement.
#[derive(Debug)]
enum Argument {
    Number(i64),
    Text(String),
}

/// Collects arguments, and returns the placeholder of each.
#[derive(Debug, Default)]
struct Arguments(Vec<Argument>);

impl Arguments {
    fn number(&mut self, number: i64) -> String {
        self.push(Argument::Number(number))
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

/// The condition of a query, with its arguments.
#[derive(Debug)]
pub(super) struct Filter {
    condition: String,
    arguments: Arguments,
}

impl Filter {
    pub(super) fn new(sql: &Sql, query: &Query) -> Result<Self, Failure> {
        let mut arguments = Arguments::default();
        let items =
            query.items.iter().map(|item| condition(sql, item, &mut arguments)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { condition: items.join(" OR "), arguments })
    }

    /// The statement of a page: the matching events in the window, or among the candidates if there are any.
    pub(super) fn page(
        &mut self,
        sql: &Sql,
        window: &Window,
        candidates: Option<&Candidates>,
        limit: i64,
    ) -> Result<Bound, Failure> {
        let mut arguments = std::mem::take(&mut self.arguments);
        let (after, before) = (arguments.number(bound(window.after)), arguments.number(bound(window.before)));
        let mut text = format!(
            "SELECT {} AS event FROM {} AS e WHERE e.position > {after} AND e.position < {before} AND e.type IS NOT NULL AND ({})",
            packed("e."),
            sql.events,
            self.condition
        );
        if let Some(candidates) = candidates {
            let positions = arguments.push(Argument::Text(json_list(&candidates.positions)?));
            let _ = write!(text, " AND e.position IN (SELECT value FROM json_each({positions}))");
        }
        let limit = arguments.number(limit);
        let _ = write!(text, " ORDER BY e.position {} LIMIT {limit}", window.order());
        Ok(arguments.bind(sql, join_packed(&text)))
    }
}

/// The condition of one item: each of its four lists matches.
fn condition(sql: &Sql, item: &QueryItem, arguments: &mut Arguments) -> Result<String, Failure> {
    let mut terms = Vec::new();
    if !item.types.is_empty() {
        terms.push(format!("e.type IN {}", arguments.list(&item.types)?));
    }
    if !item.streams.is_empty() {
        terms.push(format!("e.stream IN {}", arguments.list(&item.streams)?));
    }
    if !item.categories.is_empty() {
        terms.push(format!(
            "iif(instr(e.stream, '-') > 1, substr(e.stream, 1, instr(e.stream, '-') - 1), e.stream) IN {}",
            arguments.list(&item.categories)?
        ));
    }
    if !item.tags.is_empty() {
        let tags = arguments.list(&item.tags)?;
        let lacking = format!("SELECT 1 FROM {} AS t WHERE t.tag = wanted.value AND t.position = e.position", sql.tags);
        terms.push(format!("NOT EXISTS (SELECT 1 FROM {tags} AS wanted WHERE NOT EXISTS ({lacking}))"));
    }
    Ok(format!("({})", terms.join(" AND ")))
}
