//! Appends to contended streams, written together.
//!
//! One caller at a time writes those that wait, in one transaction that has the locks of their streams. So they cost
//! the other streams one connection and one commit at a time, however many there are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::Postgres;
use super::attempt::ANSWER_TIME;
use super::doubt::Doubt;
use super::error::Failure;
use crate::error::{Error, Outcome, Result};
use crate::event::Event;
use crate::limits::{GROUP_BYTES, GROUP_EVENTS};
use crate::request::{AppendRequest, AppendResult};

type Answers = Vec<Result<AppendResult>>;

/// The appends to contended streams that wait for the caller that writes.
#[derive(Debug, Default)]
pub(super) struct Together {
    waiting: Mutex<Vec<Waiting>>,
    next_ticket: AtomicU64,
    /// Held by the caller that writes.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    group: Vec<AppendRequest>,
    answer: oneshot::Sender<Answers>,
}

impl Together {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, group: &[AppendRequest]) -> (u64, oneshot::Receiver<Answers>) {
        let (answer, answers) = oneshot::channel();
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        self.waiting().push(Waiting { ticket, group: group.to_vec(), answer });
        (ticket, answers)
    }

    fn has(&self, ticket: u64) -> bool {
        self.waiting().iter().any(|waiting| waiting.ticket == ticket)
    }

    /// Returns whether the group still waited.
    fn withdraw(&self, ticket: u64) -> bool {
        let mut waiting = self.waiting();
        let before = waiting.len();
        waiting.retain(|waiting| waiting.ticket != ticket);
        waiting.len() < before
    }

    /// Takes what goes into one transaction, in the order it came.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let (mut events, mut bytes) = (0, 0);
        let fits = |waiting: &&Waiting| {
            let of_group = || waiting.group.iter().flat_map(|request| request.events.iter());
            events += of_group().count();
            bytes += of_group().map(Event::size_bytes).sum::<usize>();
            events <= GROUP_EVENTS && bytes <= GROUP_BYTES
        };
        let fitting = waiting.iter().take_while(fits).count().max(1).min(waiting.len());
        waiting.drain(..fitting).collect()
    }
}

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
        let (ticket, mut answers) = self.together.enter(group);
        let late = || group.iter().map(|_| Err(Doubt::default().error(Failure::Late))).collect();
        let answered = tokio::select! {
            biased;
            answered = &mut answers => answered,
            writing = self.together.writing.lock() => {
                // The caller that wrote before may have taken this group too.
                while self.together.has(ticket) {
                    self.write_together().await;
                }
                drop(writing);
                answers.await
            }
            () = sleep_until(limit) => {
                if self.together.withdraw(ticket) {
                    return late();
                }
                answers.await
            }
        };
        let missing = |_| {
            let error = || Error::internal("an append with others was not answered").with_outcome(Outcome::Unknown);
            group.iter().map(|_| Err(error())).collect()
        };
        answered.unwrap_or_else(missing)
    }

    async fn write_together(&self) {
        let taken = self.together.take();
        let requests: Vec<AppendRequest> = taken.iter().flat_map(|waiting| waiting.group.clone()).collect();
        let mut answers = self.append_together(&requests).await.into_iter();
        for waiting in taken {
            // A caller that has gone does not hear it.
            let _ = waiting.answer.send(answers.by_ref().take(waiting.group.len()).collect());
        }
    }
}
