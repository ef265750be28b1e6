//! Moves a log: reads every event from one store and imports it into another, whatever databases the two live in.
//!
//! Streams, versions, ids, times and contents stay what they were, to the byte; positions are the new log's own, in the
//! order of the old one. Snapshots are not moved: they never change a result, and are made again where they are missed.
//!
//! What is there already is passed over, so a move can be repeated: to go on after it was interrupted, or to bring over
//! what was appended in the meantime. A stream that went on by itself in the new log, or an id that stands for
//! something else there, ends the move with the error that says so.

use anyhow::{Context, Result};
use clap::Parser;
use streamkeep::{Event, EventStore, ImportEvent, ImportResult, OpenOptions, ReadAllOptions, RecordedEvent};

/// Moves the log of one store into another; what is there already is passed over.
#[derive(Parser)]
struct Arguments {
    /// The store to read: `sqlite:PATH`, `postgres://…` or `mongodb://…`
    from: String,
    /// The store to import into; made when it is missing
    to: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { from, to } = Arguments::parse();
    // Nothing is created there: a mistyped place is an error, not a log without events.
    let source = OpenOptions::new(from).create(false).open().await.context("opening the store to read")?;
    let target = EventStore::open(to).await.context("opening the store to import into")?;
    let moved = move_log(&source, &target).await?;
    println!("imported {}, passed over {}", moved.imported, moved.passed_over);
    source.close().await?;
    target.close().await?;
    Ok(())
}

/// Goes through the log page by page, so that memory does not grow with it; while a page is imported, the next one is
/// read.
async fn move_log(source: &EventStore, target: &EventStore) -> Result<ImportResult> {
    let mut events = source.read_all(ReadAllOptions::default());
    let (mut moved, mut reached) = (ImportResult::default(), 0);
    while let Some(page) = events.next_page().await.with_context(|| format!("reading behind position {reached}"))? {
        let last = page.last().map_or(reached, |event| event.position);
        let done = target.import_events(page.into_iter().map(as_recorded)).await;
        let done = done
            .with_context(|| format!("importing what stands behind position {reached} of the old log, up to {last}"))?;
        moved.imported += done.imported;
        moved.passed_over += done.passed_over;
        reached = last;
    }
    Ok(moved)
}

/// The event with all that was recorded of it, but its position.
fn as_recorded(recorded: RecordedEvent) -> ImportEvent {
    let RecordedEvent { stream, version, id, event_type, data, metadata, tags, schema, recorded_at, .. } = recorded;
    ImportEvent {
        stream,
        version: Some(version),
        recorded_at: Some(recorded_at),
        event: Event { event_type, data, metadata, tags, id, schema },
    }
}
