//! The one transaction in which everything is written: the counter first, then a look, then what was decided.
//!
//! Whoever has changed the counter in an open transaction has the turn: any other transaction that changes it meanwhile, or that began before this one was
//! committed, is refused by the server with a write conflict. So transactions are committed in the order of their turns, and what is read after the counter's change
//! is all there is. A transaction writes positions behind those of the one before it; hence positions are committed in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mongodb::ClientSession;
use mongodb::bson::{Bson, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria, WriteConcern};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::document::{self, Place, int64, number, uuid};
use super::error::{Class, Failure, Labels};
use super::names::{COUNTER, Names};
use super::work::left;
use crate::decision::{Facts, KnownEvent};
use crate::event::Event;
use crate::faults::{planted, point};
use crate::position::MAX_POSITION;

/// What every transaction of a store needs.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) names: Names,
    pub(super) epoch: Uuid,
    pub(super) write_concern: WriteConcern,
}

/// The turn to write: what is read from here on stays until the commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The position of the log's last event.
    pub(super) head: u64,
    /// The server's clock, in microseconds since 1970.
    pub(super) now: i64,
}

/// An event to write, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) event: &'a Event,
    pub(super) place: Place<'a>,
}

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

/// A try that did not end well.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing of it stands, or ever will.
    Undone(Failure),
    /// It was committed or not.
    Unknown(Failure),
}

impl Writer {
    /// Begins a transaction and takes the turn, with as many positions as may be needed.
    pub(super) async fn begin(&self, session: &mut ClientSession, positions: u64, deadline: Instant) -> Result<Turn, Failure> {
        session
            .start_transaction()
            .read_concern(ReadConcern::majority())
            .write_concern(self.write_concern.clone())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .max_commit_time(left(deadline))
            .await?;
        // The turn changes even when no position is drawn: a change that changes nothing would not be one.
        let change = doc! { "$set": {
            "position": { "$add": ["$position", int64(positions)] },
            "turn": { "$add": ["$turn", 1_i64] },
            "at": "$$NOW",
        } };
        let filter = doc! { "_id": COUNTER, "epoch": uuid(self.epoch) };
        let counter = if planted("mongodb-counter-outside") {
            self.names.counter.find_one_and_update(filter, vec![change]).return_document(ReturnDocument::After).await?
        } else {
            let update = self.names.counter.find_one_and_update(filter, vec![change]).return_document(ReturnDocument::After);
            update.max_time(left(deadline)).session(session).await?
        };
        let another = || Failure::Setup(format!("namespace '{}' is another one than this store opened: open it again", self.names.namespace));
        let counter = counter.ok_or_else(another)?;
        let reserved = number(&counter, "position")?;
        if reserved > MAX_POSITION {
            return Err(Failure::Setup("the log's positions are used up".to_owned()));
        }
        Ok(Turn { head: reserved.saturating_sub(positions), now: document::time(&counter, "at")? })
    }

    /// Where streams stand, and which ids are known, with what they hold.
    pub(super) async fn facts(&self, session: &mut ClientSession, streams: &[&str], ids: &[Uuid], deadline: Instant) -> Result<Facts, Failure> {
        let mut facts = Facts::default();
        let ids: Vec<Bson> = ids.iter().map(|id| Bson::Binary(uuid(*id))).collect();
        let find = self.names.events.find(doc! { "_id": { "$in": ids } }).max_time(left(deadline));
        let mut known = find.session(&mut *session).await?;
        while known.advance(session).await? {
            let content = document::event(known.current())?;
            let event = KnownEvent { stream: content.stream.clone(), version: content.version, position: content.position, content: None };
            facts.known.insert(content.id, KnownEvent { content: Some(Box::new(content)), ..event });
        }
        let find = self.names.streams.find(doc! { "_id": { "$in": streams } }).max_time(left(deadline));
        let mut heads = find.session(&mut *session).await?;
        while heads.advance(session).await? {
            let head = heads.current();
            facts.heads.insert(document::string(head, "_id")?, number(head, "version")?);
        }
        Ok(facts)
    }

    /// Writes events, and where their streams stand now. `positions` were taken with the turn: what is not needed of them is given back.
    pub(super) async fn write(&self, session: &mut ClientSession, turn: Turn, rows: &[Row<'_>], positions: u64) -> Result<(), Failure> {
        let written = rows.len() as u64;
        if written > 0 {
            let documents: Vec<RawDocumentBuf> = rows.iter().map(|row| document::of_event(row.event, &row.place)).collect();
            self.names.events.insert_many(documents).session(&mut *session).await?;
            self.write_heads(session, rows).await?;
        }
        if written != positions {
            let last = doc! { "$set": { "position": int64(turn.head + written) } };
            self.names.counter.update_one(doc! { "_id": COUNTER }, last).session(session).await?;
        }
        Ok(())
    }

    /// One command for all streams.
    async fn write_heads(&self, session: &mut ClientSession, rows: &[Row<'_>]) -> Result<(), Failure> {
        let mut heads: Vec<(&str, u64)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for row in rows {
            let place = *places.entry(row.place.stream).or_insert_with(|| {
                heads.push((row.place.stream, 0));
                heads.len() - 1
            });
            if let Some((_, version)) = heads.get_mut(place) {
                *version = row.place.version;
            }
        }
        let updates: Vec<Bson> = heads
            .into_iter()
            .map(|(stream, version)| Bson::Document(doc! { "q": { "_id": stream }, "u": { "$set": { "version": int64(version) } }, "upsert": true }))
            .collect();
        let command = doc! { "update": self.names.streams.name(), "updates": updates };
        let answer = self.names.database.run_command(command).session(session).await?;
        match answer.get_array("writeErrors").ok().and_then(|errors| errors.first()).and_then(Bson::as_document) {
            Some(error) => {
                let code = error.get_i32("code").unwrap_or_default();
                Err(Failure::Refused { code, message: "a write was refused".to_owned(), labels: Labels::default() })
            }
            None => Ok(()),
        }
    }

    /// Commits, and asks again for as long as it is not known whether that was done: it is the same transaction each time.
    pub(super) async fn commit(&self, session: &mut ClientSession, stage: &Stage, deadline: Instant) -> Result<(), Trouble> {
        if !stage.commit() {
            self.abort(session).await;
            return Err(Trouble::Undone(Failure::Late));
        }
        point("mongodb-before-commit").await;
        let mut pauses = pauses();
        loop {
            let failure = match session.commit_transaction().await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let unknown = error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT);
                    let failure = Failure::from(error);
                    if failure.labels().transient && !unknown {
                        return Err(Trouble::Undone(failure));
                    }
                    if !unknown && !matches!(failure.class(), Class::Unknown | Class::Unreached | Class::Again) {
                        return Err(Trouble::Unknown(failure));
                    }
                    failure
                }
            };
            if Instant::now() >= deadline {
                return Err(Trouble::Unknown(failure));
            }
            sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    /// Ends a transaction that is not to be committed, so that the next need not wait until the server does.
    pub(super) async fn abort(&self, session: &mut ClientSession) {
        // The driver says nothing of use here; a transaction that is over already is as good.
        let _ = session.abort_transaction().await;
    }
}

const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How tries are spaced: with jitter, so that rivals do not meet again. Shorter pauses were tried and wear the server down.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(4)).with_max_delay(LONGEST_PAUSE).without_max_times().with_jitter().build()
}
