//! The store's side of each row, through its public API. The programs in `faces` do the same in the other languages.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use streamkeep::{Event, EventStore, Events, ExpectedVersion, ImportEvent, OpenOptions, ReadAllOptions, ReadOptions};

use crate::figures::{Figure, median_micros, rate};
use crate::processes;
use crate::workload::Workload;

/// A store to append to, and one with the log that is read.
pub(crate) struct Face {
    store: EventStore,
    log: EventStore,
    url: String,
    namespace: String,
    workload: &'static Workload,
}

impl Face {
    /// Opens both in namespaces of this run, so that a database can be used again. All processes of a run share its
    /// log, which the first one fills.
    pub(crate) async fn open(url: &str, run: &str, workload: &'static Workload) -> Result<Self> {
        let namespace = format!("bench_{run}_{}", std::process::id());
        let store = OpenOptions::new(url).namespace(&namespace).open().await?;
        let log = OpenOptions::new(url).namespace(format!("bench_{run}_log")).open().await?;
        let face = Self { store, log, url: url.to_owned(), namespace, workload };
        if face.log.head().await? == 0 {
            face.fill().await?;
        }
        Ok(face)
    }

    pub(crate) async fn close(self) -> Result<()> {
        self.store.close().await?;
        self.log.close().await?;
        Ok(())
    }

    /// Measures once every row that all faces have.
    pub(crate) async fn round(&self, round: u32) -> Result<[Figure; 5]> {
        let Workload { batches, batch_events, .. } = self.workload;
        let (one, many, batches) =
            (self.one(round).await?, self.many(round).await?, self.batches(round, *batches, *batch_events).await?);
        Ok([one, many, batches, self.stream().await?, self.log().await?])
    }

    /// Writes one long stream first, the rest in streams of a hundred.
    async fn fill(&self) -> Result<()> {
        let stream = |n: u32| {
            if n < self.workload.long_stream_events { "long".to_owned() } else { format!("short-{}", n / 100) }
        };
        let events = (0..self.workload.log_events).map(|n| ImportEvent {
            stream: stream(n),
            version: None,
            recorded_at: None,
            event: event(self.workload),
        });
        self.log.import_events(events).await?;
        Ok(())
    }

    /// One event per call, one caller: the median latency in microseconds.
    pub(crate) async fn one(&self, round: u32) -> Result<Figure> {
        let streams = self.workload.lone_streams;
        let mut latencies: Vec<Duration> = Vec::new();
        for n in 0..self.workload.lone_appends {
            let (stream, version) = (format!("lone{round}-{}", n % streams), u64::from(n / streams));
            let event = event(self.workload);
            let started = Instant::now();
            self.store.append(stream, [event], ExpectedVersion::Exact(version)).await?;
            latencies.push(started.elapsed());
        }
        Ok(median_micros(&mut latencies))
    }

    /// Many callers of one process, each with its own stream: appends per second.
    pub(crate) async fn many(&self, round: u32) -> Result<Figure> {
        let workload = self.workload;
        let started = Instant::now();
        let callers = (0..workload.callers).map(|caller| {
            let store = self.store.clone();
            tokio::spawn(async move {
                for version in 0..u64::from(workload.appends_per_caller) {
                    store
                        .append(format!("many{round}-{caller}"), [event(workload)], ExpectedVersion::Exact(version))
                        .await?;
                }
                Ok::<_, streamkeep::Error>(())
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        Ok(rate(workload.callers * workload.appends_per_caller, started))
    }

    /// Several processes on this namespace: appends per second.
    pub(crate) fn processes(&self) -> Result<Figure> {
        processes::together(&self.url, &self.namespace, self.workload)
    }

    /// Several events of one stream per call: events per second.
    pub(crate) async fn batches(&self, round: u32, calls: u32, events: u32) -> Result<Figure> {
        let started = Instant::now();
        for n in 0..calls {
            let batch: Vec<Event> = (0..events).map(|_| event(self.workload)).collect();
            self.store.append(format!("batch{round}-{events}-{n}"), batch, ExpectedVersion::NoStream).await?;
        }
        Ok(rate(calls * events, started))
    }

    /// The long stream: events per second.
    pub(crate) async fn stream(&self) -> Result<Figure> {
        let started = Instant::now();
        self.read(self.log.read("long", ReadOptions::default()), self.workload.long_stream_events).await?;
        Ok(rate(self.workload.long_stream_events, started))
    }

    /// The whole log: events per second.
    pub(crate) async fn log(&self) -> Result<Figure> {
        let started = Instant::now();
        self.read(self.log.read_all(ReadAllOptions::default()), self.workload.log_events).await?;
        Ok(rate(self.workload.log_events, started))
    }

    /// Reads the text of each event's data, because a face that decodes lazily must decode it.
    async fn read(&self, mut events: Events, expected: u32) -> Result<()> {
        let (mut count, mut length) = (0_u32, 0_usize);
        while let Some(event) = events.try_next().await? {
            (count, length) = (count + 1, length + event.data.as_json().unwrap_or_default().len());
        }
        ensure!(
            count == expected && length == self.workload.data.len() * usize::try_from(expected)?,
            "{count} events with {length} bytes read"
        );
        Ok(())
    }
}

/// An event to append.
pub(crate) fn event(workload: &Workload) -> Event {
    Event::json_text(&workload.r#type, &workload.data).with_metadata(&workload.metadata)
}
