//! Figures as ratios to the raw driver: same process, same database, runs interleaved, medians with their spread.
//!
//! `streamkeep-bench URL` prints the table; `streamkeep-bench URL --face` one round of the store alone as JSON, which `faces.py` compares with the other languages'.
#![allow(clippy::print_stdout, reason = "a program whose purpose is what it prints")]

mod face;
mod figures;
mod raw;
mod workload;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;

use crate::face::Face;
use crate::figures::{Figure, median, median_micros, rate};
use crate::raw::Raw;
use crate::workload::Workload;

/// Measures a store beside the raw driver.
#[derive(Parser)]
struct Arguments {
    /// `sqlite:` (in a temporary folder), `sqlite:PATH` or `postgres://…`; with --face also `memory:NAME`, to see what a face costs by itself
    url: String,
    /// Runs of each row; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// One round of the store alone, as JSON.
    #[arg(long)]
    face: bool,
    /// A name in the namespaces; processes of one run share the log that is read.
    #[arg(long)]
    run: Option<String>,
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
    let url = if arguments.url == "sqlite:" { format!("sqlite:{}", folder.path().join("store.db").display()) } else { arguments.url };
    let run = arguments.run.unwrap_or_else(|| std::process::id().to_string());
    let workload = Workload::load()?;
    let face = Face::open(&url, &run, workload).await?;
    if arguments.face {
        print_face(&face).await?;
    } else {
        print_table(&raw(&url, folder.path(), workload).await?, workload, &face, arguments.rounds).await?;
    }
    face.close().await
}

async fn raw(url: &str, folder: &Path, workload: &'static Workload) -> Result<Raw> {
    match url.split(':').next() {
        Some("sqlite") => Raw::sqlite(&folder.join("raw.db"), workload).await,
        Some("postgres" | "postgresql") => Raw::postgres(url, workload).await,
        _ => bail!("a URL of sqlite: or postgres:"),
    }
}

/// The second of two rounds: the first warms up, as in every language.
async fn print_face(face: &Face) -> Result<()> {
    face.round(0).await?;
    let [one_us, many_per_s, batch_per_s, stream_per_s, log_per_s] = face.round(1).await?;
    let figures = serde_json::json!({
        "one_us": one_us,
        "many_per_s": many_per_s,
        "batch_per_s": batch_per_s,
        "stream_per_s": stream_per_s,
        "log_per_s": log_per_s,
    });
    println!("{figures}");
    Ok(())
}

async fn print_table(raw: &Raw, workload: &'static Workload, face: &Face, rounds: u32) -> Result<()> {
    let row = |name, unit| Row { name, unit, raw: Vec::new(), store: Vec::new() };
    let mut rows = [
        row("one event, one caller", "us"),
        row("32 callers", "appends/s"),
        row("100 events of one stream a call", "events/s"),
        row("a stream of 10,000", "events/s"),
        row("the log of 100,000", "events/s"),
    ];
    fill_raw(raw, workload).await?;
    // The first round warms both sides and is not counted.
    for round in 0..=rounds {
        // Row by row, so that whatever else the machine does meets both sides alike.
        let figures = [
            (raw_one(raw, workload, round).await?, face.one(round).await?),
            (raw_many(raw, workload, round).await?, face.many(round).await?),
            (raw_batches(raw, workload, round).await?, face.batches(round).await?),
            (raw_read(raw, Some("long")).await?, face.stream().await?),
            (raw_read(raw, None).await?, face.log().await?),
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
async fn fill_raw(raw: &Raw, workload: &Workload) -> Result<()> {
    for n in (0..workload.log_events).step_by(1_000) {
        let (stream, version) = if n < workload.long_stream_events { ("long".to_owned(), n) } else { (format!("short-{n}"), 0) };
        raw.insert_many(&stream, i64::from(version) + 1, 1_000).await?;
    }
    Ok(())
}

async fn raw_one(raw: &Raw, workload: &Workload, round: u32) -> Result<Figure> {
    let mut latencies: Vec<Duration> = Vec::new();
    for n in 0..workload.lone_appends {
        let stream = format!("lone{round}-{}", n % workload.lone_streams);
        let started = Instant::now();
        raw.insert_one(&stream, i64::from(n / workload.lone_streams) + 1).await?;
        latencies.push(started.elapsed());
    }
    Ok(median_micros(&mut latencies))
}

async fn raw_many(raw: &Raw, workload: &'static Workload, round: u32) -> Result<Figure> {
    let started = Instant::now();
    let callers = raw.callers();
    let inserting = (0..callers).map(|caller| {
        let raw = raw.clone();
        tokio::spawn(async move {
            for version in 1..=workload.appends_per_caller {
                raw.insert_one(&format!("many{round}-{caller}"), i64::from(version)).await?;
            }
            Ok::<_, anyhow::Error>(())
        })
    });
    for caller in inserting.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(rate(u32::try_from(callers)? * workload.appends_per_caller, started))
}

async fn raw_batches(raw: &Raw, workload: &Workload, round: u32) -> Result<Figure> {
    let started = Instant::now();
    for n in 0..workload.batches {
        raw.insert_many(&format!("batch{round}-{n}"), 1, i64::from(workload.batch_events)).await?;
    }
    Ok(rate(workload.batches * workload.batch_events, started))
}

async fn raw_read(raw: &Raw, stream: Option<&str>) -> Result<Figure> {
    let started = Instant::now();
    let count = raw.read(stream).await?;
    Ok(rate(u32::try_from(count)?, started))
}
