//! Ratios of the store to the raw driver: same process, same database, interleaved runs, medians with their spread.
//!
//! `streamkeep-bench URL` prints the table. With `--face` it prints one round of the store alone as JSON, which
//! `faces.py` compares with the other languages. With `--measure` it prints what one thing costs, instead of the table.
#![allow(clippy::print_stdout, reason = "a program whose purpose is what it prints")]

mod contention;
mod face;
mod figures;
mod handles;
mod processes;
mod raw;
mod subscriptions;
mod table;
mod workload;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use uuid::Uuid;

use crate::face::Face;
use crate::raw::Raw;
use crate::workload::Workload;

/// Measures a store beside the raw driver.
#[derive(Parser)]
struct Arguments {
    /// `sqlite:` (in a temporary folder), `sqlite:PATH`, `postgres://…` or `mongodb://…`; with --face also
    /// `memory:NAME`, which shows what a face costs
    url: String,
    /// Runs of each row; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Prints one round of the store alone, as JSON
    #[arg(long)]
    face: bool,
    /// Prints what one thing costs, instead of the table
    #[arg(long, conflicts_with = "face")]
    measure: Option<Measure>,
    /// A part of the namespaces' names; processes of one run share the log that is read
    #[arg(long)]
    run: Option<String>,
    /// Keeps the data of the run, for a temporary server: SecantusDB takes minutes to drop it
    #[arg(long)]
    keep: bool,
    /// Runs as one of several processes that append to this namespace; see `processes`
    #[arg(long, hide = true)]
    append_to: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measure {
    /// Subscriptions that read every append, and many that have nothing to read
    Subscriptions,
    /// Hot streams and open transactions: the appends to other streams, on Postgres
    Contention,
    /// The same callers over one and over several handles and namespaces
    Handles,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let url = if arguments.url == "sqlite:" {
        format!("sqlite:{}", folder.path().join("store.db").display())
    } else {
        arguments.url
    };
    let workload = Workload::load(&url)?;
    if let Some(namespace) = arguments.append_to {
        return processes::append_to(&url, &namespace, workload).await;
    }
    // A random name, so that a server can be used again.
    let run = arguments.run.unwrap_or_else(|| format!("{:08x}", Uuid::new_v4().as_fields().0));
    match arguments.measure {
        Some(Measure::Subscriptions) => return subscriptions::print(&url, &run, workload, arguments.rounds).await,
        Some(Measure::Contention) => return contention::print(&url, &run, arguments.rounds).await,
        Some(Measure::Handles) => return handles::print(&url, &run, workload, arguments.rounds).await,
        None => {}
    }
    if arguments.face {
        let face = Face::open(&url, &run, workload).await?;
        print_face(&face).await?;
        return face.close().await;
    }
    let raw = Raw::open(&url, folder.path(), &run, workload).await?;
    let face = Face::open(&url, &run, workload).await?;
    table::print(&raw, &face, workload, arguments.rounds).await?;
    face.close().await?;
    if arguments.keep { Ok(()) } else { raw.drop_run().await }
}

/// Prints the second of two rounds, because the first warms up, as in every language.
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
