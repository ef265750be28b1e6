//! The raw driver, written by hand as well as possible: the base of every ratio.
//!
//! Each database has a file. It writes what the store writes, through the same driver, with the same unique constraints
//! (position; stream and version; id) and no others.

mod mongodb;
mod postgres;
mod sqlite;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use async_trait::async_trait;
use futures::{Stream, TryStreamExt};

use self::mongodb::Mongodb;
use self::postgres::Postgres;
use self::sqlite::Sqlite;
use crate::figures::{Figure, median_micros, rate};
use crate::workload::Workload;

/// The operations that each database implements by hand.
#[async_trait]
trait Driver: Send + Sync {
    /// How many callers are useful in the row of many.
    fn callers(&self) -> u32;

    /// Writes one event, which is durable when this returns.
    async fn insert_one(&self, stream: &str, version: i64) -> Result<()>;

    /// Writes consecutive events of one stream.
    async fn insert_many(&self, stream: &str, first_version: i64, count: u32) -> Result<()>;

    /// Reads the first events of a stream or of the log, decodes each into owned values, and returns how many there
    /// are.
    async fn read(&self, stream: Option<&str>, count: u32) -> Result<u32>;

    /// Removes the data of this run from the server.
    async fn drop_run(&self) -> Result<()>;
}

/// The raw driver's side of each row.
pub(crate) struct Raw {
    driver: Arc<dyn Driver>,
    workload: &'static Workload,
}

impl Raw {
    /// Creates an empty table or collection, and fills the log that is read.
    pub(crate) async fn open(url: &str, folder: &Path, run: &str, workload: &'static Workload) -> Result<Self> {
        let driver: Arc<dyn Driver> = match url.split(':').next() {
            Some("sqlite") => Arc::new(Sqlite::open(&folder.join("raw.db"), workload).await?),
            Some("postgres" | "postgresql") => Arc::new(Postgres::open(url, workload).await?),
            Some("mongodb" | "mongodb+srv") => Arc::new(Mongodb::open(url, run, workload).await?),
            _ => bail!("the URL must begin with sqlite:, postgres: or mongodb:"),
        };
        let raw = Self { driver, workload };
        raw.fill().await?;
        Ok(raw)
    }

    /// Drops what this run has made, its own data and the store's, where the names belong to this run alone.
    pub(crate) async fn drop_run(&self) -> Result<()> {
        self.driver.drop_run().await
    }

    /// Writes a log of the same shape as the store's; later rounds append after it.
    async fn fill(&self) -> Result<()> {
        for n in (0..self.workload.log_events).step_by(1_000) {
            let (stream, version) =
                if n < self.workload.long_stream_events { ("long".to_owned(), n) } else { (format!("short-{n}"), 0) };
            self.driver.insert_many(&stream, i64::from(version) + 1, 1_000).await?;
        }
        Ok(())
    }

    /// One event per call, one caller: the median latency in microseconds.
    pub(crate) async fn one(&self, round: u32) -> Result<Figure> {
        let streams = self.workload.lone_streams;
        let mut latencies: Vec<Duration> = Vec::new();
        for n in 0..self.workload.lone_appends {
            let stream = format!("lone{round}-{}", n % streams);
            let started = Instant::now();
            self.driver.insert_one(&stream, i64::from(n / streams) + 1).await?;
            latencies.push(started.elapsed());
        }
        Ok(median_micros(&mut latencies))
    }

    /// As many callers as the driver can use, each with its own stream: appends per second.
    pub(crate) async fn many(&self, round: u32) -> Result<Figure> {
        let appends = self.workload.appends_per_caller;
        let started = Instant::now();
        let callers = (0..self.driver.callers()).map(|caller| {
            let driver = Arc::clone(&self.driver);
            tokio::spawn(async move {
                for version in 1..=appends {
                    driver.insert_one(&format!("many{round}-{caller}"), i64::from(version)).await?;
                }
                Ok::<_, anyhow::Error>(())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        Ok(rate(self.driver.callers() * appends, started))
    }

    /// Several events of one stream per call: events per second.
    pub(crate) async fn batches(&self, round: u32, calls: u32, events: u32) -> Result<Figure> {
        let started = Instant::now();
        for n in 0..calls {
            self.driver.insert_many(&format!("batch{round}-{events}-{n}"), 1, events).await?;
        }
        Ok(rate(calls * events, started))
    }

    /// The long stream: events per second.
    pub(crate) async fn stream(&self) -> Result<Figure> {
        self.read(Some("long"), self.workload.long_stream_events).await
    }

    /// The log as the store's reader reads it: events per second.
    pub(crate) async fn log(&self) -> Result<Figure> {
        self.read(None, self.workload.log_events).await
    }

    async fn read(&self, stream: Option<&str>, expected: u32) -> Result<Figure> {
        let started = Instant::now();
        let count = self.driver.read(stream, expected).await?;
        ensure!(count == expected, "{count} events read");
        Ok(rate(count, started))
    }
}

/// The result of a read: the store's columns, decoded into owned values.
struct Decoded {
    bytes: usize,
}

/// Counts rows and reads their content.
async fn count<E>(rows: impl Stream<Item = Result<Decoded, E>>) -> Result<u32>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (count, bytes) = rows
        .try_fold((0, 0_usize), |(count, bytes), row| std::future::ready(Ok((count + 1, bytes + row.bytes))))
        .await?;
    ensure!(count == 0 || bytes > 0, "rows without content");
    Ok(count)
}
