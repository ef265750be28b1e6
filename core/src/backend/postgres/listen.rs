//! Hints: after a commit, a store notifies the other stores on a connection outside the pool.
//!
//! One connection listens for all namespaces of a database. A lost hint costs time only, because readers also poll, so
//! no failure here reaches a caller. A notification inside the append's own transaction would make all commits wait for
//! each other.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Executor, Row, SqlStr};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::Failure;
use super::names::{Names, safe};

/// The shortest time between two notifications: appends in between share one.
const SPACING: Duration = Duration::from_millis(2);
/// A connection that is silent for this long is checked.
const CHECK: Duration = Duration::from_secs(20);
/// How long one step on the listening connection may take.
const STEP_TIME: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The listening connection of a database, opened when it is first needed.
pub(super) struct Listener {
    shared: Arc<ListenerState>,
    task: OnceLock<Mutex<Option<JoinHandle<()>>>>,
    _stop: DropGuard,
}

struct ListenerState {
    /// `None` behind a transaction pooler, where no session stays long enough to listen.
    options: Option<PgConnectOptions>,
    channels: Mutex<HashMap<String, Arc<Channel>>>,
    /// Signals that this process wrote, or that the channels changed.
    changed: Notify,
    stopped: CancellationToken,
}

/// The hints of one namespace.
#[derive(Debug, Default)]
struct Channel {
    /// Whether this process wrote since the last notification.
    wrote: AtomicBool,
    /// Signals that another process wrote, or may have written.
    hinted: Notify,
}

/// One namespace's use of the listening connection. Dropping it stops listening for the namespace.
pub(super) struct Hints {
    listener: Arc<Listener>,
    name: String,
    channel: Arc<Channel>,
}

/// Shows no field: the options hold the password.
impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Hints {
    /// Notifies the other stores soon.
    pub(super) fn notify(&self) {
        self.listener.start();
        self.channel.wrote.store(true, Ordering::Release);
        self.listener.shared.changed.notify_one();
    }

    /// Waits until another store may have written.
    pub(super) async fn hinted(&self) {
        self.listener.start();
        self.channel.hinted.notified().await;
    }

    /// Stops listening for the namespace. A handle that was closed can stay in memory for long.
    pub(super) fn close(&self) {
        let mut channels = self.listener.shared.channels();
        // If the namespace was closed and opened again, the map holds the new channel, which must stay.
        if channels.get(&self.name).is_some_and(|channel| Arc::ptr_eq(channel, &self.channel)) {
            channels.remove(&self.name);
        }
        drop(channels);
        self.listener.shared.changed.notify_one();
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.close();
    }
}

impl Listener {
    pub(super) fn new(options: Option<PgConnectOptions>) -> Arc<Self> {
        let stopped = CancellationToken::new();
        let shared =
            ListenerState { options, channels: Mutex::default(), changed: Notify::new(), stopped: stopped.clone() };
        Arc::new(Self { shared: Arc::new(shared), task: OnceLock::new(), _stop: stopped.drop_guard() })
    }

    /// Adds a namespace to listen for.
    pub(super) fn hints(self: &Arc<Self>, names: &Names) -> Hints {
        let channel: Arc<Channel> = Arc::default();
        self.shared.channels().insert(names.schema.clone(), Arc::clone(&channel));
        self.shared.changed.notify_one();
        Hints { listener: Arc::clone(self), name: names.schema.clone(), channel }
    }

    pub(super) async fn close(&self) {
        self.shared.stopped.cancel();
        let task = self.task.get().and_then(|task| task.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(task) = task {
            // A panic in the task ends with the task.
            let _ = task.await;
        }
    }

    fn start(&self) {
        let Some(options) = &self.shared.options else { return };
        self.task.get_or_init(|| {
            let (shared, options) = (Arc::clone(&self.shared), options.clone());
            let stopped = self.shared.stopped.clone();
            Mutex::new(Some(tokio::spawn(async move {
                let _ = stopped.run_until_cancelled_owned(shared.run(options)).await;
            })))
        });
    }
}

impl ListenerState {
    fn channels(&self) -> MutexGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until it is stopped. A lost connection is opened again, after a pause that grows.
    async fn run(self: Arc<Self>, options: PgConnectOptions) {
        let mut pause = SPACING;
        loop {
            let since = Instant::now();
            let Err(failure) = self.listen(&options).await;
            tracing::debug!(%failure, "the listening connection was lost; readers only poll until it is open again");
            pause = if since.elapsed() > LONGEST_PAUSE { SPACING } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    }

    async fn listen(&self, options: &PgConnectOptions) -> Result<std::convert::Infallible, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone());
        let mut listener = in_time(PgListener::connect_with(&pool)).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        let row = in_time(listener.fetch_one(SqlStr::from_static("select pg_backend_pid()"))).await?;
        let own = u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or_default();
        let mut listening: HashMap<String, Arc<Channel>> = HashMap::new();
        self.catch_up(&mut listener, &mut listening).await?;
        let mut sent = Instant::now();
        loop {
            tokio::select! {
                notification = listener.try_recv() => match notification? {
                    Some(notification) if notification.process_id() == own => {}
                    Some(notification) => {
                        if let Some(channel) = listening.get(notification.channel()) {
                            channel.hinted.notify_one();
                        }
                    }
                    None => return Err(Failure::Lost("the server closed the listening connection".to_owned())),
                },
                () = self.changed.notified() => {
                    sleep_until(sent + SPACING).await;
                    self.catch_up(&mut listener, &mut listening).await?;
                    sent = Instant::now();
                }
                () = sleep(CHECK) => {
                    in_time(listener.execute(SqlStr::from_static("select 1"))).await?;
                }
            }
        }
    }

    /// Listens to the current channels, and notifies those in which this process wrote.
    async fn catch_up(
        &self,
        listener: &mut PgListener,
        listening: &mut HashMap<String, Arc<Channel>>,
    ) -> Result<(), Failure> {
        let channels = self.channels().clone();
        for name in listening.keys().filter(|name| !channels.contains_key(*name)) {
            in_time(listener.unlisten(name)).await?;
        }
        for (name, channel) in &channels {
            if !listening.get(name).is_some_and(|known| Arc::ptr_eq(known, channel)) {
                in_time(listener.listen(name)).await?;
                // Another process may have written before this connection listened.
                channel.hinted.notify_one();
            }
        }
        // Namespace names are checked at open, so they are safe in SQL.
        let notify: Vec<String> = channels
            .iter()
            .filter(|(_, channel)| channel.wrote.swap(false, Ordering::AcqRel))
            .map(|(name, _)| format!("notify {name}"))
            .collect();
        *listening = channels;
        if !notify.is_empty() {
            in_time(listener.execute(safe(notify.join("; ")))).await?;
        }
        Ok(())
    }
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Failure> {
    timeout(STEP_TIME, work).await.map_err(|_| Failure::Late)?.map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_opened_again_is_listened_for_when_the_old_one_goes() -> crate::error::Result<()> {
        let (listener, names) = (Listener::new(None), Names::new("a")?);
        let old = listener.hints(&names);
        let new = listener.hints(&names);
        drop(old);
        assert!(
            listener.shared.channels().get(&names.schema).is_some_and(|channel| Arc::ptr_eq(channel, &new.channel))
        );
        new.close();
        assert!(listener.shared.channels().is_empty());
        Ok(())
    }
}
