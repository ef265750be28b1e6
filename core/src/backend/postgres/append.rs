//! Appending: the plain form, and who takes what it did not.

use std::time::Duration;

use tokio::time::Instant;

use super::Postgres;
use super::doubt::Doubt;
use super::error::{Class, Failure, unknown};
use super::lease::Lease;
use super::names::{EXPECT_ANY, EXPECT_EXISTS, draw_first};
use super::row::{Rows, Written, bigint, written};
use super::session::Backend;
use crate::error::{Error, Result};
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};
use crate::version::ExpectedVersion;

/// How long a statement waits for a lock at first: several appends before each goes by itself, one before it lets go of
/// the gate.
pub(super) const SHARED_WAIT: Duration = Duration::from_millis(150);
/// How long one append that is held up waits at a time: its connection is free in between, for whoever else needs one.
pub(super) const PATIENT_WAIT: Duration = Duration::from_secs(1);
/// Kept back for the answer, so that a wait in vain ends with a clear one before the deadline.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(100);

/// What became of a group's appends, each in the group's order; nothing for those that were not taken.
pub(super) type Taken = Vec<Option<AppendResult>>;

/// A failed try, and who may still be running it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) backend: Option<Backend>,
}

impl Trouble {
    pub(super) fn of(lease: &Lease, failure: Failure) -> Self {
        Self { backend: lease.backend(), failure }
    }

    pub(super) const fn unreached(failure: Failure) -> Self {
        Self { failure, backend: None }
    }
}

impl Postgres {
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        match self.plain(group, SHARED_WAIT).await {
            Ok(taken) => self.finish(group, taken).await,
            Err(trouble) => self.after(group, trouble).await,
        }
    }

    /// The plain form: one statement, one trip, one commit.
    async fn plain(&self, group: &[AppendRequest], wait: Duration) -> std::result::Result<Taken, Trouble> {
        let deadline = last_deadline(group);
        let expected: Vec<i64> = group.iter().map(|request| demand(request.expected)).collect();
        let batch = Batch::new(group.iter().zip(expected));
        let mut lease = self.pool.lease(deadline).await.map_err(Trouble::unreached)?;
        point("postgres-append-before").await;
        let sent = self.insert(&mut lease, &batch, wait, deadline).await;
        point("postgres-append-after").await;
        sent.map_err(|failure| Trouble::of(&lease, failure))
    }

    /// Sends a batch; answers what was taken of it, in the order of the appends it was made of.
    ///
    /// Who waits for longer stands outside the gate: others must be able to have it for themselves meanwhile.
    pub(super) async fn insert(
        &self,
        lease: &mut Lease,
        batch: &Batch<'_>,
        wait: Duration,
        deadline: Instant,
    ) -> std::result::Result<Taken, Failure> {
        let statements = &self.statements;
        let statement = match (wait > SHARED_WAIT, batch.rows.has_tags()) {
            (false, false) => &statements.append,
            (false, true) => &statements.append_tagged,
            (true, false) => &statements.append_patient,
            (true, true) => &statements.append_patient_tagged,
        };
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_TIME);
        let query = batch.rows.bind(statement, wait.min(left).as_millis().max(1).to_string());
        let early = planted("postgres-check-after-draw");
        if early {
            lease.begin(&draw_first(&self.names, self.class), deadline).await?;
            // Long enough for another writer to commit in between.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rows = lease.fetch(query, deadline).await?;
        if early {
            lease.commit(deadline).await?;
        }
        batch.taken(&written(&rows)?)
    }

    /// What the plain form left is decided with care: ids come before any refusal.
    async fn finish(&self, group: &[AppendRequest], taken: Taken) -> Vec<Result<AppendResult>> {
        let left: Vec<AppendRequest> =
            group.iter().zip(&taken).filter(|(_, taken)| taken.is_none()).map(|(request, _)| request.clone()).collect();
        if left.is_empty() {
            return taken.into_iter().flatten().map(Ok).collect();
        }
        let mut rest = self.careful(&left, Doubt::default()).await.into_iter();
        let missing = || Err(Error::internal("an append of a group was not answered"));
        taken.into_iter().map(|taken| taken.map_or_else(|| rest.next().unwrap_or_else(missing), Ok)).collect()
    }

    async fn after(&self, group: &[AppendRequest], trouble: Trouble) -> Vec<Result<AppendResult>> {
        match trouble.failure.class() {
            Class::Race | Class::Again | Class::Unreached => self.careful(group, Doubt::default()).await,
            Class::Unknown if matches!(trouble.failure, Failure::Late) => {
                group.iter().map(|_| Err(unknown(trouble.failure.clone()))).collect()
            }
            Class::Unknown => {
                let mut doubt = Doubt::default();
                doubt.note(&trouble);
                self.careful(group, doubt).await
            }
            Class::HeldUp | Class::Final if group.len() > 1 && matches!(trouble.failure, Failure::Refused { .. }) => {
                self.one_by_one(group).await
            }
            Class::HeldUp => self.alone(&group[0]).await.into_iter().collect(),
            Class::Final => group.iter().map(|_| Err(trouble.failure.clone().into())).collect(),
        }
    }

    /// After a refusal that one of them caused, or behind a lock that only some meet. Who is held up even then is told
    /// so, and comes back in a group of its own.
    pub(super) async fn one_by_one(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            let lone = std::slice::from_ref(request);
            let answer = match self.plain(lone, SHARED_WAIT).await {
                Ok(taken) => self.finish(lone, taken).await,
                Err(trouble) if trouble.failure.class() == Class::HeldUp => vec![Err(Error::held_up())],
                Err(trouble) => Box::pin(self.after(lone, trouble)).await,
            };
            answers.extend(answer);
        }
        answers
    }

    /// An append that somebody's open transaction holds up, alone: tried for as long as its deadline allows.
    async fn alone(&self, request: &AppendRequest) -> Vec<Result<AppendResult>> {
        let lone = std::slice::from_ref(request);
        loop {
            match self.plain(lone, PATIENT_WAIT).await {
                Ok(taken) => return self.finish(lone, taken).await,
                Err(trouble) if trouble.failure.class() != Class::HeldUp => {
                    return Box::pin(self.after(lone, trouble)).await;
                }
                Err(trouble) if request.deadline.saturating_duration_since(Instant::now()) <= 2 * ANSWER_TIME => {
                    return vec![Err(trouble.failure.into())];
                }
                Err(_) => {}
            }
        }
    }
}

/// The last of a group's deadlines: its connection is closed only then.
pub(super) fn last_deadline(group: &[AppendRequest]) -> Instant {
    group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now)
}

fn demand(expected: ExpectedVersion) -> i64 {
    match expected {
        ExpectedVersion::Any => EXPECT_ANY,
        ExpectedVersion::StreamExists => EXPECT_EXISTS,
        ExpectedVersion::NoStream => 0,
        ExpectedVersion::Exact(version) => bigint(version),
    }
}

/// Appends as rows, in the order in which every writer inserts: by stream, so that no two wait for each other.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    rows: Rows<'a>,
    /// In the order of their rows: which append it is, its stream, how many events it has.
    parts: Vec<(usize, &'a str, usize)>,
}

impl<'a> Batch<'a> {
    /// Makes a batch of appends, each with the version its stream must be at. Appends to the same stream keep their
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

    /// Finds each append's rows among those written.
    fn taken(&self, written: &[Written]) -> std::result::Result<Taken, Failure> {
        let mut taken = vec![None; self.parts.len()];
        let mut rest = written;
        for (append, stream, events) in &self.parts {
            if rest.first().is_none_or(|row| row.stream != *stream) {
                continue;
            }
            let own = rest.get(..*events).filter(|own| own.iter().all(|row| row.stream == *stream));
            let Some(last) = own.and_then(<[Written]>::last) else {
                return Err(Failure::Bug("an append was written in part".to_owned()));
            };
            if let Some(place) = taken.get_mut(*append) {
                *place = Some(AppendResult { version: last.version, position: last.position, repeated: false });
            }
            rest = rest.get(*events..).unwrap_or_default();
        }
        if rest.is_empty() { Ok(taken) } else { Err(Failure::Bug("rows were written that nobody sent".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
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
    fn an_append_without_rows_was_not_taken() {
        let group = [request("a", 1), request("b", 2), request("c", 1)];
        assert_eq!(
            batch(&group).taken(&rows(&[("a", 1, 10), ("c", 1, 11)])).ok(),
            Some(vec![done(1, 10), None, done(1, 11)])
        );
        assert_eq!(batch(&group).taken(&[]).ok(), Some(vec![None, None, None]));
    }

    #[test]
    fn an_append_written_in_part_is_a_bug_that_is_told() {
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
