//! Appends: which form to write in, and what to do when it fails.

use std::borrow::Cow;

use sqlx::sqlite::SqliteConnection;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::error::{Failure, FailureKind};
use super::pool::within;
use super::row::{Bound, NewRow, bind_content, now_micros, number};
use super::sql::Sql;
use super::write::{begin, known, write_and_commit};
use super::{BUSY_SLICE, Sqlite};
use crate::backend::{AppendRequest, Appended};
use crate::decision::{Decision, decide_appends};
use crate::error::{Error, Outcome, Result};
use crate::faults::point;
use crate::version::ExpectedVersion;

/// How long to wait before writing again after the file could not be read or written.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(20);

/// The ways to write appends, each dearer than the one before it and able to answer more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One event alone, in one statement that holds its expectation.
    One,
    /// Any group: versions first, ids only if somebody is refused.
    Group,
    /// Any group: versions and ids first.
    Careful,
}

/// The answers of a group, in its order; nothing where an append must be decided once more.
type Answers = Vec<Option<Result<Appended>>>;

impl Sqlite {
    /// Answers every append of a group; see the trait.
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        let deadline = group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now);
        let mut answers: Answers = group.iter().map(|_| None).collect();
        let mut doubt = false;
        let mut form = first_form(&self.sql, group, deadline);
        while answers.iter().any(Option::is_none) {
            let open: Vec<usize> = (0..group.len()).filter(|n| answers[*n].is_none()).collect();
            let requests = if open.len() == group.len() { Cow::Borrowed(group) } else { open.iter().map(|n| group[*n].clone()).collect() };
            let mut sent = false;
            let failure = match self.attempt(form, &requests, deadline, &mut sent).await {
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
            doubt |= sent && may_be_applied(&failure);
            if failure.kind == FailureKind::Busy && form == Form::One {
                form = Form::Group;
            } else if failure.kind == FailureKind::Refused && requests.len() > 1 {
                // Somebody's value: each for itself, so that it is refused alone.
                for n in open {
                    answers[n] = Box::pin(self.append_group(&group[n..=n])).await.pop();
                }
            } else if self.worth_a_retry(&failure, deadline).await {
                form = Form::Careful;
            } else {
                let error = Error::from(failure).with_outcome(if doubt { Outcome::Unknown } else { Outcome::NotApplied });
                open.into_iter().for_each(|n| answers[n] = Some(Err(error.clone())));
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// Writes in one form. No answers at all: it takes a more careful one.
    async fn attempt(&self, form: Form, requests: &[AppendRequest], deadline: Instant, sent: &mut bool) -> std::result::Result<Option<Answers>, Failure> {
        let mut lease = self.writer.lease(deadline).await?;
        let answer = match (form, requests) {
            (Form::One, [request]) => within(deadline, self.append_one(&mut lease.connection, request, sent)).await,
            _ => within(deadline, self.append_together(&mut lease.connection, requests, form == Form::Careful, sent)).await,
        };
        lease.settle(answer)
    }

    /// In one trip to the driver. No answers: the stream is not as expected, or an id is known.
    async fn append_one(&self, connection: &mut SqliteConnection, request: &AppendRequest, sent: &mut bool) -> std::result::Result<Option<Answers>, Failure> {
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
        *sent = true;
        let placed = match head {
            Some(head) => place_after(connection, statement, head, request.events.len()).await,
            None => place_somewhere(connection, statement).await,
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
        sent: &mut bool,
    ) -> std::result::Result<Option<Answers>, Failure> {
        let streams = requests.iter().map(|request| request.stream.as_str()).collect();
        let (drawn, mut facts) = begin(connection, &self.sql, streams).await?;
        point("sqlite-in-transaction").await;
        if careful {
            facts.known = known(connection, &self.sql, &ids_of(requests)).await?;
        }
        let mut decisions = decide_appends(requests, &facts);
        if !careful && decisions.iter().any(|decision| matches!(decision, Decision::Refuse(_))) {
            facts.known = known(connection, &self.sql, &ids_of(requests)).await?;
            decisions = decide_appends(requests, &facts);
        }
        let (rows, answers) = place(requests, decisions, drawn);
        match write_and_commit(connection, &self.sql, &rows, sent).await {
            Ok(()) => Ok(Some(answers)),
            // An id is known. `OR ROLLBACK` has ended the transaction.
            Err(failure) if failure.kind == FailureKind::Unique && !careful => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether to write again, on a fresh connection, after a pause. Nothing of a first attempt is left by then: who writes holds the lock, so
    /// once it is ours, the first attempt is over, and what it did is there to be seen.
    pub(super) async fn worth_a_retry(&self, failure: &Failure, deadline: Instant) -> bool {
        let again = matches!(failure.kind, FailureKind::Broken | FailureKind::CannotOpen) && Instant::now() + RETRY_AFTER < deadline;
        if again {
            sleep(RETRY_AFTER).await;
        }
        again
    }
}

/// Runs the statement of an append whose stream's head is said.
async fn place_after(connection: &mut SqliteConnection, statement: Bound, head: i64, count: usize) -> std::result::Result<Appended, Failure> {
    let done = statement.execute(connection).await?;
    let (Ok(position), Ok(head)) = (u64::try_from(done.last_insert_rowid()), u64::try_from(head)) else { return Err(Failure::bug()) };
    Ok(Appended { version: head + count as u64, position, repeated: false })
}

/// Runs the statement of one event, and asks where it stands. To its end: the driver's `fetch_one` would not see a failing commit.
async fn place_somewhere(connection: &mut SqliteConnection, statement: Bound) -> std::result::Result<Appended, Failure> {
    let rows = statement.fetch_all(connection).await?;
    let row = rows.first().ok_or_else(Failure::bug)?;
    Ok(Appended { position: number(row, 0)?, version: number(row, 1)?, repeated: false })
}

/// What has one statement goes alone: one event, or some whose stream's version is said, without tags. Close to the deadline it goes in a transaction, whose commit is not yet sent while it waits for the lock:
/// `not applied` can then be answered.
fn first_form(sql: &Sql, group: &[AppendRequest], deadline: Instant) -> Form {
    let has_one_statement = |request: &AppendRequest| {
        let count = request.events.len();
        let said = matches!(request.expected, ExpectedVersion::NoStream | ExpectedVersion::Exact(_));
        (count == 1 || (said && sql.append_run(count).is_some())) && request.events.iter().all(|event| event.tags.is_empty())
    };
    match group {
        [request] if has_one_statement(request) && deadline > Instant::now() + BUSY_SLICE * 2 => Form::One,
        _ => Form::Group,
    }
}

/// Whether a commit that was sent may have been done, though this came back.
pub(super) fn may_be_applied(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Late | FailureKind::Broken | FailureKind::Corrupt | FailureKind::Bug)
}

/// The versions a stream may be at, lowest and highest: [`ExpectedVersion::holds`] for the one statement that decides in SQL.
fn bounds(expected: ExpectedVersion) -> (i64, i64) {
    if crate::faults::planted("sqlite-no-unique") {
        return (0, i64::MAX);
    }
    match expected {
        ExpectedVersion::Any => (0, i64::MAX),
        ExpectedVersion::NoStream => (0, 0),
        ExpectedVersion::StreamExists => (1, i64::MAX),
        ExpectedVersion::Exact(version) => i64::try_from(version).map_or((1, 0), |version| (version, version)),
    }
}

fn ids_of(requests: &[AppendRequest]) -> Vec<Uuid> {
    requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect()
}

/// Gives what is to be written its positions, and every append its answer.
fn place(requests: &[AppendRequest], decisions: Vec<Decision>, drawn: u64) -> (Vec<NewRow<'_>>, Answers) {
    let mut rows: Vec<NewRow<'_>> = Vec::new();
    let mut position = drawn;
    let mut answer = |request: &'_ AppendRequest, decision| match decision {
        Decision::Repeated(appended) => Some(Ok(appended)),
        Decision::Refuse(error) => Some(Err(error)),
        Decision::Again => None,
        Decision::Write { first_version } => {
            position += request.events.len() as u64;
            Some(Ok(Appended { version: first_version + request.events.len() as u64 - 1, position, repeated: false }))
        }
    };
    let answers: Answers = requests.iter().zip(decisions).map(|(request, decision)| answer(request, decision)).collect();
    for (request, answer) in requests.iter().zip(&answers) {
        if let Some(Ok(Appended { version, position, repeated: false })) = answer {
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
