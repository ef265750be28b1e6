//! What live subscriptions cost: the rate of one caller's appends beside more and more of them, and the processor time
//! of many that have nothing to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cpu_time::ProcessTime;
use futures::TryStreamExt;
use streamkeep::{EventStore, ExpectedVersion, Item, OpenOptions, Start, SubscribeOptions};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::face::event;
use crate::figures::{Figure, median};
use crate::workload::Workload;

/// The numbers of subscriptions beside the appends; the first is the base of the ratios.
const BESIDE: [usize; 5] = [0, 1, 10, 50, 200];
/// How long the caller appends beside each number.
const APPENDING: Duration = Duration::from_secs(2);
/// The number of subscriptions that have nothing to read.
const IDLE: usize = 1_000;
/// How long the idle subscriptions are watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Measures and prints both tables.
pub(crate) async fn print(url: &str, run: &str, workload: &'static Workload, rounds: u32) -> Result<()> {
    let mut figures = BESIDE.map(|_| Vec::new());
    for round in 0..rounds {
        for (count, figures) in BESIDE.iter().zip(&mut figures) {
            let store = open(url, &format!("bench_{run}_{round}_{count}")).await?;
            figures.push(beside(&store, *count, workload).await?);
            store.close().await?;
        }
    }
    let (alone, _) = median(&figures[0]);
    println!("| subscriptions | appends/s of one caller | of the first |\n|---|---|---|");
    for (count, figures) in BESIDE.iter().zip(&figures) {
        let (appends, spread) = median(figures);
        println!("| {count} | {appends:.0} ±{spread:.0} % | {:.2} |", appends / alone);
    }
    println!("\n| idle subscriptions | processor time of {} s |\n|---|---|", WATCHED.as_secs());
    for count in [0, IDLE] {
        let store = open(url, &format!("bench_{run}_idle_{count}")).await?;
        println!("| {count} | {:.3} s |", idle(&store, count, workload).await?.as_secs_f64());
        store.close().await?;
    }
    Ok(())
}

async fn open(url: &str, namespace: &str) -> Result<EventStore> {
    Ok(OpenOptions::new(url).namespace(namespace).open().await?)
}

/// One caller appends one event per call while subscriptions read. Ends when all have read all: appends per second.
async fn beside(store: &EventStore, count: usize, workload: &'static Workload) -> Result<Figure> {
    let readers = Readers::start(store, count).await?;
    let (started, mut appends) = (Instant::now(), 0_u64);
    while started.elapsed() < APPENDING {
        store.append("appended", [event(workload)], ExpectedVersion::Exact(appends)).await?;
        appends += 1;
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = appends as f64 / started.elapsed().as_secs_f64();
    readers.wait(appends * count as u64).await?;
    Ok(rate)
}

/// The processor time of this process while subscriptions wait for events.
async fn idle(store: &EventStore, count: usize, workload: &'static Workload) -> Result<Duration> {
    let readers = Readers::start(store, count).await?;
    store.append("appended", [event(workload)], ExpectedVersion::NoStream).await?;
    readers.wait(count as u64).await?;
    let before = ProcessTime::now();
    tokio::time::sleep(WATCHED).await;
    Ok(before.elapsed())
}

/// Subscriptions, each in its own task.
struct Readers {
    counted: Arc<Counted>,
    tasks: Vec<JoinHandle<Result<(), streamkeep::Error>>>,
}

/// What the readers have read together.
#[derive(Default)]
struct Counted {
    events: AtomicU64,
    caught_up: AtomicU64,
    changed: Notify,
}

impl Readers {
    /// Starts the readers and waits until all have caught up.
    async fn start(store: &EventStore, count: usize) -> Result<Self> {
        let counted = Arc::<Counted>::default();
        let tasks = (0..count)
            .map(|_| {
                let options = SubscribeOptions { start: Some(Start::Beginning), ..SubscribeOptions::default() };
                let (mut items, counted) = (store.subscribe(options), Arc::clone(&counted));
                tokio::spawn(async move {
                    while let Some(item) = items.try_next().await? {
                        let number = if matches!(item, Item::CaughtUp) { &counted.caught_up } else { &counted.events };
                        number.fetch_add(1, Ordering::Relaxed);
                        counted.changed.notify_one();
                    }
                    Ok(())
                })
            })
            .collect();
        let readers = Self { counted, tasks };
        readers.until(|counted| counted.caught_up.load(Ordering::Relaxed) >= count as u64).await?;
        Ok(readers)
    }

    /// Waits until they have read this many events together.
    async fn wait(&self, events: u64) -> Result<()> {
        self.until(|counted| counted.events.load(Ordering::Relaxed) >= events).await
    }

    async fn until(&self, reached: impl Fn(&Counted) -> bool) -> Result<()> {
        while !reached(&self.counted) {
            let waited = tokio::time::timeout(Duration::from_secs(60), self.counted.changed.notified()).await;
            ensure!(waited.is_ok(), "the subscriptions read nothing for a minute");
        }
        Ok(())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
