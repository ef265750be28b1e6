//! Appends: chooses the form of the write, and reacts to its failures.

use std::borrow::Cow;

use sqlx::sqlite::SqliteConnection;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Sqlite;
use super::connect::{BUSY_SLICE, within};
use super::error::{Failure, FailureKind};
use super::row::{Bound, NewRow, bind_content, now_micros, number};
use super::sql::Sql;
use super::write::{End, begin_one, known, write_and_commit};
use crate::decision::{Decision, decide_appends};
use crate::error::{Error, Outcome, Result};
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};
use crate::version::ExpectedVersion;

/// The pause before a retry after the file could not be opened, read or written.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(20);

/// The ways to write appends. Each costs more than the one before it, and can answer more cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One append in one text, which checks its expected version.
    One,
    /// Any group. The versions are read first, the ids only if an append would be refused.
    Group,
    /// Any group. The versions and ids are read first.
    Careful,
}

/// How far an attempt got.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether its commit was sent.
    pub(super) sent: bool,
    /// The appends of the group that turned out to be stored already.
    repeated: Vec<usize>,
}

impl Progress {
    /// Whether an append of the group may be stored although the attempt failed.
    fn in_doubt(&self, append: usize, failure: &Failure) -> bool {
        (self.sent && may_be_applied(failure)) || self.repeated.contains(&append)
    }
}

/// The outcome that an error reports, by whether an earlier attempt may have been applied.
pub(super) const fn outcome(doubt: bool) -> Outcome {
    if doubt { Outcome::Unknown } else { Outcome::NotApplied }
}

/// The answers of a group, in its order; `None` for an append that must be decided again.
type Answers = Vec<Option<Result<AppendResult>>>;

impl Sqlite {
    /// Answers every append of a group, in transactions of its own.
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let deadline = group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now);
        let form = first_form(&self.sql, group, deadline);
        self.append_in_form(group, form, deadline, vec![false; group.len()]).await
    }

    /// Answers every append of a group. `doubts` tells for each whether an earlier attempt may have been applied.
    pub(super) async fn append_in_form(
        &self,
        group: &[AppendRequest],
        mut form: Form,
        deadline: Instant,
        mut doubts: Vec<bool>,
    ) -> Vec<Result<AppendResult>> {
        let mut answers: Answers = group.iter().map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            let open: Vec<usize> = (0..group.len()).filter(|n| answers[*n].is_none()).collect();
            let requests = if open.len() == group.len() {
                Cow::Borrowed(group)
            } else {
                open.iter().map(|n| group[*n].clone()).collect()
            };
            let mut progress = Progress::default();
            let failure = match self.attempt(form, &requests, deadline, &mut progress).await {
                Ok(Some(decided)) => {
                    for (n, answer) in open.into_iter().zip(decided) {
                        answers[n] = answer;
                    }
                    form = Form::Careful;
                    continue;
                }
                Ok(None) => {
                    form = Form::Careful;
                    continue;
                }
                Err(failure) => failure,
            };
            for (place, n) in open.iter().enumerate() {
                doubts[*n] |= progress.in_doubt(place, &failure);
            }
            if failure.kind == FailureKind::Busy && form == Form::One {
                form = Form::Group;
            } else if failure.kind == FailureKind::Refused && requests.len() > 1 {
                // One of the values was refused. Each append is sent alone, so that only the one with that value fails.
                for n in open {
                    let (alone, doubt) = (&group[n..=n], vec![doubts[n]]);
                    answers[n] = Box::pin(self.append_in_form(alone, Form::Careful, deadline, doubt)).await.pop();
                }
            } else if self.worth_a_retry(&failure, deadline).await {
                form = Form::Careful;
            } else {
                let error = Error::from(failure);
                open.into_iter().for_each(|n| answers[n] = Some(Err(error.clone().with_outcome(outcome(doubts[n])))));
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Makes one attempt. `None` means that a more careful form is needed.
    async fn attempt(
        &self,
        form: Form,
        requests: &[AppendRequest],
        deadline: Instant,
        progress: &mut Progress,
    ) -> std::result::Result<Option<Answers>, Failure> {
        let mut lease = self.file.writer.lease(deadline).await?;
        let answer = match (form, requests) {
            (Form::One, [request]) => within(deadline, self.append_one(&mut lease.connection, request, progress)).await,
            _ => {
                let careful = form == Form::Careful;
                within(deadline, self.append_together(&mut lease.connection, requests, careful, deadline, progress))
                    .await
            }
        };
        let answer = lease.settle(answer)?;
        // A write to a file that was removed or replaced meanwhile must not be acknowledged.
        if !planted("sqlite-file-unchecked") {
            self.file.identity.check(deadline).await?;
        }
        Ok(answer)
    }

    /// Writes one append in one call of the driver. `None` means that the stream's version is not as expected, or that
    /// an id is known.
    async fn append_one(
        &self,
        connection: &mut SqliteConnection,
        request: &AppendRequest,
        progress: &mut Progress,
    ) -> std::result::Result<Option<Answers>, Failure> {
        let Some((first, others)) = request.events.split_first() else { return Err(Failure::bug()) };
        let (lowest, highest) = bounds(request.expected);
        let head = (lowest == highest).then_some(lowest);
        let text = match (others, head) {
            ([], Some(_)) => &self.sql.append_one,
            ([], None) => &self.sql.append_one_and_tell,
            _ => self.sql.append_run(request.events.len()).ok_or_else(Failure::bug)?,
        };
        let (stream, recorded_at) = (request.stream.as_str(), now_micros());
        let statement = self.sql.query(text).bind(lowest).bind(highest).bind(stream).bind(stream);
        let mut statement = bind_content(statement, first, recorded_at)?;
        for (event, n) in others.iter().zip(2..) {
            statement = bind_content(statement.bind(stream).bind(lowest.saturating_add(n)), event, recorded_at)?;
        }
        progress.sent = true;
        let placed = match head {
            Some(head) => write_after(connection, statement, head, request.events.len()).await,
            None => write_at_end(connection, statement).await,
        };
        match placed {
            Ok(appended) => Ok(Some(vec![Some(Ok(appended))])),
            // `OR ROLLBACK` has ended the transaction.
            Err(failure) if matches!(failure.kind, FailureKind::Expectation | FailureKind::Unique) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn append_together(
        &self,
        connection: &mut SqliteConnection,
        requests: &[AppendRequest],
        careful: bool,
        deadline: Instant,
        progress: &mut Progress,
    ) -> std::result::Result<Option<Answers>, Failure> {
        let streams = requests.iter().map(|request| request.stream.as_str()).collect();
        let (drawn, mut facts) = begin_one(connection, &self.sql, streams).await?;
        self.file.identity.check(deadline).await?;
        point("sqlite-in-transaction").await;
        if planted("sqlite-deferred-begin") {
            // Gives another process time to commit.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        if careful {
            facts.known = known(connection, &self.sql, &ids_of(requests)).await?;
        }
        let mut decisions = decide_appends(requests, &facts);
        if !careful && decisions.iter().any(|decision| matches!(decision, Decision::Refuse(_))) {
            facts.known = known(connection, &self.sql, &ids_of(requests)).await?;
            decisions = decide_appends(requests, &facts);
        }
        progress.repeated.extend(
            decisions.iter().enumerate().filter(|(_, d)| matches!(d, Decision::Repeated(_))).map(|(append, _)| append),
        );
        let (rows, answers) = place(requests, decisions, drawn);
        let end = if progress.repeated.is_empty() { End::Nothing } else { End::Repeats };
        match write_and_commit(connection, &[(&self.sql, &rows)], end, &mut progress.sent).await {
            Ok(()) => Ok(Some(answers)),
            // An id is known, and `OR ROLLBACK` has ended the transaction.
            Err(failure) if failure.kind == FailureKind::Unique && !careful => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether to retry on a new connection; waits for the pause before it. The retry sees what the failed attempt did:
    /// it runs under the write lock, which it gets only after the attempt has ended.
    pub(super) async fn worth_a_retry(&self, failure: &Failure, deadline: Instant) -> bool {
        let again = matches!(failure.kind, FailureKind::Broken | FailureKind::CannotOpen)
            && Instant::now() + RETRY_AFTER < deadline;
        if again {
            sleep(RETRY_AFTER).await;
        }
        again
    }
}

/// Runs the statement of an append with an exact expected version.
async fn write_after(
    connection: &mut SqliteConnection,
    statement: Bound,
    head: i64,
    count: usize,
) -> std::result::Result<AppendResult, Failure> {
    let done = statement.execute(connection).await?;
    let (Ok(position), Ok(head)) = (u64::try_from(done.last_insert_rowid()), u64::try_from(head)) else {
        return Err(Failure::bug());
    };
    Ok(AppendResult { version: head + count as u64, position, repeated: false })
}

/// Runs the statement of one event, which returns its place. It reads all rows, because the driver's `fetch_one` would
/// miss a failed commit.
async fn write_at_end(
    connection: &mut SqliteConnection,
    statement: Bound,
) -> std::result::Result<AppendResult, Failure> {
    let rows = statement.fetch_all(connection).await?;
    let row = rows.first().ok_or_else(Failure::bug)?;
    Ok(AppendResult { position: number(row, 0)?, version: number(row, 1)?, repeated: false })
}

/// A single append without tags that has one event or an exact expected version is written in one text. Close to the
/// deadline it is written as a group instead, which sends its commit only after it has the lock, so that a late append
/// is known to be not applied.
fn first_form(sql: &Sql, group: &[AppendRequest], deadline: Instant) -> Form {
    let has_one_statement = |request: &AppendRequest| {
        let count = request.events.len();
        let exact = matches!(request.expected, ExpectedVersion::NoStream | ExpectedVersion::Exact(_));
        (count == 1 || (exact && sql.append_run(count).is_some()))
            && request.events.iter().all(|event| event.tags.is_empty())
    };
    match group {
        [request] if has_one_statement(request) && deadline > Instant::now() + BUSY_SLICE * 2 => Form::One,
        _ => Form::Group,
    }
}

/// Whether a commit that was sent may have succeeded despite this failure.
pub(super) fn may_be_applied(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Late
            | FailureKind::Broken
            | FailureKind::CannotWrite
            | FailureKind::Corrupt
            | FailureKind::Removed
            | FailureKind::Bug
    )
}

/// The lowest and highest version that an expected version allows: [`ExpectedVersion::holds`] for [`Form::One`], which
/// decides in SQL.
fn bounds(expected: ExpectedVersion) -> (i64, i64) {
    if planted("sqlite-no-unique") {
        return (0, i64::MAX);
    }
    match expected {
        ExpectedVersion::Any => (0, i64::MAX),
        ExpectedVersion::NoStream => (0, 0),
        ExpectedVersion::StreamExists => (1, i64::MAX),
        ExpectedVersion::Exact(version) => i64::try_from(version).map_or((1, 0), |version| (version, version)),
    }
}

pub(super) fn ids_of(requests: &[AppendRequest]) -> Vec<Uuid> {
    requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect()
}

/// Assigns positions to the events to write, and an answer to every append.
pub(super) fn place(requests: &[AppendRequest], decisions: Vec<Decision>, drawn: u64) -> (Vec<NewRow<'_>>, Answers) {
    let mut rows: Vec<NewRow<'_>> = Vec::new();
    let mut position = drawn;
    let mut answer = |request: &'_ AppendRequest, decision| match decision {
        Decision::Repeated(appended) => Some(Ok(appended)),
        Decision::Refuse(error) => Some(Err(error)),
        Decision::Again => None,
        Decision::Write { first_version } => {
            position += request.events.len() as u64;
            Some(Ok(AppendResult {
                version: first_version + request.events.len() as u64 - 1,
                position,
                repeated: false,
            }))
        }
    };
    let answers: Answers =
        requests.iter().zip(decisions).map(|(request, decision)| answer(request, decision)).collect();
    for (request, answer) in requests.iter().zip(&answers) {
        if let Some(Ok(AppendResult { version, position, repeated: false })) = answer {
            let (recorded_at, count) = (now_micros(), request.events.len() as u64);
            rows.extend(request.events.iter().zip(1..).map(|(event, n)| NewRow {
                position: position - count + n,
                stream: &request.stream,
                version: version - count + n,
                recorded_at,
                event,
            }));
        }
    }
    (rows, answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_in_sql_hold_when_the_expectation_does() {
        let expectations = [
            ExpectedVersion::Any,
            ExpectedVersion::NoStream,
            ExpectedVersion::StreamExists,
            ExpectedVersion::Exact(0),
            ExpectedVersion::Exact(3),
            ExpectedVersion::Exact(u64::MAX),
        ];
        for expected in expectations {
            let (lowest, highest) = bounds(expected);
            for head in [0_u64, 1, 2, 3, 4, (1 << 53) - 1] {
                let head_in_sql = i64::try_from(head).unwrap();
                assert_eq!((lowest..=highest).contains(&head_in_sql), expected.holds(head), "{expected} at {head}");
            }
        }
    }
}
