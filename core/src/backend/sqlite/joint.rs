//! Appends to several namespaces of a file, written in one transaction.
//!
//! Each namespace groups its own appends. The groups of all namespaces wait for the one connection that writes, and the
//! caller that gets it writes all of them with one commit. A joint transaction writes only groups whose appends are all
//! accepted at once. Any other group, and every group after a failure, is appended by its own namespace.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

use super::Sqlite;
use super::append::{Form, ids_of, may_be_applied, place};
use super::connect::{BUSY_SLICE, within};
use super::error::{Failure, FailureKind};
use super::row::NewRow;
use super::sql::Sql;
use super::write::{End, begin, known, write_and_commit};
use crate::combiner::{Combiner, Unanswered};
use crate::decision::{Decision, decide_appends};
use crate::error::Result;
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};

/// The groups that wait for the connection that writes.
pub(super) type JointWrites = Combiner<NamespaceGroup, Joint>;

/// The namespaces are back after a few yields, like the callers of one of them.
const GATHERING_YIELDS: usize = 128;

/// A group with an append whose deadline is nearer than this takes no part in a joint transaction.
const SOON: Duration = BUSY_SLICE.saturating_mul(2);

pub(super) fn writes() -> JointWrites {
    Combiner::new(GATHERING_YIELDS)
}

/// A group of appends to one namespace.
#[derive(Debug)]
pub(super) struct NamespaceGroup {
    pub(super) sql: Arc<Sql>,
    pub(super) requests: Vec<AppendRequest>,
}

impl NamespaceGroup {
    fn streams(&self) -> (&Sql, Vec<&str>) {
        (&self.sql, self.requests.iter().map(|request| request.stream.as_str()).collect())
    }

    fn earliest_deadline(&self) -> Option<Instant> {
        self.requests.iter().map(|request| request.deadline).min()
    }
}

impl AsRef<[AppendRequest]> for NamespaceGroup {
    fn as_ref(&self) -> &[AppendRequest] {
        &self.requests
    }
}

/// What became of a group.
#[derive(Clone, Debug)]
pub(super) enum Joint {
    /// A joint transaction wrote all of it.
    Written(Vec<AppendResult>),
    /// No other group waited, so its own namespace has appended it.
    Answered(Vec<Result<AppendResult>>),
    /// Its namespace has to append it. With `doubt`, the joint transaction may have written it.
    Left { doubt: bool },
}

/// When a joint transaction looks up which ids are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// The unique index refuses a known id.
    Never,
    /// Before it decides. This shows which groups have known ids.
    First,
}

/// The groups of one transaction, and how to write them.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    groups: &'a [&'a NamespaceGroup],
    look: Look,
    deadline: Instant,
}

impl Sqlite {
    /// Answers every append of a group, together with the groups of other namespaces that wait; see the trait.
    pub(super) async fn append_jointly(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let deadline = group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now);
        let waiting = NamespaceGroup { sql: Arc::clone(&self.sql), requests: group.to_vec() };
        // One lane of one namespace enters at a time.
        let source = Arc::as_ptr(&self.sql).addr();
        match self.file.joint_writes.run(source, waiting, deadline, |groups| self.write_jointly(groups)).await {
            Ok(Joint::Written(results)) => results.into_iter().map(Ok).collect(),
            Ok(Joint::Answered(answers)) => answers,
            Ok(Joint::Left { doubt: false }) | Err(Unanswered::Late) => self.append_group(group).await,
            // The caller that wrote may have panicked after it sent the commit.
            Ok(Joint::Left { doubt: true }) | Err(Unanswered::Lost) => {
                self.append_in_form(group, Form::Careful, deadline, vec![true; group.len()]).await
            }
        }
    }

    pub(super) async fn write_jointly(&self, groups: Vec<NamespaceGroup>) -> Vec<Joint> {
        if let [NamespaceGroup { sql, requests }] = groups.as_slice()
            && Arc::ptr_eq(sql, &self.sql)
        {
            return vec![Joint::Answered(self.append_group(requests).await)];
        }
        // A group that is late or soon will be must not end the write of the others.
        let soon = Instant::now() + SOON;
        let takes_part = |group: &NamespaceGroup| group.earliest_deadline().is_some_and(|deadline| deadline > soon);
        let part: Vec<&NamespaceGroup> = groups.iter().filter(|group| takes_part(group)).collect();
        let mut written = self.write_part(&part).await.into_iter();
        let mut answer = |group| if takes_part(group) { written.next() } else { None };
        groups.iter().map(|group| answer(group).unwrap_or(Joint::Left { doubt: false })).collect()
    }

    /// Writes groups in one transaction, and answers each in their order.
    async fn write_part(&self, groups: &[&NamespaceGroup]) -> Vec<Joint> {
        // No append waits for the lock beyond its own deadline.
        let Some(deadline) = groups.iter().filter_map(|group| group.earliest_deadline()).min() else {
            return Vec::new();
        };
        let mut sent = false;
        match self.attempt_jointly(groups, deadline, &mut sent).await {
            Ok(mut joint) => {
                if planted("sqlite-joint-mixes-answers") {
                    joint.reverse();
                }
                joint
            }
            Err(failure) => vec![Joint::Left { doubt: sent && may_be_applied(&failure) }; groups.len()],
        }
    }

    async fn attempt_jointly(
        &self,
        groups: &[&NamespaceGroup],
        deadline: Instant,
        sent: &mut bool,
    ) -> std::result::Result<Vec<Joint>, Failure> {
        let mut lease = self.file.writer.lease(deadline).await?;
        let mut part = Part { groups, look: Look::Never, deadline };
        let mut answer = self.try_in_transaction(&mut lease.connection, part, sent).await;
        if let Ok(None) = answer {
            // Only the groups with known ids leave.
            part.look = Look::First;
            answer = self.try_in_transaction(&mut lease.connection, part, sent).await;
        }
        let answer = answer.map(|joint| joint.unwrap_or_else(|| vec![Joint::Left { doubt: false }; groups.len()]));
        let joint = lease.settle(answer)?;
        // A write to a file that was removed or replaced meanwhile must not be acknowledged.
        if !planted("sqlite-file-unchecked") {
            self.file.identity.check(deadline).await?;
        }
        Ok(joint)
    }

    /// `None` means that an id is known, and that `OR ROLLBACK` has ended the transaction.
    async fn try_in_transaction(
        &self,
        connection: &mut SqliteConnection,
        part: Part<'_>,
        sent: &mut bool,
    ) -> std::result::Result<Option<Vec<Joint>>, Failure> {
        *sent = false;
        match within(part.deadline, self.write_in_transaction(connection, part, sent)).await {
            Err(failure) if failure.kind == FailureKind::Unique => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn write_in_transaction(
        &self,
        connection: &mut SqliteConnection,
        Part { groups, look, deadline }: Part<'_>,
        sent: &mut bool,
    ) -> std::result::Result<Vec<Joint>, Failure> {
        // In one order, so that the same namespaces make the same text.
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_unstable_by_key(|n| &groups[*n].sql.namespace);
        let namespaces: Vec<_> = order.iter().map(|n| groups[*n].streams()).collect();
        let facts = begin(connection, &namespaces).await?;
        self.file.identity.check(deadline).await?;
        point("sqlite-in-joint-transaction").await;
        let mut joint = vec![Joint::Left { doubt: false }; groups.len()];
        let mut accepted: Vec<(&Sql, Vec<NewRow<'_>>)> = Vec::new();
        for (n, (drawn, mut facts)) in order.into_iter().zip(facts) {
            let NamespaceGroup { sql, requests } = &groups[n];
            if look == Look::First {
                facts.known = known(connection, sql, &ids_of(requests)).await?;
            }
            let decisions = decide_appends(requests, &facts);
            let accepted_at_once = decisions.iter().all(|decision| matches!(decision, Decision::Write { .. }));
            if accepted_at_once {
                let (rows, answers) = place(requests, decisions, drawn);
                accepted.push((sql, rows));
                let results: Option<Vec<AppendResult>> = answers.into_iter().map(|answer| answer?.ok()).collect();
                joint[n] = Joint::Written(results.ok_or_else(Failure::bug)?);
            }
        }
        let rows: Vec<(&Sql, &[NewRow<'_>])> = accepted.iter().map(|(sql, rows)| (*sql, rows.as_slice())).collect();
        write_and_commit(connection, &rows, End::Nothing, sent).await?;
        Ok(joint)
    }
}
