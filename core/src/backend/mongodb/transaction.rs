//! The transaction that writes: it changes the heads first ([`super::heads`]), and then writes what was decided by
//! them.
//!
//! A transaction that has changed the log's head has the turn to write. The server refuses any other transaction that
//! changes the head before this one has ended, or that began before this one's commit, with a write conflict. So
//! transactions commit in the order of their turns, and what a transaction reads after its change of the head is
//! complete. Each transaction writes positions above those of the transaction before it, so positions are committed in
//! their order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mongodb::ClientSession;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::document::{self, uuid};
use super::error::{Class, Failure};
use super::heads::Turn;
use super::work::{left, pauses};
use super::writer::{Row, Writer};
use crate::decision::KnownEvent;
use crate::faults::{planted, point};

/// The stage of an attempt, shared by the task that works and the caller that waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage(Arc<AtomicU8>);

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    /// Starts the commit. False if the caller has given up before.
    fn commit(&self) -> bool {
        self.0.compare_exchange(OPEN, COMMITTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives the attempt up. True if its commit has not started; it will never start then.
    pub(super) fn give_up(&self) -> bool {
        self.0.compare_exchange(OPEN, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A failed attempt.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing of it is committed, or ever will be.
    Undone(Failure),
    /// It may be committed. Another attempt finds out by the ids.
    Unknown(Failure),
}

impl Trouble {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Undone(failure) | Self::Unknown(failure) => failure,
        }
    }
}

impl Writer {
    /// Begins a transaction and takes the turn to write; see [`Writer::take_turn`].
    pub(super) async fn begin(
        &self,
        session: &mut ClientSession,
        growth: &HashMap<&str, u64>,
        positions: u64,
        deadline: Instant,
    ) -> Result<Turn, Failure> {
        session
            .start_transaction()
            .read_concern(ReadConcern::majority())
            .write_concern(self.write_concern.clone())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .max_commit_time(left(deadline))
            .await?;
        self.take_turn(session, growth, positions, deadline).await
    }

    /// Reads the events that have one of these ids.
    pub(super) async fn known(
        &self,
        session: &mut ClientSession,
        ids: &[Uuid],
        deadline: Instant,
    ) -> Result<HashMap<Uuid, KnownEvent>, Failure> {
        let ids: Vec<Bson> = ids.iter().map(|id| Bson::Binary(uuid(*id))).collect();
        let find = self.names.events.find(doc! { "_id": { "$in": ids } }).max_time(left(deadline));
        let (mut found, mut known) = (find.session(&mut *session).await?, HashMap::new());
        while found.advance(session).await? {
            let (id, event) = document::known(found.current())?;
            known.insert(id, event);
        }
        Ok(known)
    }

    /// Writes events, and corrects the heads.
    pub(super) async fn write(
        &self,
        session: &mut ClientSession,
        turn: &Turn,
        rows: &[Row<'_>],
        deadline: Instant,
    ) -> Result<(), Failure> {
        if !rows.is_empty() {
            let documents: Vec<RawDocumentBuf> =
                rows.iter().map(|row| document::of_event(row.event, &row.place)).collect();
            self.names.events.insert_many(documents).session(&mut *session).await?;
        }
        self.settle(session, turn, rows, deadline).await
    }

    /// Commits. As long as the result is unknown, it sends the commit of the same transaction again.
    ///
    /// Once a commit was sent, no refusal proves that nothing was written: the driver sends a commit a second time by
    /// itself, and the refusal can be the answer to that one.
    pub(super) async fn commit(
        &self,
        session: &mut ClientSession,
        stage: &Stage,
        deadline: Instant,
    ) -> Result<(), Trouble> {
        if !stage.commit() {
            self.abort(session).await;
            return Err(Trouble::Undone(Failure::Late));
        }
        point("mongodb-before-commit").await;
        let mut pauses = pauses();
        loop {
            let Err(error) = session.commit_transaction().await else { return Ok(()) };
            let unknown = error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT);
            let failure = Failure::from(error);
            if unknown && planted("mongodb-runs-unknown-again") {
                return Err(Trouble::Undone(failure));
            }
            let over = failure.labels().transient && !unknown;
            let ask_again = unknown || matches!(failure.class(), Class::Unknown | Class::Unreached | Class::Again);
            if over || !ask_again || Instant::now() >= deadline || planted("mongodb-commits-once") {
                return Err(Trouble::Unknown(failure));
            }
            sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Aborts a transaction, so that the next one need not wait until the server ends it.
    pub(super) async fn abort(&self, session: &mut ClientSession) {
        // If this fails, the transaction has ended already, or the server will end it.
        let _ = session.abort_transaction().await;
    }
}
