//! Makes connections and sets their sessions up.

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

/// Makes connections. Shows nothing of how: the options hold the password.
pub(super) struct Connector {
    target: Target,
    durability: Durability,
    pub(super) pooler: Option<Pooler>,
    /// Whether a session was ever set up: a server in recovery is then a failover under way.
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

    /// For the listening connection, which stands outside the pool.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.target.options.clone()
    }

    /// Opens a connection and sets its session up.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Session, Failure> {
        self.in_time(deadline, async { self.set_up(self.dial().await?).await }).await
    }

    /// Opens the first connection: a transaction pooler that was not named is refused before anything is set, because
    /// the setting would reach other clients.
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

    /// The failure without the password, if the server's words repeat it.
    pub(super) fn mask(&self, failure: Failure) -> Failure {
        failure.map_words(|words| self.target.secret.mask(&words))
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
            // There is nothing to set before the first transaction.
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

/// Says goodbye, so that the server need not find out.
pub(super) async fn part(session: Session, deadline: Instant) {
    // It is over either way.
    let _ = timeout_at(deadline, session.connection.close()).await;
}
