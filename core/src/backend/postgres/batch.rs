//! Turns appends into the rows of one statement, and the written rows into answers.

use super::error::Failure;
use super::names::{EXPECT_ANY, EXPECT_EXISTS};
use super::row::{Rows, Written, bigint};
use crate::request::{AppendRequest, AppendResult};
use crate::version::ExpectedVersion;

/// The result of each append of a batch, in the batch's order; `None` if it was not written.
pub(super) type Taken = Vec<Option<AppendResult>>;

/// An expected version, as the append statement takes it.
pub(super) fn demand(expected: ExpectedVersion) -> i64 {
    match expected {
        ExpectedVersion::Any => EXPECT_ANY,
        ExpectedVersion::StreamExists => EXPECT_EXISTS,
        ExpectedVersion::NoStream => 0,
        ExpectedVersion::Exact(version) => bigint(version),
    }
}

/// Appends as rows, sorted by stream. All writers insert in this order, so that no two can wait for each other.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) rows: Rows<'a>,
    /// For each append, in the order of the rows: its index, its stream and how many events it has.
    parts: Vec<(usize, &'a str, usize)>,
}

impl<'a> Batch<'a> {
    /// Makes a batch of appends, each with the expected version of its stream. Appends to the same stream keep their
    /// order.
    pub(super) fn new(appends: impl Iterator<Item = (&'a AppendRequest, i64)>) -> Self {
        let mut appends: Vec<(usize, (&AppendRequest, i64))> = appends.enumerate().collect();
        appends.sort_by(|(_, (a, _)), (_, (b, _))| a.stream.cmp(&b.stream));
        let mut batch = Self { rows: Rows::default(), parts: Vec::with_capacity(appends.len()) };
        let (mut stream, mut place) = ("", 0);
        for (append, (request, expected)) in appends {
            if request.stream != stream {
                (stream, place) = (&request.stream, 0);
            }
            for event in request.events.iter() {
                place += 1;
                batch.rows.push(&request.stream, place, expected, event, None);
            }
            batch.parts.push((append, &request.stream, request.events.len()));
        }
        batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Finds the rows of each append among the written rows.
    pub(super) fn taken(&self, written: &[Written]) -> std::result::Result<Taken, Failure> {
        let mut taken = vec![None; self.parts.len()];
        let mut rest = written;
        for (append, stream, events) in &self.parts {
            if rest.first().is_none_or(|row| row.stream != *stream) {
                continue;
            }
            let own = rest.get(..*events).filter(|own| own.iter().all(|row| row.stream == *stream));
            let Some(last) = own.and_then(<[Written]>::last) else {
                return Err(Failure::Bug("an append was only partly written".to_owned()));
            };
            if let Some(place) = taken.get_mut(*append) {
                *place = Some(AppendResult { version: last.version, position: last.position, repeated: false });
            }
            rest = rest.get(*events..).unwrap_or_default();
        }
        if rest.is_empty() { Ok(taken) } else { Err(Failure::Bug("the server returned rows of no append".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn request(stream: &str, events: usize) -> AppendRequest {
        let events = (0..events).map(|_| crate::event::Event::json_text("T", "{}")).collect();
        AppendRequest { stream: stream.to_owned(), expected: ExpectedVersion::Any, events, deadline: Instant::now() }
    }

    fn rows(rows: &[(&str, u64, u64)]) -> Vec<Written> {
        rows.iter()
            .map(|(stream, version, position)| Written {
                stream: (*stream).to_owned(),
                version: *version,
                position: *position,
                floor: 0,
            })
            .collect()
    }

    fn batch(group: &[AppendRequest]) -> Batch<'_> {
        Batch::new(group.iter().map(|request| (request, EXPECT_ANY)))
    }

    const fn done(version: u64, position: u64) -> Option<AppendResult> {
        Some(AppendResult { version, position, repeated: false })
    }

    #[test]
    fn rows_find_their_appends_though_they_are_sent_by_stream() {
        let group = [request("b", 2), request("a", 1), request("b", 1)];
        let taken = batch(&group).taken(&rows(&[("a", 1, 10), ("b", 4, 11), ("b", 5, 13), ("b", 6, 14)]));
        assert_eq!(taken.ok(), Some(vec![done(5, 13), done(1, 10), done(6, 14)]));
    }

    #[test]
    fn an_append_without_rows_was_not_written() {
        let group = [request("a", 1), request("b", 2), request("c", 1)];
        assert_eq!(
            batch(&group).taken(&rows(&[("a", 1, 10), ("c", 1, 11)])).ok(),
            Some(vec![done(1, 10), None, done(1, 11)])
        );
        assert_eq!(batch(&group).taken(&[]).ok(), Some(vec![None, None, None]));
    }

    #[test]
    fn a_partly_written_append_is_reported_as_a_bug() {
        let group = [request("a", 2), request("b", 1)];
        for wrong in [
            rows(&[("a", 1, 10)]),
            rows(&[("a", 1, 10), ("b", 1, 11)]),
            rows(&[("a", 1, 10), ("a", 2, 11), ("x", 1, 12)]),
        ] {
            assert!(matches!(batch(&group).taken(&wrong), Err(Failure::Bug(_))), "{wrong:?}");
        }
    }
}
