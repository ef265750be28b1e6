//! Access to a database without the store, to damage stored data or to hold locks.

mod mongodb;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::{Backend, Room};

/// A connection that blocks writers or readers until it is released.
#[derive(Debug)]
pub enum Lock {
    /// The write lock of the file.
    Sqlite(SqliteConnection),
    /// The table of events, which stays readable.
    Postgres(PgConnection),
    /// The head of the log, which every writer updates.
    Mongodb(Box<mongodb::OpenTransaction>),
    /// Every read of the case.
    MongodbReads(mongodb::DelayedReads),
}

impl Lock {
    /// Releases the lock.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.expect("the connection closes"),
            Self::Postgres(connection) => connection.close().await.expect("the connection closes"),
            Self::Mongodb(transaction) => transaction.end().await,
            Self::MongodbReads(reads) => reads.end().await,
        }
    }
}

impl Room {
    /// The name of one of the namespace's tables or collections in the database.
    #[must_use]
    pub fn table(&self, name: &str) -> String {
        match self.backend() {
            Backend::Memory => panic!("memory has no tables"),
            Backend::Sqlite => format!("streamkeep_{}_{name}", self.namespace()),
            Backend::Postgres => format!("streamkeep_{}.{name}", self.namespace()),
            Backend::Mongodb => format!("streamkeep.{}.{name}", self.namespace()),
        }
    }

    async fn sqlite(&self) -> SqliteConnection {
        let file = self.base().trim_start_matches("sqlite:");
        SqliteConnectOptions::new().filename(file).connect().await.expect("the file opens")
    }

    async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.server()).await.expect("the client connects")
    }

    /// Runs a statement that must change one row.
    ///
    /// # Panics
    /// When it fails, or changes another number of rows.
    pub async fn change(&self, statement: &str) {
        let sql = AssertSqlSafe(statement);
        let changed = match self.backend() {
            Backend::Memory => panic!("memory takes no statements"),
            Backend::Sqlite => self.sqlite().await.execute(sql).await.map(|done| done.rows_affected()),
            Backend::Postgres => self.postgres().await.execute(sql).await.map(|done| done.rows_affected()),
            Backend::Mongodb => Ok(mongodb::update(self, statement).await),
        };
        assert_eq!(changed.expect("the statement succeeds"), 1);
    }

    /// Takes a lock for which every append waits and no reader.
    ///
    /// # Panics
    /// When the lock is not free.
    pub async fn lock_out_writers(&self) -> Lock {
        match self.backend() {
            Backend::Memory => panic!("memory has no locks of other clients"),
            Backend::Sqlite => {
                let mut connection = self.sqlite().await;
                connection.execute("BEGIN IMMEDIATE").await.expect("the lock is taken");
                Lock::Sqlite(connection)
            }
            Backend::Postgres => self.lock_table("EXCLUSIVE").await,
            Backend::Mongodb => Lock::Mongodb(Box::new(mongodb::OpenTransaction::take(self).await)),
        }
    }

    /// Takes a lock for which every reader of events waits, in a database that has one.
    ///
    /// # Panics
    /// When the lock is not free.
    pub async fn lock_out_readers(&self) -> Lock {
        match self.backend() {
            Backend::Memory | Backend::Sqlite => panic!("readers of this backend never wait"),
            Backend::Postgres => self.lock_table("ACCESS EXCLUSIVE").await,
            Backend::Mongodb => Lock::MongodbReads(mongodb::DelayedReads::make(self).await),
        }
    }

    async fn lock_table(&self, mode: &str) -> Lock {
        let mut connection = self.postgres().await;
        let lock = format!("LOCK TABLE {} IN {mode} MODE", self.table("events"));
        connection.execute("BEGIN").await.expect("the transaction begins");
        connection.execute(AssertSqlSafe(lock)).await.expect("the lock is taken");
        Lock::Postgres(connection)
    }
}
