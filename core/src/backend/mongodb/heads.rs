//! The heads of the log and of the streams: their last position and versions. A transaction changes them first, and
//! corrects them before its commit.
//!
//! Changing the log's head takes the turn to write. The same command lets the heads of the streams grow as if every
//! append were accepted, as most are. One find then reads the heads, which tells what they were before. So an append
//! takes four round trips with its commit. Heads that grew too much are corrected before the commit.

use std::collections::HashMap;

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use tokio::time::Instant;

use super::document::{self, int64, number, uuid};
use super::error::{Failure, Labels, told_of_write};
use super::format::{check_writer, of_log};
use super::names::LOG;
use super::work::left;
use super::writer::{Row, Writer};
use crate::faults::planted;
use crate::position::MAX_POSITION;

/// The turn to write: until the commit, no other transaction changes what this one reads.
#[derive(Debug)]
pub(super) struct Turn {
    /// The position of the log's last event.
    pub(super) head: u64,
    /// How many positions were reserved after it.
    positions: u64,
    /// The server's clock, in microseconds since 1970.
    pub(super) now: i64,
    heads: HashMap<String, Head>,
}

/// The version of a stream.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// The committed version.
    before: u64,
    /// The version that this transaction has written.
    grown: u64,
}

impl Turn {
    /// The committed versions of the streams.
    pub(super) fn versions(&self) -> HashMap<String, u64> {
        self.heads.iter().map(|(stream, head)| (stream.clone(), head.before)).collect()
    }
}

impl Writer {
    /// Takes the turn to write. Reserves as many positions, and of each stream as many versions, as may be needed.
    pub(super) async fn take_turn(
        &self,
        session: &mut ClientSession,
        growth: &HashMap<&str, u64>,
        positions: u64,
        deadline: Instant,
    ) -> Result<Turn, Failure> {
        let mut updates = vec![self.log_update(positions)];
        // A planted bug: positions that are drawn outside the transaction.
        let outside =
            if planted("mongodb-turn-outside") { Some(self.take_outside(updates.remove(0)).await?) } else { None };
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

    /// The update that takes the turn. It writes the time too, so it changes the document even if no position is drawn.
    fn log_update(&self, positions: u64) -> Document {
        let change = doc! { "$set": { "position": { "$add": ["$position", int64(positions)] }, "at": "$$NOW" } };
        doc! { "q": { "_id": LOG, "epoch": uuid(self.epoch) }, "u": [change] }
    }

    async fn take_outside(&self, mut update: Document) -> Result<u64, Failure> {
        let (filter, change) = (update.get_document("q").cloned().unwrap_or_default(), update.remove("u"));
        let change = change
            .and_then(|change| change.as_array().and_then(|change| change.first()?.as_document().cloned()))
            .unwrap_or_default();
        let log =
            self.names.heads.find_one_and_update(filter, vec![change]).return_document(ReturnDocument::Before).await?;
        number(&log.ok_or_else(|| self.another())?, "position")
    }

    fn another(&self) -> Failure {
        Failure::Setup(format!(
            "namespace '{}' is not the one that this store opened: close every store on it, and open it again",
            self.names.namespace
        ))
    }

    /// Reads the heads, and computes what they were before the transaction.
    async fn look(
        &self,
        session: &mut ClientSession,
        growth: &HashMap<&str, u64>,
        positions: u64,
        deadline: Instant,
    ) -> Result<Turn, Failure> {
        let wanted: Vec<&str> = growth.keys().copied().chain([LOG]).collect();
        let find = self.names.heads.find(doc! { "_id": { "$in": wanted } }).max_time(left(deadline));
        let mut found = find.session(&mut *session).await?;
        let (mut log, mut heads) = (None, HashMap::with_capacity(growth.len()));
        while found.advance(session).await? {
            let head = found.current();
            let stream = document::string(head, "_id")?;
            if stream == LOG {
                check_writer(of_log(head)?)?;
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
            return Err(Failure::Setup("the log has used all its positions".to_owned()));
        }
        Ok(Turn { head: reserved.saturating_sub(positions), positions, now: now?, heads })
    }

    /// Writes the heads of new streams, and corrects the heads that grew by more events than were accepted.
    pub(super) async fn settle(
        &self,
        session: &mut ClientSession,
        turn: &Turn,
        rows: &[Row<'_>],
        deadline: Instant,
    ) -> Result<(), Failure> {
        let written: HashMap<&str, u64> = rows.iter().map(|row| (row.place.stream, row.place.version)).collect();
        let (mut updates, mut new, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (stream, version) in &written {
            match turn.heads.get(*stream) {
                None => new.push(document::of_head(stream, *version)),
                Some(head) if head.grown != *version => updates.push(set(stream, *version)),
                Some(_) => {}
            }
        }
        for (stream, head) in turn
            .heads
            .iter()
            .filter(|(stream, head)| head.grown != head.before && !written.contains_key(stream.as_str()))
        {
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

    /// Updates all heads in one command.
    async fn update_heads(
        &self,
        session: &mut ClientSession,
        updates: Vec<Document>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let limit_ms = i64::try_from(left(deadline).as_millis()).unwrap_or(i64::MAX).max(1);
        let command = doc! { "update": self.names.heads.name(), "updates": updates, "maxTimeMS": limit_ms };
        let answer = self.names.database.run_command(command).session(session).await?;
        match answer.get_array("writeErrors").ok().and_then(|errors| errors.first()).and_then(Bson::as_document) {
            Some(error) => {
                let code = error.get_i32("code").unwrap_or_default();
                let message = told_of_write(code, error.get_str("errmsg").unwrap_or_default());
                Err(Failure::Refused { code, message, labels: Labels::default() })
            }
            None => Ok(()),
        }
    }
}

fn update(stream: &str, change: Document) -> Document {
    doc! { "q": { "_id": stream }, "u": change, "upsert": true }
}

/// A single stream is updated or inserted. Several streams that grow by the same number share one statement, which is a
/// third of the work for the server. Which of them are missing shows when the heads are read.
fn growth_updates(growth: &HashMap<&str, u64>) -> Vec<Document> {
    let by = |versions: u64| doc! { "$inc": { "version": int64(versions) } };
    if let (Some((stream, versions)), 1) = (growth.iter().next(), growth.len()) {
        return if *versions > 0 { vec![update(stream, by(*versions))] } else { Vec::new() };
    }
    let mut alike: HashMap<u64, Vec<&str>> = HashMap::new();
    for (stream, versions) in growth.iter().filter(|(_, versions)| **versions > 0) {
        alike.entry(*versions).or_default().push(stream);
    }
    alike
        .into_iter()
        .map(|(versions, streams)| doc! { "q": { "_id": { "$in": streams } }, "u": by(versions), "multi": true })
        .collect()
}

fn set(stream: &str, version: u64) -> Document {
    update(stream, doc! { "$set": { "version": int64(version) } })
}
