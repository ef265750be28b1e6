//! Appends to several namespaces of a file, written in one transaction.
//!
//! Each namespace groups its own appends. The groups of all namespaces wait for the one connection that writes, and the
//! caller that gets it writes all of them with one commit. A joint transaction writes only groups whose appends are all
//! accepted at once. Any other group, and every group after a failure, is appended by its own namespace.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

use super::Sqlite;
use super::append::{Form, may_be_applied, place};
use super::connect::within;
use super::error::{Failure, FailureKind};
use super::row::NewRow;
use super::sql::Sql;
use super::write::{End, begin, write_and_commit};
use crate::combiner::{Combiner, Unanswered};
use crate::decision::{Decision, decide_appends};
use crate::error::{Error, Outcome, Result};
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};

/// The groups that wait for the connection that writes.
pub(super) type JointWrites = Combiner<NamespaceGroup, Joint>;

/// The namespaces are back after a few yields, like the callers of one of them.
const GATHERING_YIELDS: usize = 128;

pub(super) fn writes() -> JointWrites {
    Combiner::new(GATHERING_YIELDS)
}

/// A group of appends to one namespace.
#[derive(Debug)]
pub(super) struct NamespaceGroup {
    sql: Arc<Sql>,
    requests: Vec<AppendRequest>,
}

impl NamespaceGroup {
    fn streams(&self) -> (&Sql, Vec<&str>) {
        (&self.sql, self.requests.iter().map(|request| request.stream.as_str()).collect())
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
            Ok(Joint::Left { doubt: true }) => {
                self.append_in_form(group, Form::Careful, deadline, vec![true; group.len()]).await
            }
            Err(Unanswered::Lost) => {
                let lost = || Error::internal("a joint write was not answered").with_outcome(Outcome::Unknown);
                group.iter().map(|_| Err(lost())).collect()
            }
        }
    }

    async fn write_jointly(&self, groups: Vec<NamespaceGroup>) -> Vec<Joint> {
        if let [NamespaceGroup { sql, requests }] = groups.as_slice()
            && Arc::ptr_eq(sql, &self.sql)
        {
            return vec![Joint::Answered(self.append_group(requests).await)];
        }
        let left = |doubt| vec![Joint::Left { doubt }; groups.len()];
        // No append waits for the lock beyond its own deadline.
        let deadlines = groups.iter().flat_map(|group| group.requests.iter().map(|request| request.deadline));
        let Some(deadline) = deadlines.min() else { return left(false) };
        let mut sent = false;
        match self.attempt_jointly(&groups, deadline, &mut sent).await {
            Ok(mut joint) => {
                if planted("sqlite-joint-mixes-answers") {
                    joint.reverse();
                }
                joint
            }
            Err(failure) => left(sent && may_be_applied(&failure)),
        }
    }

    async fn attempt_jointly(
        &self,
        groups: &[NamespaceGroup],
        deadline: Instant,
        sent: &mut bool,
    ) -> std::result::Result<Vec<Joint>, Failure> {
        let mut lease = self.file.writer.lease(deadline).await?;
        let answer = within(deadline, self.write_in_transaction(&mut lease.connection, groups, deadline, sent)).await;
        let answer = match answer {
            // An id is known, and `OR ROLLBACK` has ended the transaction.
            Err(failure) if failure.kind == FailureKind::Unique => Ok(vec![Joint::Left { doubt: false }; groups.len()]),
            answer => answer,
        };
        let joint = lease.settle(answer)?;
        // A write to a file that was removed or replaced meanwhile must not be acknowledged.
        if !planted("sqlite-file-unchecked") {
            self.file.identity.check(deadline).await?;
        }
        Ok(joint)
    }

    async fn write_in_transaction(
        &self,
        connection: &mut SqliteConnection,
        groups: &[NamespaceGroup],
        deadline: Instant,
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
        for (n, (drawn, facts)) in order.into_iter().zip(facts) {
            let NamespaceGroup { sql, requests } = &groups[n];
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
