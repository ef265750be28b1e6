//! What a store must answer, computed from a list of events. It knows the order of positions, not their values.

use std::collections::BTreeMap;

use streamkeep::{Direction, Event, ExpectedVersion, ImportEvent, Query};

/// An event in the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recorded {
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) event: Event,
}

/// Why an operation is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    Conflict { actual: u64 },
    Duplicate,
    InvalidArgument,
}

/// The index of the last event, and whether the append was a repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Done {
    pub(super) version: u64,
    pub(super) index: usize,
    pub(super) repeated: bool,
}

/// The list of events.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    pub(super) log: Vec<Recorded>,
    pub(super) snapshots: BTreeMap<(String, String, u64), String>,
}

impl Oracle {
    pub(super) fn version(&self, stream: &str) -> u64 {
        self.log.iter().rev().find(|recorded| recorded.stream == stream).map_or(0, |recorded| recorded.version)
    }

    fn index_of(&self, event: &Event) -> Option<usize> {
        self.log.iter().position(|recorded| recorded.event.id == event.id)
    }

    pub(super) fn append(
        &mut self,
        stream: &str,
        events: &[Event],
        expected: ExpectedVersion,
    ) -> Result<Done, Refusal> {
        let known: Vec<Option<usize>> = events.iter().map(|event| self.index_of(event)).collect();
        if known.iter().any(Option::is_some) {
            return self.repeated(stream, events, &known);
        }
        let actual = self.version(stream);
        let holds = match expected {
            ExpectedVersion::Any => true,
            ExpectedVersion::NoStream => actual == 0,
            ExpectedVersion::StreamExists => actual > 0,
            ExpectedVersion::Exact(version) => actual == version,
        };
        if !holds {
            return Err(Refusal::Conflict { actual });
        }
        for (version, event) in (actual + 1..).zip(events) {
            self.log.push(Recorded { stream: stream.to_owned(), version, event: event.clone() });
        }
        Ok(Done { version: self.version(stream), index: self.log.len() - 1, repeated: false })
    }

    /// The first answer if every event is known, in this stream, in this order and with this content; otherwise a
    /// duplicate.
    fn repeated(&self, stream: &str, events: &[Event], known: &[Option<usize>]) -> Result<Done, Refusal> {
        let mut last: Option<Done> = None;
        for (event, index) in events.iter().zip(known) {
            let Some(index) = *index else { return Err(Refusal::Duplicate) };
            let recorded = &self.log[index];
            let follows = last.is_none_or(|last| recorded.version == last.version + 1);
            if recorded.stream != stream || recorded.event != *event || !follows {
                return Err(Refusal::Duplicate);
            }
            last = Some(Done { version: recorded.version, index, repeated: true });
        }
        last.ok_or(Refusal::InvalidArgument)
    }

    /// Imports all or nothing, and returns how many events were written.
    pub(super) fn import(&mut self, events: &[ImportEvent]) -> Result<u64, Refusal> {
        let mut after = self.clone();
        let before = self.log.len();
        for import in events {
            match after.index_of(&import.event) {
                Some(index) if index >= before => return Err(Refusal::Duplicate),
                Some(index) => {
                    let recorded = &after.log[index];
                    let same = recorded.stream == import.stream
                        && import.version.is_none_or(|version| version == recorded.version)
                        && recorded.event == import.event;
                    if !same {
                        return Err(Refusal::Duplicate);
                    }
                }
                None => {
                    let actual = after.version(&import.stream);
                    let version = import.version.unwrap_or(actual + 1);
                    if version == 0 || (actual > 0 && version != actual + 1) {
                        return Err(Refusal::Conflict { actual });
                    }
                    after.log.push(Recorded { stream: import.stream.clone(), version, event: import.event.clone() });
                }
            }
        }
        let written = (after.log.len() - before) as u64;
        *self = after;
        Ok(written)
    }

    /// The events that match a query, in a direction, up to a limit.
    pub(super) fn select(
        &self,
        wanted: impl Fn(usize, &Recorded) -> bool,
        direction: Direction,
        limit: Option<u64>,
    ) -> Vec<usize> {
        let mut found: Vec<usize> = self
            .log
            .iter()
            .enumerate()
            .filter(|(index, recorded)| wanted(*index, recorded))
            .map(|(index, _)| index)
            .collect();
        if direction == Direction::Backward {
            found.reverse();
        }
        found.truncate(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX));
        found
    }

    pub(super) fn save_snapshot(
        &mut self,
        stream: &str,
        schema: &str,
        version: u64,
        data: String,
    ) -> Result<(), Refusal> {
        if !self.log.iter().any(|recorded| recorded.stream == stream && recorded.version == version) {
            return Err(Refusal::InvalidArgument);
        }
        self.snapshots.insert((stream.to_owned(), schema.to_owned(), version), data);
        Ok(())
    }

    pub(super) fn load_snapshot(&self, stream: &str, schema: &str, at_or_before: u64) -> Option<(u64, &String)> {
        let range = (stream.to_owned(), schema.to_owned(), 0)..=(stream.to_owned(), schema.to_owned(), at_or_before);
        self.snapshots.range(range).next_back().map(|((_, _, version), data)| (*version, data))
    }
}

/// Whether a query matches an event, written independently of the store.
pub(super) fn means(query: &Query, recorded: &Recorded) -> bool {
    let category = match recorded.stream.find('-') {
        Some(0) | None => recorded.stream.as_str(),
        Some(end) => &recorded.stream[..end],
    };
    let one_of = |names: &[String], name: &str| names.is_empty() || names.iter().any(|other| other == name);
    query.items.is_empty()
        || query.items.iter().any(|item| {
            one_of(&item.types, &recorded.event.event_type)
                && one_of(&item.categories, category)
                && one_of(&item.streams, &recorded.stream)
                && item.tags.iter().filter(|tag| !recorded.event.tags.contains(tag)).count() == 0
        })
}
