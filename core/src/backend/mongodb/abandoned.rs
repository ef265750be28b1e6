//! Ends the transactions of writers that died, or lost their connection, while it was their turn to write.
//!
//! The server would end such a transaction after a minute. To let others write earlier, each session that writes is
//! listed in a collection with the time when it was last seen, by the server's clock. A session in a transaction
//! updates its time once a second. A writer that has waited for long kills the sessions that were not seen for long.
//! That is always safe: nothing of their transactions was committed, and a session that is alive after all starts its
//! transaction again. All namespaces of a process use the same sessions, so it can also meet a transaction in another
//! namespace.

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

/// How often a session in a transaction updates its time.
const BEAT: Duration = Duration::from_secs(1);
/// A session that was not seen for this long counts as dead. A writer waits as long before it looks for such sessions.
const PATIENCE: Duration = Duration::from_secs(5);
/// A session is listed again after this time, long before its entry expires.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);
/// The entry of a session that was not seen for this long expires. No transaction lives that long.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The sessions with which this process writes to a namespace.
#[derive(Debug, Default)]
pub(super) struct Writers {
    /// When each session was last listed.
    known: Mutex<HashMap<Vec<u8>, Instant>>,
}

/// Updates the time of a session until it is dropped.
#[derive(Debug)]
pub(super) struct Presence(#[allow(dead_code, reason = "held for its drop")] DropGuard);

impl Writers {
    /// Lists a session before it takes the turn to write.
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
                // If this fails, the session may be killed, and then its transaction starts again.
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

/// Kills the sessions that were not seen for long.
async fn end_abandoned(names: Names) -> Result<(), Failure> {
    // Both times are by the server's clock.
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

/// The pauses between the attempts of a writer that does not get the turn.
#[derive(Debug)]
pub(super) struct Waits {
    pauses: ExponentialBackoff,
    since: Instant,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self { pauses: pauses(), since: Instant::now() }
    }

    /// How long to pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        if planted("mongodb-hurries") { Duration::ZERO } else { self.pauses.next().unwrap_or_default() }
    }

    /// Pauses before the next attempt. If others have had the turn for long, first ends the transactions of dead
    /// writers.
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
                tracing::warn!(%error, "other writers have had the turn for long, and looking for dead writers failed");
            }
        }
        sleep(pause).await;
    }
}
