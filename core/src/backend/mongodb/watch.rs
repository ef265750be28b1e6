//! Hints: a change stream on the database, on a connection outside the pool.
//!
//! One change stream tells all namespaces of a database. It is only a hint: a reader that is woken reads by position,
//! and one that is not woken polls, so nothing here ever fails anything. No place in the stream is remembered. A stream
//! can end for many reasons: its history is gone, the server is no longer the primary, or it has no change streams or
//! does not allow them. The next stream begins with what happens next, after a pause that grows.
//!
//! The stream is a plain aggregation. The driver's own change streams resume by themselves and without a pause: a
//! server that opened the stream and then refused every answer was asked seventy times a second.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mongodb::Client;
use mongodb::bson::{RawDocument, doc};
use mongodb::options::ClientOptions;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::Failure;
use crate::faults::planted;

/// How long the server holds a request for news open while nothing happens.
const PATIENCE: Duration = Duration::from_secs(1);
/// A stream that lives for this long was asked for news at least once, and answered.
const STANDS: Duration = Duration::from_secs(3);
/// After a stream that lived for longer than this, the next pause is a short one again.
const GOOD: Duration = Duration::from_secs(10);
/// A namespace that comes or goes makes the store open a new stream, but not before this time, so that many of them share
/// one. Until then a namespace that came is polled.
const GATHERING: Duration = Duration::from_millis(100);

/// The change stream of a database. It is opened when a namespace first waits for a hint.
pub(super) struct Watcher {
    shared: Arc<State>,
    task: OnceLock<Mutex<Option<JoinHandle<()>>>>,
    _stop: DropGuard,
}

struct State {
    options: ClientOptions,
    database: String,
    /// What is notified of writes, by the name of the collection of events.
    watched: Mutex<Watched>,
    /// Tells that `watched` is another one than before.
    changed: Notify,
    stopped: CancellationToken,
}

type Watched = HashMap<String, Arc<Notify>>;

/// One namespace's part of the change stream. Dropping it ends its part.
pub(super) struct Hints {
    watcher: Arc<Watcher>,
    collection: String,
    written: Arc<Notify>,
    begun: OnceLock<()>,
}

/// The options hold the password.
impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("begun", &self.task.get().is_some()).finish_non_exhaustive()
    }
}

impl Hints {
    /// Ends when something may have been written since the last time. The first call begins to watch.
    pub(super) async fn hinted(&self) {
        if planted("mongodb-deaf") {
            return std::future::pending().await;
        }
        self.begun.get_or_init(|| {
            self.watcher.shared.watched().insert(self.collection.clone(), Arc::clone(&self.written));
            self.watcher.shared.changed.notify_one();
            self.watcher.start();
        });
        self.written.notified().await;
    }

    pub(super) fn close(&self) {
        let mut watched = self.watcher.shared.watched();
        // The namespace may have been opened again: then another one is watched under its name.
        if watched.get(&self.collection).is_some_and(|written| Arc::ptr_eq(written, &self.written)) {
            watched.remove(&self.collection);
            self.watcher.shared.changed.notify_one();
        }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.close();
    }
}

impl Watcher {
    pub(super) fn new(mut options: ClientOptions, database: &str) -> Arc<Self> {
        options.max_pool_size = Some(1);
        options.min_pool_size = None;
        let stopped = CancellationToken::new();
        let shared = State {
            options,
            database: database.to_owned(),
            watched: Mutex::default(),
            changed: Notify::new(),
            stopped: stopped.clone(),
        };
        Arc::new(Self { shared: Arc::new(shared), task: OnceLock::new(), _stop: stopped.drop_guard() })
    }

    /// The hints of a namespace. Nothing is watched until somebody waits for one.
    pub(super) fn hints(self: &Arc<Self>, collection: &str) -> Hints {
        Hints {
            watcher: Arc::clone(self),
            collection: collection.to_owned(),
            written: Arc::default(),
            begun: OnceLock::new(),
        }
    }

    fn start(&self) {
        self.task.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            let stopped = shared.stopped.clone();
            // The task has a client of its own, which goes with it. So a request that is dropped half way leaves
            // nothing that anything else would use.
            Mutex::new(Some(tokio::spawn(async move {
                let _ = stopped.run_until_cancelled_owned(shared.run()).await;
            })))
        });
    }

    pub(super) async fn close(&self) {
        self.shared.stopped.cancel();
        let task = self.task.get().and_then(|task| task.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(task) = task {
            // If it panicked, it has ended as well.
            let _ = task.await;
        }
    }
}

impl State {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows one stream after the other.
    async fn run(self: Arc<Self>) {
        let client = match Client::with_options(self.options.clone()) {
            Ok(client) => client,
            Err(error) => return tracing::warn!(error = %Failure::from(error), "there are no hints, only polling"),
        };
        let mut pauses = pauses();
        let mut told = false;
        loop {
            let watched = self.watched().clone();
            if watched.is_empty() {
                self.changed.notified().await;
                continue;
            }
            let begun = Instant::now();
            let changed = async {
                self.changed.notified().await;
                sleep(GATHERING).await;
            };
            let failure = tokio::select! {
                failure = follow(&client, &self.database, &watched, &mut told) => failure,
                () = changed => continue,
            };
            if begun.elapsed() > GOOD {
                pauses = self::pauses();
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(error = %failure, "the change stream ended; new events are found by polling until there is one again");
            }
            if planted("mongodb-watches-once") {
                return;
            }
            // What happens until the next stream begins is not in it.
            notify(&watched);
            let pause =
                if planted("mongodb-watches-hastily") { Duration::ZERO } else { pauses.next().unwrap_or(PATIENCE) };
            sleep(pause).await;
        }
    }
}

fn notify(watched: &Watched) {
    for written in watched.values() {
        written.notify_one();
    }
}

/// Follows one stream to its end. Answers why it ended.
async fn follow(client: &Client, database: &str, watched: &Watched, told: &mut bool) -> Failure {
    let collections: Vec<&String> = watched.keys().collect();
    let news = async {
        // An `invalidate` has no collection.
        let inserts = [
            doc! { "$changeStream": {} },
            doc! { "$match": { "$or": [
                { "operationType": "insert", "ns.coll": { "$in": collections } },
                { "operationType": "invalidate" },
            ] } },
            doc! { "$project": { "_id": 1, "operationType": 1, "ns": 1 } },
        ];
        let mut stream = client.database(database).aggregate(inserts).max_await_time(PATIENCE).await?;
        // From here on the stream has every write. There may have been some before.
        notify(watched);
        while stream.advance().await? {
            match collection(stream.current()).and_then(|collection| watched.get(collection)) {
                Some(written) => written.notify_one(),
                None => notify(watched),
            }
        }
        Err(Failure::Lost("the change stream was ended by the server".to_owned()))
    };
    let standing = async {
        sleep(STANDS).await;
        if std::mem::take(told) {
            tracing::info!("there is a change stream again");
        }
        std::future::pending().await
    };
    let ended: Result<std::convert::Infallible, Failure> = tokio::select! {
        ended = news => ended,
        never = standing => never,
    };
    match ended {
        Err(failure) => failure,
    }
}

/// The collection in which a change happened.
fn collection(change: &RawDocument) -> Option<&str> {
    change.get_document("ns").ok()?.get_str("coll").ok()
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_opened_again_is_watched_when_the_old_one_goes() {
        let watcher = Watcher::new(ClientOptions::default(), "x");
        let (old, new) = (watcher.hints("a"), watcher.hints("a"));
        for hints in [&old, &new] {
            watcher.shared.watched().insert(hints.collection.clone(), Arc::clone(&hints.written));
        }
        drop(old);
        assert!(watcher.shared.watched().get("a").is_some_and(|written| Arc::ptr_eq(written, &new.written)));
        new.close();
        assert!(watcher.shared.watched().is_empty());
    }
}
