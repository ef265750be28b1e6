//! Plans how a page of the log finds the events that match a query: by scanning the log, or by the indexes on tags and
//! streams.
//!
//! A backend does these steps, and looks up what the plan asks for:
//! 1. [`Plan::of`] tells whether the indexes find everything that can match, and whether that pays.
//! 2. If an item has several tags, the backend counts each up to a limit, and the rarest is used.
//! 3. If an item has streams, the backend finds which of their versions are in the page's window.
//! 4. [`Plan::sources`] tells how many candidates to fetch from each tag and stream, so that a page looks at a bounded
//!    number. A candidate is a position that can match.
//! 5. [`Sources::candidates`] tells up to which position the candidates are complete. The page ends there.

use std::collections::{BTreeSet, HashMap};

use crate::limits::PAGE_SCAN_EVENTS;
use crate::position::Direction;
use crate::query::{Query, QueryItem};

/// In a window of up to this many positions, scanning costs less than looking up candidates.
const SCAN_RATHER_THAN_SEEK: u64 = 2_000;
/// Looking up a stream costs about as much as scanning this many events.
const EVENTS_PER_STREAM: u64 = 4;
/// How many candidates a page looks at for each event it may hold, if every candidate matches.
const CANDIDATES_PER_EVENT: u64 = 4;
/// The same, if some candidates do not match.
const CANDIDATES_PER_MATCH: u64 = 64;
/// The fewest candidates that a page looks at if some do not match.
const LEAST_CANDIDATES: u64 = 1_000;

/// A plan to find a page's events by indexes.
#[derive(Debug)]
pub(crate) struct Plan<'q> {
    items: Vec<Ways<'q>>,
    direction: Direction,
    max_events: usize,
    /// Whether every candidate matches.
    exact: bool,
}

/// The indexes that find an item's events.
#[derive(Debug)]
struct Ways<'q> {
    tags: Vec<&'q str>,
    streams: Vec<&'q str>,
    /// How many candidates the rarest tag has at least; `None` if it was not counted.
    counted: Option<u64>,
}

/// A range of a stream's versions, both bounds inclusive. It is empty if the first is above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Versions {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Versions {
    const fn count(self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

impl<'q> Plan<'q> {
    /// The plan for a page whose window is `width` positions wide. `None` if scanning is better, because an item has
    /// neither tags nor streams, or because the window is small.
    pub(crate) fn of(query: &'q Query, direction: Direction, max_events: usize, width: u64) -> Option<Self> {
        let streams: usize = query.items.iter().map(|item| item.streams.len()).sum();
        if query.is_everything() || width <= SCAN_RATHER_THAN_SEEK + EVENTS_PER_STREAM * streams as u64 {
            return None;
        }
        let items: Option<Vec<Ways<'q>>> = query.items.iter().map(Ways::of).collect();
        let exact = query.items.iter().all(|item| {
            item.types.is_empty() && item.categories.is_empty() && item.tags.len() + item.streams.len().min(1) == 1
        });
        Some(Self { items: items?, direction, max_events, exact })
    }

    /// The tags that must be counted, each once.
    pub(crate) fn tags_to_count(&self) -> Vec<&'q str> {
        let tags: BTreeSet<&str> =
            self.items.iter().filter(|ways| ways.is_contested()).flat_map(|ways| ways.tags.iter().copied()).collect();
        tags.into_iter().collect()
    }

    /// The limit up to which a tag's events are counted.
    pub(crate) fn count_limit(&self) -> u64 {
        let tags = self.tags_to_count().len().max(1) as u64;
        (self.budget() / tags).clamp(16, 512)
    }

    /// Takes how many events each tag has, up to the limit. Each item then uses its rarest tag.
    pub(crate) fn counted(&mut self, counts: &HashMap<String, u64>) {
        for ways in self.items.iter_mut().filter(|ways| ways.is_contested()) {
            let count = |tag: &&str| counts.get(*tag).copied().unwrap_or(0);
            if let Some(rarest) = ways.tags.iter().copied().min_by_key(count) {
                (ways.counted, ways.tags) = (Some(count(&rarest)), vec![rarest]);
            }
            // Looking up a stream costs more than a candidate of the tag.
            if ways.counted.is_some_and(|count| count <= ways.streams.len() as u64) {
                ways.streams.clear();
            }
        }
    }

    /// The streams whose versions in the window must be found, each once.
    pub(crate) fn streams(&self) -> Vec<&'q str> {
        let streams: BTreeSet<&str> = self.items.iter().flat_map(|ways| ways.streams.iter().copied()).collect();
        streams.into_iter().collect()
    }

    /// How many candidates a page looks at in total.
    fn budget(&self) -> u64 {
        let wanted = self.max_events as u64 + 1;
        if self.exact {
            return CANDIDATES_PER_EVENT * wanted;
        }
        (CANDIDATES_PER_MATCH * wanted).clamp(LEAST_CANDIDATES, PAGE_SCAN_EVENTS)
    }

    /// The most candidates of one source that a page can use.
    fn most(&self) -> u64 {
        if self.exact { self.max_events as u64 + 1 } else { u64::MAX >> 1 }
    }

    /// What to fetch, given the versions in the window of each stream that has any.
    pub(crate) fn sources(self, found: &HashMap<String, Versions>) -> Sources<'q> {
        let versions = |stream: &str| found.get(stream).copied().filter(|versions| versions.count() > 0);
        let (mut tags, mut streams) = (BTreeSet::new(), BTreeSet::new());
        for ways in &self.items {
            let by_streams: u64 = ways.streams.iter().filter_map(|stream| versions(stream)).map(Versions::count).sum();
            let by_tag = !ways.tags.is_empty() && ways.counted.is_some_and(|count| count <= by_streams);
            match ways.tags.first() {
                Some(tag) if by_tag || ways.streams.is_empty() => {
                    tags.insert(*tag);
                }
                _ => streams.extend(ways.streams.iter().filter_map(|stream| Some((*stream, versions(stream)?)))),
            }
        }
        let streams: Vec<(&str, Versions)> = streams.into_iter().collect();
        let sizes = tags.iter().map(|_| u64::MAX).chain(streams.iter().map(|(_, versions)| versions.count()));
        let limit = share(self.budget(), sizes.collect()).min(self.most());
        let cut = |(stream, all): (&'q str, Versions)| SourceStream {
            stream,
            more: all.count() > limit,
            versions: match self.direction {
                Direction::Forward => Versions { last: all.last.min(all.first + limit - 1), ..all },
                Direction::Backward => Versions { first: all.first.max((all.last + 1).saturating_sub(limit)), ..all },
            },
        };
        Sources {
            tags: tags.into_iter().collect(),
            streams: streams.into_iter().map(cut).collect(),
            limit,
            direction: self.direction,
            max_events: self.max_events,
            exact: self.exact,
        }
    }
}

impl<'q> Ways<'q> {
    /// `None` if the item has neither tags nor streams.
    fn of(item: &'q QueryItem) -> Option<Self> {
        let texts = |texts: &'q [String]| texts.iter().map(String::as_str).collect::<Vec<_>>();
        let ways = Self { tags: texts(&item.tags), streams: texts(&item.streams), counted: None };
        (!ways.tags.is_empty() || !ways.streams.is_empty()).then_some(ways)
    }

    /// Whether the item has several ways, of which the shortest must be found.
    fn is_contested(&self) -> bool {
        self.tags.len() > 1 || (!self.tags.is_empty() && !self.streams.is_empty())
    }
}

/// The most candidates of each source, so that all together are within the budget, or one each. A source with fewer
/// leaves the rest to the others.
fn share(budget: u64, mut sizes: Vec<u64>) -> u64 {
    sizes.sort_unstable();
    let (mut left, mut sources) = (budget, sizes.len() as u64);
    for size in sizes {
        if size >= left / sources {
            return (left / sources).max(1);
        }
        (left, sources) = (left - size, sources - 1);
    }
    budget.max(1)
}

/// The tags and streams from which candidates are fetched.
#[derive(Debug)]
pub(crate) struct Sources<'q> {
    pub(crate) tags: Vec<&'q str>,
    pub(crate) streams: Vec<SourceStream<'q>>,
    /// The most candidates of one tag.
    pub(crate) limit: u64,
    direction: Direction,
    max_events: usize,
    exact: bool,
}

/// The versions of a stream that are candidates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceStream<'q> {
    pub(crate) stream: &'q str,
    pub(crate) versions: Versions,
    /// Whether the window has more versions of the stream.
    more: bool,
}

/// The positions that can match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// In ascending order, without duplicates.
    pub(crate) positions: Vec<u64>,
    /// The position up to which they are complete; `None` if that is the whole window.
    pub(crate) end: Option<u64>,
}

impl Sources<'_> {
    /// Takes the positions of each source, tags before streams, in the page's direction.
    pub(crate) fn candidates(&self, found: &[Vec<u64>]) -> Candidates {
        let full = |(place, positions): (usize, &Vec<u64>)| {
            let more = match place.checked_sub(self.tags.len()).and_then(|place| self.streams.get(place)) {
                Some(stream) => stream.more && positions.len() as u64 == stream.versions.count(),
                None => positions.len() as u64 >= self.limit,
            };
            positions.last().copied().filter(|_| more)
        };
        let ends = found.iter().enumerate().filter_map(full);
        let (end, backward) = match self.direction {
            Direction::Forward => (ends.min(), false),
            Direction::Backward => (ends.max(), true),
        };
        let within = |position: &u64| end.is_none_or(|end| if backward { *position >= end } else { *position <= end });
        let positions: BTreeSet<u64> = found.iter().flatten().copied().filter(within).collect();
        Candidates { positions: positions.into_iter().collect(), end }
    }

    /// Whether scanning gets a page farther than these candidates, which end after `width` positions.
    pub(crate) fn rather_scan(&self, candidates: &Candidates, width: u64) -> bool {
        let full = self.exact && candidates.positions.len() > self.max_events;
        candidates.end.is_some() && width < PAGE_SCAN_EVENTS && !full
    }
}
