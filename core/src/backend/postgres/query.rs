//! A page of the log as SQL: which events match a query, and where to look for them.
//!
//! As in [`super::names`], values of callers travel as parameters alone.

use sqlx::SqlStr;

use super::names::{COLUMNS, Names, safe, sized, sized_if_large, small};
use crate::limits::PAGE_SCAN_EVENTS;
use crate::query::{Query, QueryItem};

/// The first parameter of a page of the log that its query may use.
const FIRST_PARAMETER: usize = 5;

/// A page of the log: `$1` exclusive to `$2` inclusive, at most `$3` events and `$4` bytes.
///
/// The first row is no event: it says how far the page looked (as its position), the farthest event within that (as its
/// version) and, in a column of its own, the highest event up to `$2`.
pub(super) fn log_page_statement(names: &Names, backward: bool, look: &Look) -> SqlStr {
    let events = names.events();
    let (direction, back) = if backward { ("desc", "") } else { ("", "desc") };
    let until = look.until(names, backward);
    let within = |until: &str| {
        if backward {
            format!("e.position >= {until} and e.position <= $2")
        } else {
            format!("e.position > $1 and e.position <= {until}")
        }
    };
    let rows = |columns: &str, until: &str| {
        let (from, condition) = (look.from(&events), look.condition(&within(until)));
        format!("select {columns} from {from} where {condition} order by position {direction} limit $3")
    };
    let (order, whole) =
        (format!("position {direction}"), rows(&format!("{COLUMNS}, size"), "(select f.until from f)"));
    // What is looked for by a condition is looked for once: a second look would double the way.
    let everything = look.matching.is_empty();
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

/// How a page of the log finds what matches.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// What matches, over `e`; empty for everything.
    matching: String,
    /// The parameters that hold the candidates' positions, and up to which they are all there are; unless every event
    /// is looked at.
    candidates: Option<(usize, usize)>,
}

impl Look {
    /// How far the page looks.
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

    /// Candidates are looked up one by one, whatever the server thinks of their number.
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

/// Values of a query that travel as parameters, from the [`FIRST_PARAMETER`] on.
#[derive(Debug, Default)]
pub(super) struct Values<'q> {
    pub(super) lists: Vec<&'q [String]>,
    pub(super) candidates: Option<(Vec<i64>, i64)>,
}

/// How to look for what a query means, along the candidates if there are some, and the values for it.
pub(super) fn look<'q>(query: &'q Query, candidates: Option<(Vec<i64>, i64)>) -> (Look, Values<'q>) {
    let (mut look, mut lists) = (Look::default(), Vec::new());
    if query.is_everything() {
        return (look, Values::default());
    }
    let matching: Vec<String> = query.items.iter().map(|item| matching(item, &mut lists)).collect();
    look.matching = matching.join(" or ");
    let next = FIRST_PARAMETER + lists.len();
    look.candidates = candidates.is_some().then_some((next, next + 1));
    (look, Values { lists, candidates })
}

/// Up to so many values it costs less to compare with each than to look in a hash table.
const FEW_VALUES: usize = 8;

/// What an item means, over `e`. A removed event has no type and matches nothing.
///
/// Comparing with each value of a long list would cost more than everything else. `in` a subquery makes the server
/// build a hash table, and `is true` keeps it from joining instead.
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
