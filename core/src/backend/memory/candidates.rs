//! Finds the candidates for a page of the log: the positions that can match its query, by the indexes on tags and
//! streams.

use super::{Log, index};
use crate::plan::{Candidates, Plan, Sources, Versions};
use crate::position::Direction;
use crate::request::LogPageRequest;

impl Log {
    /// Finds what can match above `lowest` and up to `highest`. `None` if scanning every event costs less.
    pub(super) fn candidates(&self, request: &LogPageRequest, lowest: u64, highest: u64) -> Option<Candidates> {
        let width = highest.saturating_sub(lowest);
        let mut plan = Plan::of(&request.query, request.direction, request.max_events, width)?;
        let within = |positions: &[u64]| {
            let place = |position: u64| positions.partition_point(|other| *other <= position);
            (place(lowest), place(highest))
        };
        let count = |tag: &&str| {
            let (first, end) = within(self.tagged(tag));
            ((*tag).to_owned(), ((end - first) as u64).min(plan.count_limit()))
        };
        let counts = plan.tags_to_count().iter().map(count).collect();
        plan.counted(&counts);
        let versions = |stream: &&str| {
            let positions = self.streams.get(*stream)?;
            let begin = self.at(*positions.first()?)?.version;
            let (first, end) = within(positions);
            let last = (begin + end as u64).checked_sub(1)?;
            Some(((*stream).to_owned(), Versions { first: begin + first as u64, last }))
        };
        let versions = plan.streams().iter().filter_map(versions).collect();
        let sources = plan.sources(&versions);
        let candidates = sources.candidates(&self.positions(&sources, request.direction, within));
        let end = candidates.end.unwrap_or(highest);
        let width = if request.direction == Direction::Forward { end - lowest } else { highest.saturating_sub(end) };
        (!sources.rather_scan(&candidates, width)).then_some(candidates)
    }

    /// Reads the positions of each source, in the page's direction.
    fn positions(
        &self,
        sources: &Sources<'_>,
        direction: Direction,
        within: impl Fn(&[u64]) -> (usize, usize),
    ) -> Vec<Vec<u64>> {
        let limit = index(sources.limit);
        let tags = sources.tags.iter().map(|tag| {
            let positions = self.tagged(tag);
            let (first, end) = within(positions);
            match direction {
                Direction::Forward => positions[first..end].iter().take(limit).copied().collect(),
                Direction::Backward => positions[first..end].iter().rev().take(limit).copied().collect(),
            }
        });
        let streams = sources.streams.iter().map(|source| {
            let positions = self.streams.get(source.stream).map_or(&[][..], Vec::as_slice);
            let begin = positions.first().and_then(|position| self.at(*position)).map_or(0, |event| event.version);
            let place = |version: u64| index(version.saturating_sub(begin)).min(positions.len());
            let wanted = &positions[place(source.versions.first)..place(source.versions.last + 1)];
            match direction {
                Direction::Forward => wanted.to_vec(),
                Direction::Backward => wanted.iter().rev().copied().collect(),
            }
        });
        tags.chain(streams).collect()
    }

    fn tagged(&self, tag: &str) -> &[u64] {
        self.tags.get(tag).map_or(&[], Vec::as_slice)
    }
}
