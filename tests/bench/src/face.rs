//! The store's side of each row, through its public API.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::TryStreamExt;
use streamkeep::{Event, EventStore, ExpectedVersion, ImportEvent, ReadAllOptions, ReadOptions};

use crate::figures::{Figure, median_micros, rate};
use crate::workload::{APPENDS_A_CALLER, BATCH_EVENTS, BATCHES, CALLERS, DATA, LOG_EVENTS, LONE_APPENDS, LONE_STREAMS, LONG_STREAM_EVENTS, METADATA, TYPE};

fn event() -> Event {
    Event::json_text(TYPE, DATA).with_metadata(METADATA)
}

/// One event a call, one caller: the median latency in microseconds.
pub(crate) async fn one(store: &EventStore, round: u32) -> Result<Figure> {
    let mut latencies: Vec<Duration> = Vec::new();
    for n in 0..LONE_APPENDS {
        let (stream, version) = (format!("lone{round}-{}", n % LONE_STREAMS), u64::from(n / LONE_STREAMS));
        let event = event();
        let started = Instant::now();
        store.append(stream, [event], ExpectedVersion::Exact(version)).await?;
        latencies.push(started.elapsed());
    }
    Ok(median_micros(&mut latencies))
}

/// Many callers of one process, each its own stream: appends a second.
pub(crate) async fn many(store: &EventStore, round: u32) -> Result<Figure> {
    let started = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for version in 0..u64::from(APPENDS_A_CALLER) {
                store.append(format!("many{round}-{caller}"), [event()], ExpectedVersion::Exact(version)).await?;
            }
            Ok::<_, streamkeep::Error>(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(rate(u32::try_from(CALLERS)? * APPENDS_A_CALLER, started))
}

/// A hundred events of one stream a call: events a second.
pub(crate) async fn batches(store: &EventStore, round: u32) -> Result<Figure> {
    let started = Instant::now();
    for n in 0..BATCHES {
        let events: Vec<Event> = (0..BATCH_EVENTS).map(|_| event()).collect();
        store.append(format!("batch{round}-{n}"), events, ExpectedVersion::NoStream).await?;
    }
    Ok(rate(BATCHES * BATCH_EVENTS, started))
}

/// Fills a store of its own with the log to read: one long stream first, the rest in streams of a hundred.
pub(crate) async fn fill(store: &EventStore) -> Result<()> {
    let stream = |n: u32| if n < LONG_STREAM_EVENTS { "long".to_owned() } else { format!("short-{}", n / 100) };
    let events = (0..LOG_EVENTS).map(|n| ImportEvent { stream: stream(n), version: None, recorded_at: None, event: event() });
    store.import_events(events).await?;
    Ok(())
}

/// The long stream: events a second.
pub(crate) async fn stream(store: &EventStore) -> Result<Figure> {
    let (started, mut events, mut count) = (Instant::now(), store.read("long", ReadOptions::default()), 0);
    while events.try_next().await?.is_some() {
        count += 1;
    }
    anyhow::ensure!(count == LONG_STREAM_EVENTS, "{count} events read");
    Ok(rate(count, started))
}

/// The whole log: events a second.
pub(crate) async fn log(store: &EventStore) -> Result<Figure> {
    let (started, mut events, mut count) = (Instant::now(), store.read_all(ReadAllOptions::default()), 0);
    while events.try_next().await?.is_some() {
        count += 1;
    }
    anyhow::ensure!(count == LOG_EVENTS, "{count} events read");
    Ok(rate(count, started))
}
