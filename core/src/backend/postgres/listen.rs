//! Hints: who wrote tells the others, after the commit, on a connection outside the pool.
//!
//! Only a hint. Whoever is told reads by position, and whoever is not polls; so nothing here ever fails anything. Notifying inside the append's own transaction
//! would make all commits wait for each other.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Executor, Row, SqlStr};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::Failure;
use super::names::{Names, safe};

/// Notifications closer together than this are one.
const SPACING: Duration = Duration::from_millis(2);
/// A connection that says nothing for so long is asked whether it lives.
const CHECK: Duration = Duration::from_secs(20);
/// How long anything on the listening connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The store's listening connection, opened with the first need of it.
pub(super) struct Listener {
    shared: Arc<Shared>,
    task: OnceLock<std::sync::Mutex<Option<JoinHandle<()>>>>,
    _stop: DropGuard,
}

struct Shared {
    options: PgConnectOptions,
    channel: String,
    notify: SqlStr,
    /// Somebody here wrote.
    wrote: Notify,
    /// Somebody elsewhere wrote, or may have.
    told: Notify,
    stopped: CancellationToken,
}

/// The options hold the password.
impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("channel", &self.shared.channel).finish_non_exhaustive()
    }
}

impl Listener {
    pub(super) fn new(options: PgConnectOptions, names: &Names) -> Self {
        let stopped = CancellationToken::new();
        let shared = Shared {
            options,
            channel: names.schema.clone(),
            notify: safe(format!("notify {}", names.schema)),
            wrote: Notify::new(),
            told: Notify::new(),
            stopped: stopped.clone(),
        };
        Self { shared: Arc::new(shared), task: OnceLock::new(), _stop: stopped.drop_guard() }
    }

    /// Tells the others, soon.
    pub(super) fn notify(&self) {
        self.start();
        self.shared.wrote.notify_one();
    }

    /// Ends when somebody else may have written.
    pub(super) async fn hinted(&self) {
        self.start();
        self.shared.told.notified().await;
    }

    pub(super) async fn close(&self) {
        self.shared.stopped.cancel();
        let task = self.task.get().and_then(|task| task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(task) = task {
            // A panic in it is over with it.
            let _ = task.await;
        }
    }

    fn start(&self) {
        self.task.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            let stopped = self.shared.stopped.clone();
            std::sync::Mutex::new(Some(tokio::spawn(async move {
                let _ = stopped.run_until_cancelled_owned(shared.run()).await;
            })))
        });
    }
}

impl Shared {
    /// Listens for ever: what is lost is opened again, a little later each time.
    async fn run(self: Arc<Self>) {
        let mut pause = SPACING;
        loop {
            let since = Instant::now();
            let Err(failure) = self.listen().await;
            tracing::debug!(%failure, "the listening connection was lost; polling goes on");
            pause = if since.elapsed() > LONGEST_PAUSE { SPACING } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    }

    async fn listen(&self) -> Result<std::convert::Infallible, Failure> {
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(self.options.clone());
        let mut listener = in_time(PgListener::connect_with(&pool)).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        in_time(listener.listen(&self.channel)).await?;
        let row = in_time(listener.fetch_one(SqlStr::from_static("select pg_backend_pid()"))).await?;
        let own = u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or_default();
        // Something may have been written before anybody listened.
        self.told.notify_one();
        let mut notified = Instant::now() - SPACING;
        loop {
            tokio::select! {
                notification = listener.try_recv() => match notification? {
                    Some(notification) if notification.process_id() == own => {}
                    Some(_) => self.told.notify_one(),
                    None => return Err(Failure::Lost("the server closed it".to_owned())),
                },
                () = self.wrote.notified() => {
                    sleep_until(notified + SPACING).await;
                    in_time(listener.execute(self.notify.clone())).await?;
                    notified = Instant::now();
                }
                () = sleep(CHECK) => {
                    in_time(listener.execute(SqlStr::from_static("select 1"))).await?;
                }
            }
        }
    }
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Failure> {
    timeout(PATIENCE, work).await.map_err(|_| Failure::Late)?.map_err(Failure::from)
}
