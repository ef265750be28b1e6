//! The one transaction in which everything is written: the heads first, then a look at them, then what was decided.
//!
//! Whoever has changed the log's head in an open transaction has the turn: any other transaction that changes it meanwhile, or that began before this one was committed, is
//! refused by the server with a write conflict. So transactions are committed in the order of their turns, and what is read after that change is all there is. A
//! transaction writes positions behind those of the one before it; hence positions are committed in their order.
//!
//! The heads of the streams grow in the same command, as if everything were accepted, which it mostly is: an append is four trips with its commit. What turned out otherwise is put
//! right before the commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria, WriteConcern};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::abandoned::Writers;
use super::document::{self, Place, int64, number, uuid};
use super::error::{Class, Failure, Labels};
use super::names::{LOG, Names};
use super::work::left;
use crate::decision::KnownEvent;
use crate::event::Event;
use crate::faults::{planted, point};
use crate::position::MAX_POSITION;

/// What every transaction of a store needs.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) names: Names,
    pub(super) epoch: Uuid,
    pub(super) write_concern: WriteConcern,
    pub(super) writers: Writers,
}

/// The turn to write: what is read from here on stays until the commit.
#[derive(Debug)]
pub(super) struct Turn {
    /// The position of the log's last event.
    pub(super) head: u64,
    /// How many positions were taken behind it.
    positions: u64,
    /// The server's clock, in microseconds since 1970.
    pub(super) now: i64,
    heads: HashMap<String, Head>,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// What was committed before.
    before: u64,
    /// What this transaction has made of it.
    grown: u64,
}

impl Turn {
    /// The versions of the streams that were named.
    pub(super) fn versions(&self) -> HashMap<String, u64> {
        self.heads.iter().map(|(stream, head)| (stream.clone(), head.before)).collect()
    }
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
    /// Begins a transaction and takes the turn: as many positions as may be needed, and of each stream as many versions.
    pub(super) async fn begin(&self, session: &mut ClientSession, growth: &HashMap<&str, u64>, positions: u64, deadline: Instant) -> Result<Turn, Failure> {
        session
            .start_transaction()
            .read_concern(ReadConcern::majority())
            .write_concern(self.write_concern.clone())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .max_commit_time(left(deadline))
            .await?;
        let mut updates = vec![self.log_update(positions)];
        // A planted bug: positions that are given before what stands at them is settled.
        let outside = if planted("mongodb-turn-outside") { Some(self.take_outside(updates.remove(0)).await?) } else { None };
        updates.extend(growth_updates(growth));
        if !updates.is_empty() {
            self.update_heads(session, updates, deadline).await?;
        }
        let mut turn = self.look(session, growth, positions, deadline).await?;
        if let Some(head) = outside {
            turn.head = head;
        }
        Ok(turn)
    }

    /// The change that takes the turn. It is one even when no position is drawn: the time is written, too.
    fn log_update(&self, positions: u64) -> Document {
        let change = doc! { "$set": { "position": { "$add": ["$position", int64(positions)] }, "at": "$$NOW" } };
        doc! { "q": { "_id": LOG, "epoch": uuid(self.epoch) }, "u": [change] }
    }

    async fn take_outside(&self, mut update: Document) -> Result<u64, Failure> {
        let (filter, change) = (update.get_document("q").cloned().unwrap_or_default(), update.remove("u"));
        let change = change.and_then(|change| change.as_array().and_then(|change| change.first()?.as_document().cloned())).unwrap_or_default();
        let log = self.names.heads.find_one_and_update(filter, vec![change]).return_document(ReturnDocument::Before).await?;
        number(&log.ok_or_else(|| self.another())?, "position")
    }

    fn another(&self) -> Failure {
        Failure::Setup(format!("namespace '{}' is another one than this store opened: open it again", self.names.namespace))
    }

    /// What the heads are now, and were.
    async fn look(&self, session: &mut ClientSession, growth: &HashMap<&str, u64>, positions: u64, deadline: Instant) -> Result<Turn, Failure> {
        let wanted: Vec<&str> = growth.keys().copied().chain([LOG]).collect();
        let find = self.names.heads.find(doc! { "_id": { "$in": wanted } }).max_time(left(deadline));
        let mut found = find.session(&mut *session).await?;
        let (mut log, mut heads) = (None, HashMap::with_capacity(growth.len()));
        while found.advance(session).await? {
            let head = found.current();
            let stream = document::string(head, "_id")?;
            if stream == LOG {
                log = Some((number(head, "position")?, document::id(head, "epoch")?, document::time(head, "at")));
                continue;
            }
            let grown = number(head, "version")?;
            let before = grown.saturating_sub(growth.get(stream.as_str()).copied().unwrap_or_default());
            heads.insert(stream, Head { before, grown });
        }
        let (reserved, epoch, now) = log.ok_or_else(|| self.another())?;
        if epoch != self.epoch {
            return Err(self.another());
        }
        if reserved > MAX_POSITION {
            return Err(Failure::Setup("the log's positions are used up".to_owned()));
        }
        Ok(Turn { head: reserved.saturating_sub(positions), positions, now: now?, heads })
    }

    /// Which ids are known, with what they hold.
    pub(super) async fn known(&self, session: &mut ClientSession, ids: &[Uuid], deadline: Instant) -> Result<HashMap<Uuid, KnownEvent>, Failure> {
        let ids: Vec<Bson> = ids.iter().map(|id| Bson::Binary(uuid(*id))).collect();
        let find = self.names.events.find(doc! { "_id": { "$in": ids } }).max_time(left(deadline));
        let (mut found, mut known) = (find.session(&mut *session).await?, HashMap::new());
        while found.advance(session).await? {
            let content = document::event(found.current())?;
            let event = KnownEvent { stream: content.stream.clone(), version: content.version, position: content.position, content: None };
            known.insert(content.id, KnownEvent { content: Some(Box::new(content)), ..event });
        }
        Ok(known)
    }

    /// Writes events, and puts the heads right where they were not there yet, or fewer events were accepted than had been reckoned with.
    pub(super) async fn write(&self, session: &mut ClientSession, turn: &Turn, rows: &[Row<'_>], deadline: Instant) -> Result<(), Failure> {
        if !rows.is_empty() {
            let documents: Vec<RawDocumentBuf> = rows.iter().map(|row| document::of_event(row.event, &row.place)).collect();
            self.names.events.insert_many(documents).session(&mut *session).await?;
        }
        let written: HashMap<&str, u64> = rows.iter().map(|row| (row.place.stream, row.place.version)).collect();
        let (mut updates, mut new, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (stream, version) in &written {
            match turn.heads.get(*stream) {
                None => new.push(document::of_head(stream, *version)),
                Some(head) if head.grown != *version => updates.push(set(stream, *version)),
                Some(_) => {}
            }
        }
        for (stream, head) in turn.heads.iter().filter(|(stream, head)| head.grown != head.before && !written.contains_key(stream.as_str())) {
            if head.before == 0 {
                absent.push(stream.as_str());
            } else {
                updates.push(set(stream, head.before));
            }
        }
        let positions = rows.len() as u64;
        if positions != turn.positions && !planted("mongodb-turn-outside") {
            updates.push(doc! { "q": { "_id": LOG }, "u": { "$set": { "position": int64(turn.head + positions) } } });
        }
        if !new.is_empty() {
            self.names.heads.insert_many(new).session(&mut *session).await?;
        }
        if !updates.is_empty() {
            self.update_heads(session, updates, deadline).await?;
        }
        if !absent.is_empty() {
            self.names.heads.delete_many(doc! { "_id": { "$in": absent } }).session(session).await?;
        }
        Ok(())
    }

    /// One command for all heads.
    async fn update_heads(&self, session: &mut ClientSession, updates: Vec<Document>, deadline: Instant) -> Result<(), Failure> {
        let limit_ms = i64::try_from(left(deadline).as_millis()).unwrap_or(i64::MAX).max(1);
        let command = doc! { "update": self.names.heads.name(), "updates": updates, "maxTimeMS": limit_ms };
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
                    if unknown && planted("mongodb-runs-unknown-again") {
                        return Err(Trouble::Undone(failure));
                    }
                    if failure.labels().transient && !unknown {
                        return Err(Trouble::Undone(failure));
                    }
                    if !unknown && !matches!(failure.class(), Class::Unknown | Class::Unreached | Class::Again) {
                        return Err(Trouble::Unknown(failure));
                    }
                    failure
                }
            };
            if Instant::now() >= deadline || planted("mongodb-commits-once") {
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

fn update(stream: &str, change: Document) -> Document {
    doc! { "q": { "_id": stream }, "u": change, "upsert": true }
}

/// One stream grows whether or not it is there yet. Several that grow alike take one statement, a third of the server's work; which of them are not there is seen when the heads
/// are read.
fn growth_updates(growth: &HashMap<&str, u64>) -> Vec<Document> {
    let by = |versions: u64| doc! { "$inc": { "version": int64(versions) } };
    if let (Some((stream, versions)), 1) = (growth.iter().next(), growth.len()) {
        return if *versions > 0 { vec![update(stream, by(*versions))] } else { Vec::new() };
    }
    let mut alike: HashMap<u64, Vec<&str>> = HashMap::new();
    for (stream, versions) in growth.iter().filter(|(_, versions)| **versions > 0) {
        alike.entry(*versions).or_default().push(stream);
    }
    alike.into_iter().map(|(versions, streams)| doc! { "q": { "_id": { "$in": streams } }, "u": by(versions), "multi": true }).collect()
}

fn set(stream: &str, version: u64) -> Document {
    update(stream, doc! { "$set": { "version": int64(version) } })
}

/// A little more than a small transaction takes: a rival who has the turn is done by then.
const SHORTEST_PAUSE: Duration = Duration::from_millis(8);
const LONGEST_PAUSE: Duration = Duration::from_millis(60);

/// How tries are spaced: with jitter, so that rivals do not meet again. Shorter pauses were tried and wear the server down.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default().with_min_delay(SHORTEST_PAUSE).with_max_delay(LONGEST_PAUSE).without_max_times().with_jitter().build()
}
