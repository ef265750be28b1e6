//! The database that a case runs on: a new one on one of the backends.

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use mongodb::bson::doc;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use streamkeep::{EventStore, OpenOptions};
use streamkeep_tests::effort::effort;
use streamkeep_tests::harness::Backend;

use super::proxy::end_sessions;

/// The time limit of a case with the usual effort. A case that hangs fails under its own name.
const CASE_LIMIT: Duration = Duration::from_secs(100);

const CLEAR_LIMIT: Duration = Duration::from_secs(10);

/// A fresh database that only this case uses.
#[derive(Clone, Debug)]
pub struct Ground {
    pub kind: Backend,
    pub url: String,
    folder: Option<PathBuf>,
    /// The name of the database on a server.
    pub database: Option<String>,
}

impl Ground {
    pub async fn new(kind: Backend) -> Result<Self, Failed> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("skf_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Ok(match kind {
            Backend::Memory => Self { kind, url: format!("memory:{name}"), folder: None, database: None },
            Backend::Sqlite => {
                let folder = std::env::temp_dir().join(&name);
                std::fs::create_dir_all(&folder)?;
                Self {
                    kind,
                    url: format!("sqlite:{}", folder.join("log.db").display()),
                    folder: Some(folder),
                    database: None,
                }
            }
            Backend::Postgres => {
                command(&server(kind), format!("create database {name}")).await?;
                Self { kind, url: other_database(&server(kind), &name)?, folder: None, database: Some(name) }
            }
            // MongoDB creates the database with its first collection.
            Backend::Mongodb => {
                Self { kind, url: other_database(&server(kind), &name)?, folder: None, database: Some(name) }
            }
        })
    }

    pub fn options(&self) -> OpenOptions {
        OpenOptions::new(&self.url)
    }

    pub async fn open(&self) -> streamkeep::Result<EventStore> {
        self.options().open().await
    }

    /// Removes whatever could disturb later cases.
    async fn clear(&self, failed: bool) -> Result<(), Failed> {
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder)?;
        }
        match &self.database {
            Some(database) if self.kind == Backend::Postgres => {
                command(&server(self.kind), format!("drop database {database} with (force)")).await
            }
            // A MongoDB database stays: SecantusDB takes a minute to drop one, and other cases would wait for that.
            Some(database) if failed => {
                let client = mongodb::Client::with_uri_str(server(self.kind)).await?;
                end_sessions(&client).await?;
                // Shows whether the server still writes for this case.
                client.database(database).collection("probe").insert_one(doc! {}).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The URL of a backend's test server.
pub fn server(kind: Backend) -> String {
    kind.server_url().unwrap_or_default()
}

/// The URL of another database on the same server.
pub fn other_database(server: &str, name: &str) -> Result<String, Failed> {
    let mut url = url::Url::parse(server)?;
    url.set_path(name);
    Ok(url.into())
}

/// Runs one SQL command without parameters.
pub async fn command(url: &str, sql: String) -> Result<(), Failed> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// The number of other sessions that are idle in a transaction in the case's database.
pub async fn open_transactions(ground: &Ground) -> Result<i64, Failed> {
    if ground.kind != Backend::Postgres {
        return Ok(0);
    }
    let mut connection = PgConnection::connect(&ground.url).await?;
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()";
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(count)
}

/// A case on one backend, or the reason why it is skipped. The database is removed whether the case passes or fails.
///
/// A case that fails runs a second time if its MongoDB server has stopped writing, also for the driver alone. SecantusDB
/// does that while it inserts thousands of events for another case, or drops a database.
pub fn case<F, W>(name: &str, kind: Backend, work: W) -> Trial
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
    W: Fn(Ground) -> F + Send + 'static,
{
    let name = format!("{name} [{kind}]");
    Trial::ignorable_test(name.clone(), move || {
        if let Some(reason) = kind.missing() {
            return Ok(Completion::ignored_with(reason));
        }
        runtime()?.block_on(async move {
            let mut run = run_once(kind, &work).await?;
            if let (Err(failure), None, Backend::Mongodb) = (&run.result, &run.cleared, kind) {
                println!("{name} runs again, because its server stopped answering: {failure}");
                run = run_once(kind, &work).await?;
            }
            run.result?;
            run.cleared.unwrap_or_else(|| Err("the case's database could not be cleared".into()))?;
            Ok(Completion::Completed)
        })
    })
}

/// How a case ended.
struct Run {
    result: Result<(), String>,
    /// Whether its database was cleared; `None` if the server did not answer in time.
    cleared: Option<Result<(), Failed>>,
}

async fn run_once<F, W>(kind: Backend, work: &W) -> Result<Run, Failed>
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
    W: Fn(Ground) -> F,
{
    let ground = Ground::new(kind).await?;
    let limit = CASE_LIMIT * kind.patience() * effort();
    let result = match tokio::time::timeout(limit, tokio::spawn(work(ground.clone()))).await {
        Ok(Ok(result)) => result.map_err(|failed| failed.message().unwrap_or("failed").to_owned()),
        Ok(Err(panic)) => Err(format!("the case panicked: {panic}")),
        Err(_) => Err(format!("the case did not end within {} s", limit.as_secs())),
    };
    // The case's result must be shown even if the server hangs because of what the case left open.
    let cleared = tokio::time::timeout(CLEAR_LIMIT, ground.clear(result.is_err())).await.ok();
    Ok(Run { result, cleared })
}

pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()
}

/// The seed of this run: `STREAMKEEP_SEED`, which repeats a run, or a random one.
pub fn seed() -> u64 {
    let given = std::env::var("STREAMKEEP_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..1_000_000_000))
}
