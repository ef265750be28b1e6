//! Figures as ratios to the raw driver: same process, same database, runs interleaved, medians with their spread.
//!
//! `streamkeep-bench URL` prints the table; `streamkeep-bench URL --face` one round of the store alone as JSON, for comparing the faces of other languages.
#![allow(clippy::print_stdout, reason = "a program whose purpose is what it prints")]

mod face;
mod figures;
mod raw;
mod workload;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;
use streamkeep::{EventStore, OpenOptions};

use crate::figures::{Figure, median, median_micros, rate};
use crate::raw::Raw;
use crate::workload::{APPENDS_A_CALLER, BATCH_EVENTS, BATCHES, LOG_EVENTS, LONE_APPENDS, LONE_STREAMS, LONG_STREAM_EVENTS};

/// Measures a store beside the raw driver.
#[derive(Parser)]
struct Arguments {
    /// `sqlite:` (in a temporary folder) or `postgres://…`
    url: String,
    /// Runs of each row; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// One round of the store alone, as JSON.
    #[arg(long)]
    face: bool,
}

/// A row of the table.
struct Row {
    name: &'static str,
    unit: &'static str,
    raw: Vec<Figure>,
    store: Vec<Figure>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let (url, raw) = match arguments.url.split(':').next() {
        Some("sqlite") => (format!("sqlite:{}", folder.path().join("store.db").display()), Raw::sqlite(&folder.path().join("raw.db")).await?),
        Some("postgres" | "postgresql") => (arguments.url.clone(), Raw::postgres(&arguments.url).await?),
        _ => bail!("a URL of sqlite: or postgres:"),
    };
    // Namespaces of this run's own, so that the database can be used again; the log that is read stands in one of its own too.
    let run = std::process::id();
    let store = OpenOptions::new(&url).namespace(format!("bench_{run}_append")).open().await?;
    let log = OpenOptions::new(&url).namespace(format!("bench_{run}_read")).open().await?;
    face::fill(&log).await?;
    if arguments.face {
        print_face(&store, &log).await?;
    } else {
        print_table(&raw, &store, &log, arguments.rounds).await?;
    }
    store.close().await?;
    log.close().await?;
    Ok(())
}

async fn print_face(store: &EventStore, log: &EventStore) -> Result<()> {
    face::many(store, 1_000).await?;
    let figures = serde_json::json!({
        "one_us": face::one(store, 0).await?,
        "many_per_s": face::many(store, 0).await?,
        "batch_per_s": face::batches(store, 0).await?,
        "stream_per_s": face::stream(log).await?,
        "log_per_s": face::log(log).await?,
    });
    println!("{figures}");
    Ok(())
}

async fn print_table(raw: &Raw, store: &EventStore, log: &EventStore, rounds: u32) -> Result<()> {
    let row = |name, unit| Row { name, unit, raw: Vec::new(), store: Vec::new() };
    let mut rows = [
        row("one event, one caller", "us"),
        row("32 callers", "appends/s"),
        row("100 events of one stream a call", "events/s"),
        row("a stream of 10,000", "events/s"),
        row("the log of 100,000", "events/s"),
    ];
    fill_raw(raw).await?;
    // The first round warms both sides and is not counted.
    for round in 0..=rounds {
        // Row by row, so that whatever else the machine does meets both sides alike.
        let figures = [
            (raw_one(raw, round).await?, face::one(store, round).await?),
            (raw_many(raw, round).await?, face::many(store, round).await?),
            (raw_batches(raw, round).await?, face::batches(store, round).await?),
            (raw_read(raw, Some("long")).await?, face::stream(log).await?),
            (raw_read(raw, None).await?, face::log(log).await?),
        ];
        if round > 0 {
            for (row, (raw, store)) in rows.iter_mut().zip(figures) {
                row.raw.push(raw);
                row.store.push(store);
            }
        }
    }
    println!("| row | unit | raw | store | store / raw |\n|---|---|---|---|---|");
    for Row { name, unit, raw, store } in &rows {
        let ((raw, raw_spread), (store, store_spread)) = (median(raw), median(store));
        println!("| {name} | {unit} | {raw:.0} ±{raw_spread:.0} % | {store:.0} ±{store_spread:.0} % | {:.2} |", store / raw);
    }
    Ok(())
}

/// A log of the same shape as the store's, in the raw table; the rows that later rounds append come behind it.
async fn fill_raw(raw: &Raw) -> Result<()> {
    for n in (0..LOG_EVENTS).step_by(1_000) {
        let (stream, version) = if n < LONG_STREAM_EVENTS { ("long".to_owned(), n) } else { (format!("short-{n}"), 0) };
        raw.insert_many(&stream, i64::from(version) + 1, 1_000).await?;
    }
    Ok(())
}

async fn raw_one(raw: &Raw, round: u32) -> Result<Figure> {
    let mut latencies: Vec<Duration> = Vec::new();
    for n in 0..LONE_APPENDS {
        let stream = format!("lone{round}-{}", n % LONE_STREAMS);
        let started = Instant::now();
        raw.insert_one(&stream, i64::from(n / LONE_STREAMS) + 1).await?;
        latencies.push(started.elapsed());
    }
    Ok(median_micros(&mut latencies))
}

async fn raw_many(raw: &Raw, round: u32) -> Result<Figure> {
    let started = Instant::now();
    let callers = raw.callers();
    let inserting = (0..callers).map(|caller| {
        let raw = raw.clone();
        tokio::spawn(async move {
            for version in 1..=APPENDS_A_CALLER {
                raw.insert_one(&format!("many{round}-{caller}"), i64::from(version)).await?;
            }
            Ok::<_, anyhow::Error>(())
        })
    });
    for caller in inserting.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(rate(u32::try_from(callers)? * APPENDS_A_CALLER, started))
}

async fn raw_batches(raw: &Raw, round: u32) -> Result<Figure> {
    let started = Instant::now();
    for n in 0..BATCHES {
        raw.insert_many(&format!("batch{round}-{n}"), 1, i64::from(BATCH_EVENTS)).await?;
    }
    Ok(rate(BATCHES * BATCH_EVENTS, started))
}

async fn raw_read(raw: &Raw, stream: Option<&str>) -> Result<Figure> {
    let started = Instant::now();
    let count = raw.read(stream).await?;
    Ok(rate(u32::try_from(count)?, started))
}
