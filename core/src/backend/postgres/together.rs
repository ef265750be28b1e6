//! Appends to contended streams, written together.
//!
//! One caller at a time writes those that wait, in one transaction that has the locks of their streams. So they cost
//! the other streams one connection and one commit at a time, however many there are.

use tokio::time::Instant;

use super::Postgres;
use super::attempt::ANSWER_TIME;
use super::doubt::Doubt;
use super::error::Failure;
use crate::combiner::{Combiner, Unanswered};
use crate::error::{Error, Outcome, Result};
use crate::request::{AppendRequest, AppendResult};

type Answers = Vec<Result<AppendResult>>;

/// The appends to contended streams that wait for the caller that writes.
pub(super) type Together = Combiner<Vec<AppendRequest>, Answers>;

impl Postgres {
    /// Appends a group to one stream outside the lanes: with others if the stream is contended, and alone if it waits
    /// for the lock of another transaction.
    pub(super) async fn append_outside_lanes(&self, group: &[AppendRequest]) -> Answers {
        if self.hot.among(group).is_empty() {
            return self.append_alone(group).await;
        }
        let mut answers = self.append_with_others(group).await;
        let held_up: Vec<usize> =
            (0..answers.len()).filter(|place| answers[*place].as_ref().is_err_and(Error::is_held_up)).collect();
        if !held_up.is_empty() {
            let alone: Vec<AppendRequest> = held_up.iter().map(|place| group[*place].clone()).collect();
            for (place, answer) in held_up.into_iter().zip(self.append_alone(&alone).await) {
                answers[place] = answer;
            }
        }
        answers
    }

    async fn append_with_others(&self, group: &[AppendRequest]) -> Answers {
        let deadline = group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now);
        let limit = deadline.checked_sub(ANSWER_TIME).unwrap_or(deadline);
        let answered = self.together.run(0, group.to_vec(), limit, |groups| self.write_together(groups)).await;
        let error = |unanswered: &Unanswered| match unanswered {
            Unanswered::Late => Doubt::default().error(Failure::Late),
            Unanswered::Lost => {
                Error::internal("an append with others was not answered").with_outcome(Outcome::Unknown)
            }
        };
        answered.unwrap_or_else(|unanswered| group.iter().map(|_| Err(error(&unanswered))).collect())
    }

    async fn write_together(&self, groups: Vec<Vec<AppendRequest>>) -> Vec<Answers> {
        let requests: Vec<AppendRequest> = groups.iter().flatten().cloned().collect();
        let mut answers = self.append_together(&requests).await.into_iter();
        groups.iter().map(|group| answers.by_ref().take(group.len()).collect()).collect()
    }
}
