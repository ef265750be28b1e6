//! The one transaction in which everything is written: the heads first ([`super::heads`]), then what was decided by
//! them.
//!
//! Whoever has changed the log's head in an open transaction has the turn: any other transaction that changes it
//! meanwhile, or that began before this one was committed, is refused by the server with a write conflict. So
//! transactions are committed in the order of their turns, and what is read after that change is all there is. A
//! transaction writes positions behind those of the one before it; hence positions are committed in their order.

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

/// How far a try has got, agreed between who works and who waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage(Arc<AtomicU8>);

const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    /// From here on it may be done. False when nobody wants it any more.
    fn commit(&self) -> bool {
        self.0.compare_exchange(OPEN, COMMITTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Nobody waits any more. True when that comes before the commit: then it will never be done.
    pub(super) fn give_up(&self) -> bool {
        self.0.compare_exchange(OPEN, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// An attempt that did not end well.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing of it stands, or ever will.
    Undone(Failure),
    /// It may have been committed. It can be run again: the ids tell whether it was.
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
    /// Begins a transaction and takes the turn: as many positions as may be needed, and of each stream as many
    /// versions.
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

    /// Which ids are known, with what they hold.
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

    /// Writes events, and settles where everything stands with them.
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

    /// Commits, and asks again for as long as it is not known whether that was done: it is the same transaction each
    /// time.
    ///
    /// Once a commit was sent, no refusal proves that nothing was written: the driver asks a second time by itself, and
    /// what it answers can be the answer to that.
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

    /// Ends a transaction that is not to be committed, so that the next need not wait until the server does.
    pub(super) async fn abort(&self, session: &mut ClientSession) {
        // The driver says nothing of use here; a transaction that is over already is as good.
        let _ = session.abort_transaction().await;
    }
}
