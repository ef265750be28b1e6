//! Builds the SQL of a page of the log: which events match its query, and where to look for them.
//!
//! As in [`super::names`], callers' values are only passed as parameters.

use sqlx::SqlStr;

use super::names::{COLUMNS, Names, safe, sized, sized_if_large, small};
use crate::limits::PAGE_SCAN_EVENTS;
use crate::query::{Query, QueryItem};

/// The number of the first parameter that the query's values may use.
const FIRST_PARAMETER: usize = 5;

/// The statement of a page: above `$1` and up to `$2`, at most `$3` events and `$4` bytes.
///
/// The first row is no event. Its position is how far the page looked, its version is the farthest event within that,
/// and its column `head` is the highest event up to `$2`.
pub(super) fn log_page_statement(names: &Names, backward: bool, search: &Search) -> SqlStr {
    let events = names.events();
    let (direction, back) = if backward { ("desc", "") } else { ("", "desc") };
    let until = search.until(names, backward);
    let within = |until: &str| {
        if backward {
            format!("e.position >= {until} and e.position <= $2")
        } else {
            format!("e.position > $1 and e.position <= {until}")
        }
    };
    let rows = |columns: &str, until: &str| {
        let (from, condition) = (search.from(&events), search.condition(&within(until)));
        format!("select {columns} from {from} where {condition} order by position {direction} limit $3")
    };
    let (order, whole) =
        (format!("position {direction}"), rows(&format!("{COLUMNS}, size"), "(select f.until from f)"));
    // A query with a condition runs once: running it for the sizes first would double its cost.
    let everything = search.matching.is_empty();
    let small = if everything { format!(", {}", small("$4", &rows("size", "b.until"))) } else { String::new() };
    let page = if everything { sized_if_large(&order, "$4", &whole) } else { sized(&order, "$4", &whole) };
    safe(format!(
        "with f as materialized (select b.until, \
         (select e.position from {events} as e where {seen} order by e.position {back} limit 1) as seen, \
         (select e.position from {events} as e where e.position <= $2 order by e.position desc limit 1) as head{small} from (select {until} as until) as b) \
         select f.until as position, null::text as stream, f.seen as version, null::uuid as id, null::text as type, null::text as schema, null::text[] as tags, \
         null::json as data, null::bytea as data_bytes, null::json as metadata, null::timestamptz as recorded_at, false as fits, f.head from f \
         union all select p.*, null::bigint from ({page}) as p",
        seen = within("b.until"),
    ))
}

/// How a page of the log finds the matching events.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The condition on the event `e`; empty if everything matches.
    matching: String,
    /// The numbers of two parameters: the candidates' positions, and the position up to which they are complete. `None`
    /// if the page scans every event.
    candidates: Option<(usize, usize)>,
}

impl Search {
    /// The position up to which the page looks.
    fn until(&self, names: &Names, backward: bool) -> String {
        let (end, pick, sign, order) =
            if backward { ("($1::bigint + 1)", "greatest", "-", "desc") } else { ("$2::bigint", "least", "+", "") };
        if self.matching.is_empty() {
            return end.to_owned();
        }
        if let Some((_, until)) = self.candidates {
            return format!("{pick}({end}, ${until}::bigint)");
        }
        let step = PAGE_SCAN_EVENTS.saturating_sub(1);
        let first = format!(
            "(select e.position from {} as e where e.position > $1 and e.position <= $2 order by e.position {order} limit 1)",
            names.events()
        );
        format!("{pick}({end}, {first} {sign} {step})")
    }

    /// The events to look at. `offset 0` makes the server look up candidates one by one, whatever it estimates.
    fn from(&self, events: &str) -> String {
        match self.candidates {
            Some((positions, _)) => format!(
                "unnest(${positions}::bigint[]) as c(candidate) \
                 cross join lateral (select * from {events} as e where e.position = c.candidate offset 0) as e"
            ),
            None => format!("{events} as e"),
        }
    }

    fn condition(&self, within: &str) -> String {
        match (self.matching.as_str(), self.candidates) {
            ("", _) => within.to_owned(),
            (matching, Some(_)) => format!("({matching})"),
            (matching, None) => format!("{within} and ({matching})"),
        }
    }
}

/// The parameter values of a query, from [`FIRST_PARAMETER`] on.
#[derive(Debug, Default)]
pub(super) struct Values<'q> {
    pub(super) lists: Vec<&'q [String]>,
    pub(super) candidates: Option<(Vec<i64>, i64)>,
}

/// Returns how to search for a query, along the candidates if there are any, and the values for it.
pub(super) fn search<'q>(query: &'q Query, candidates: Option<(Vec<i64>, i64)>) -> (Search, Values<'q>) {
    let (mut search, mut lists) = (Search::default(), Vec::new());
    if query.is_everything() {
        return (search, Values::default());
    }
    let matching: Vec<String> = query.items.iter().map(|item| matching(item, &mut lists)).collect();
    search.matching = matching.join(" or ");
    let next = FIRST_PARAMETER + lists.len();
    search.candidates = candidates.is_some().then_some((next, next + 1));
    (search, Values { lists, candidates })
}

/// Up to this many values, comparing with each costs less than a hash table.
const FEW_VALUES: usize = 8;

/// The condition of an item on the event `e`. A removed event has no type and matches nothing.
///
/// Comparing with each value of a long list would cost more than the rest of the page. `in` with a subquery makes the
/// server build a hash table, and `is true` keeps it from joining instead.
fn matching<'a>(item: &'a QueryItem, parameters: &mut Vec<&'a [String]>) -> String {
    let mut conditions = vec!["e.type is not null".to_owned()];
    for (values, column) in [
        (&item.types, "e.type"),
        (&item.categories, "coalesce(nullif(split_part(e.stream, '-', 1), ''), e.stream)"),
        (&item.streams, "e.stream"),
        (&item.tags, "e.tags"),
    ] {
        if values.is_empty() {
            continue;
        }
        let list = format!("${}::text[]", FIRST_PARAMETER + parameters.len());
        conditions.push(match column {
            "e.tags" => format!("{column} @> {list}"),
            _ if values.len() <= FEW_VALUES => format!("{column} = any({list})"),
            _ => format!("({column} in (select unnest({list}))) is true"),
        });
        parameters.push(values);
    }
    format!("({})", conditions.join(" and "))
}
