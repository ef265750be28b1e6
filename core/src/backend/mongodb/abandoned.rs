//! Turns that nobody will give back: of a process that died in the midst of its transaction, or lost the way to the
//! server.
//!
//! The server ends such a transaction after a minute. So that others need not wait for that, every session that writes
//! is known in a collection, with when it was last seen by the server's clock, and is seen again for as long as its
//! transaction lasts. Whoever has waited for long ends what sessions not seen for long have open. That is safe whoever
//! they are: nothing of it was committed, and one that is alive after all begins its transaction again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::ExponentialBackoff;
use mongodb::ClientSession;
use mongodb::bson::{Binary, Bson, Document, doc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::document::{self, uuid};
use super::error::Failure;
use super::names::Names;
use super::work::{Work, pauses};
use crate::faults::planted;

/// How often a session in a transaction says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// Not seen for so long, it is taken for dead; and so long one waits before one looks.
const PATIENCE: Duration = Duration::from_secs(5);
/// A session is made known again after this, long before the collection forgets it.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);
/// The collection forgets what was not seen for so many seconds: no transaction lives that long.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The sessions by which this store writes.
#[derive(Debug, Default)]
pub(super) struct Writers {
    known: Mutex<HashMap<Vec<u8>, Instant>>,
}

/// Sees to it that a session is seen, until dropped.
#[derive(Debug)]
pub(super) struct Presence(#[allow(dead_code, reason = "held for its end")] DropGuard);

impl Writers {
    /// Makes a session known, before it takes the turn.
    pub(super) async fn enter(&self, names: &Names, session: &ClientSession) -> Result<Presence, Failure> {
        let id = session.id().get("id").cloned().unwrap_or(Bson::Null);
        let Bson::Binary(Binary { bytes: key, .. }) = id.clone() else {
            return Err(Failure::Bug("a session has no id".to_owned()));
        };
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .is_some_and(|since| since.elapsed() < KNOWN_FOR);
        if !known {
            see(names, &id).await?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Instant::now());
        }
        let (left, names) = (CancellationToken::new(), names.clone());
        let guard = left.clone().drop_guard();
        tokio::spawn(async move {
            while left.run_until_cancelled(sleep(BEAT)).await.is_some() {
                // Unseen it may lose its turn, and takes it again.
                let _ = see(&names, &id).await;
            }
        });
        Ok(Presence(guard))
    }
}

async fn see(names: &Names, id: &Bson) -> Result<(), Failure> {
    let seen = doc! { "$set": { "seen": "$$NOW" } };
    names.writers.update_one(doc! { "_id": id }, vec![seen]).upsert(true).await?;
    Ok(())
}

/// Ends the transactions of sessions that were not seen for long.
async fn end_abandoned(names: Names) -> Result<(), Failure> {
    // Both times are the server's.
    let mut known = names.writers.aggregate([doc! { "$project": { "seen": 1, "now": "$$NOW" } }]).await?;
    let mut sessions: Vec<Document> = Vec::new();
    while known.advance().await? {
        let writer = known.current();
        let unseen = document::time(writer, "now")?.saturating_sub(document::time(writer, "seen")?);
        if u128::try_from(unseen).is_ok_and(|unseen| unseen > PATIENCE.as_micros()) {
            sessions.push(doc! { "id": uuid(document::id(writer, "_id")?) });
        }
    }
    if !sessions.is_empty() {
        names.writers.client().database("admin").run_command(doc! { "killSessions": sessions }).await?;
    }
    Ok(())
}

/// The waits between the tries of one who is not given the turn.
#[derive(Debug)]
pub(super) struct Waits {
    pauses: ExponentialBackoff,
    since: Instant,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self { pauses: pauses(), since: Instant::now() }
    }

    /// How long to wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        if planted("mongodb-hurries") { Duration::ZERO } else { self.pauses.next().unwrap_or_default() }
    }

    /// Waits before the next attempt. If others have had the turn for long, looks whether they are still there.
    pub(super) async fn pause(
        &mut self,
        pause: Duration,
        work: &Work,
        names: &Names,
        failure: &Failure,
        deadline: Instant,
    ) {
        if failure.is_conflict() && self.since.elapsed() >= PATIENCE && !planted("mongodb-waits-for-the-dead") {
            self.since = Instant::now();
            let names = names.clone();
            if let Err(error) = work.run(deadline, |_| end_abandoned(names)).await {
                tracing::warn!(%error, "another writer has had its turn for long, and looking whether it is still there failed");
            }
        }
        sleep(pause).await;
    }
}
