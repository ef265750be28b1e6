//! Hints: a change stream on the events, on a connection outside the pool.
//!
//! Only a hint. Whoever is woken reads by position, and whoever is not polls; so nothing here ever fails anything, and
//! no place in the stream is remembered: one that ended, for whatever reason — its history is gone, its collection was
//! dropped, the server is no primary any more, has no change streams or does not allow them — begins anew with what
//! happens next, after a pause that grows.
//!
//! The stream is a plain aggregation: the driver's own change streams go on by themselves after what they take to pass,
//! at once and for as long as they meet it, and a server that took the question and refused every answer was asked
//! seventy times a second.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::Failure;
use crate::faults::planted;

/// How long the server holds a question open while nothing happens.
const PATIENCE: Duration = Duration::from_secs(1);
/// A stream that lives for so long was asked for news at least once, and answered.
const STANDS: Duration = Duration::from_secs(3);
/// A stream that lived for longer was a good one: the next pause is a short one again.
const GOOD: Duration = Duration::from_secs(10);

/// Says when somebody has written.
pub(super) struct Watcher {
    options: ClientOptions,
    database: String,
    collection: String,
    written: Arc<Notify>,
    closed: CancellationToken,
    begun: OnceLock<DropGuard>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("begun", &self.begun.get().is_some()).finish_non_exhaustive()
    }
}

impl Watcher {
    pub(super) fn new(mut options: ClientOptions, database: &str, collection: &str) -> Self {
        options.max_pool_size = Some(1);
        options.min_pool_size = None;
        Self {
            options,
            database: database.to_owned(),
            collection: collection.to_owned(),
            written: Arc::default(),
            closed: CancellationToken::new(),
            begun: OnceLock::new(),
        }
    }

    /// Ends when somebody has written since the last time. Begins to watch with the first who asks.
    pub(super) async fn hinted(&self) {
        if planted("mongodb-deaf") {
            return std::future::pending().await;
        }
        self.begun.get_or_init(|| self.begin());
        self.written.notified().await;
    }

    fn begin(&self) -> DropGuard {
        let (options, database, collection, written) =
            (self.options.clone(), self.database.clone(), self.collection.clone(), Arc::clone(&self.written));
        let ended = self.closed.clone();
        // Its client is its own and goes with it: dropped half way it leaves nothing that anybody would use again.
        tokio::spawn(
            async move { ended.run_until_cancelled_owned(watch(options, database, collection, written)).await },
        );
        // Gone without having been closed, nobody listens any more.
        self.closed.clone().drop_guard()
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

async fn watch(options: ClientOptions, database: String, collection: String, written: Arc<Notify>) {
    let client = match Client::with_options(options) {
        Ok(client) => client,
        Err(error) => return tracing::warn!(error = %Failure::from(error), "there are no hints, only polling"),
    };
    let mut pauses = pauses();
    let mut told = false;
    loop {
        let begun = Instant::now();
        let Err(failure) = follow(&client, &database, &collection, &written, &mut told).await else { continue };
        if begun.elapsed() > GOOD {
            pauses = self::pauses();
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(error = %failure, "the change stream ended; new events are found by polling until there is one again");
        }
        if planted("mongodb-watches-once") {
            return;
        }
        // What happened in between is not in the next stream.
        written.notify_one();
        let pause = if planted("mongodb-watches-hastily") { Duration::ZERO } else { pauses.next().unwrap_or(PATIENCE) };
        sleep(pause).await;
    }
}

/// Follows one stream to its end.
async fn follow(
    client: &Client,
    database: &str,
    collection: &str,
    written: &Notify,
    told: &mut bool,
) -> Result<(), Failure> {
    let collection = client.database(database).collection::<Document>(collection);
    let inserts = [
        doc! { "$changeStream": {} },
        doc! { "$match": { "operationType": { "$in": ["insert", "invalidate"] } } },
        doc! { "$project": { "_id": 1, "operationType": 1 } },
    ];
    let mut stream = collection.aggregate(inserts).max_await_time(PATIENCE).await?;
    // From here on nothing is missed; what came before it may have been.
    written.notify_one();
    let news = async {
        while stream.advance().await? {
            written.notify_one();
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
    tokio::select! {
        ended = news => ended,
        never = standing => never,
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build()
}
