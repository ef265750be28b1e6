//! Access to a database without the store: to damage stored data, or to hold locks.

mod mongodb;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

use crate::harness::{Backend, Room};

/// A connection that holds up writers until it is released.
#[derive(Debug)]
pub enum Lock {
    /// The file's one write lock.
    Sqlite(SqliteConnection),
    /// The table of events, which stays readable.
    Postgres(PgConnection),
    /// The lock that writers take in turn.
    Mongodb(Box<mongodb::Turn>),
    /// All reads.
    MongodbReads(mongodb::DeafToReads),
}

impl Lock {
    /// Releases the lock.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.expect("the connection closes"),
            Self::Postgres(connection) => connection.close().await.expect("the connection closes"),
            Self::Mongodb(turn) => turn.give_back().await,
            Self::MongodbReads(deaf) => deaf.end().await,
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
        SqliteConnectOptions::new().filename(file).connect().await.expect("the file")
    }

    async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.server()).await.expect("the server")
    }

    /// Runs a statement that has to change one row.
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
        assert_eq!(changed.expect("the statement"), 1);
    }

    /// Takes a lock that every append has to wait for, and no reader.
    ///
    /// # Panics
    /// When it is not to be had.
    pub async fn lock_out_writers(&self) -> Lock {
        match self.backend() {
            Backend::Memory => panic!("memory has no locks of others"),
            Backend::Sqlite => {
                let mut connection = self.sqlite().await;
                connection.execute("BEGIN IMMEDIATE").await.expect("the lock");
                Lock::Sqlite(connection)
            }
            Backend::Postgres => self.lock_table("EXCLUSIVE").await,
            Backend::Mongodb => Lock::Mongodb(Box::new(mongodb::Turn::take(self).await)),
        }
    }

    /// Takes a lock that every reader of events has to wait for, where a database has such a one.
    ///
    /// # Panics
    /// When it is not to be had.
    pub async fn lock_out_readers(&self) -> Lock {
        match self.backend() {
            Backend::Memory | Backend::Sqlite => panic!("readers there wait for nobody"),
            Backend::Postgres => self.lock_table("ACCESS EXCLUSIVE").await,
            Backend::Mongodb => Lock::MongodbReads(mongodb::DeafToReads::make(self).await),
        }
    }

    async fn lock_table(&self, mode: &str) -> Lock {
        let mut connection = self.postgres().await;
        let lock = format!("LOCK TABLE {} IN {mode} MODE", self.table("events"));
        connection.execute("BEGIN").await.expect("a transaction");
        connection.execute(AssertSqlSafe(lock)).await.expect("the lock");
        Lock::Postgres(connection)
    }
}
