//! Makes connections and sets up their sessions.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout_at};

use super::error::Failure;
use super::pooler;
use super::session::{self, Session, SetUp};
use super::url::Target;
use crate::faults::planted;
use crate::options::{Durability, OpenOptions, Pooler};

/// Makes connections to one server. Its `Debug` shows no field, because the options hold the password.
pub(super) struct Connector {
    target: Target,
    durability: Durability,
    pub(super) pooler: Option<Pooler>,
    /// Whether a session was ever set up. If so, a server in recovery means a running failover.
    connected: AtomicBool,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(target: Target, options: &OpenOptions) -> Self {
        Self { target, durability: options.durability, pooler: options.pooler, connected: AtomicBool::new(false) }
    }

    /// The options for the listening connection, which is not in the pool.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.target.options.clone()
    }

    /// Opens a connection and sets up its session.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Session, Failure> {
        self.in_time(deadline, async { self.set_up(self.dial().await?).await }).await
    }

    /// Opens the first connection. If the URL names no transaction pooler, one is detected and refused before any
    /// setting is made: behind a pooler the settings would reach other clients.
    pub(super) async fn connect_first(&self, deadline: Instant) -> Result<Session, Failure> {
        if self.pooler.is_some() {
            return self.connect(deadline).await;
        }
        let first = async {
            let began = Instant::now();
            let mut connection = self.dial().await?;
            pooler::refuse(&mut connection, began, || self.dial()).await?;
            self.set_up(connection).await
        };
        self.in_time(deadline, first).await
    }

    /// Masks the password, in case the server's message repeats it.
    pub(super) fn mask(&self, failure: Failure) -> Failure {
        failure.map_text(|text| self.target.secret.mask(&text))
    }

    async fn in_time(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<Session, Failure>>,
    ) -> Result<Session, Failure> {
        match timeout_at(deadline, work).await {
            Ok(session) => session.map_err(|failure| self.mask(failure.before_sending())),
            Err(_) => Err(Failure::Unreached("the deadline passed".to_owned())),
        }
    }

    async fn dial(&self) -> Result<PgConnection, Failure> {
        PgConnection::connect_with(&self.target.options).await.map_err(Failure::at_connect)
    }

    async fn set_up(&self, mut connection: PgConnection) -> Result<Session, Failure> {
        let set_up = SetUp::new(connection.server_version_num(), self.durability, self.pooler.is_some());
        if set_up.transaction_only() {
            // Each transaction is set up when it begins.
            return Ok(Session::pooled(connection, set_up));
        }
        let rows = sqlx::raw_sql(set_up.text()).fetch_all(&mut connection).await.map_err(Failure::at_connect)?;
        let about = set_up.read_back(&rows)?;
        if about.in_recovery && !planted("postgres-reads-standby") {
            return Err(self.in_recovery());
        }
        session::end_with_client(&mut connection).await?;
        self.connected.store(true, Ordering::Release);
        Ok(Session::new(connection, set_up, about))
    }

    fn in_recovery(&self) -> Failure {
        if self.connected.load(Ordering::Acquire) {
            return Failure::Unreached(session::IN_RECOVERY.to_owned());
        }
        Failure::Setup(session::IN_RECOVERY.to_owned())
    }
}

/// Closes a connection in order, so that the server need not detect its end.
pub(super) async fn disconnect(session: Session, deadline: Instant) {
    // The connection ends either way.
    let _ = timeout_at(deadline, session.connection.close()).await;
}
