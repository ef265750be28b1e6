//! Moves a log: reads every event from one store and imports it into another, which can be in a different database.
//!
//! Streams, versions, ids, times and contents stay the same, byte for byte; the new log has its own positions, in the
//! same order. Snapshots are not moved: they never change a result, and an application makes them again.
//!
//! The import passes over events that the new log has, so a move can be repeated, after an interruption or for events
//! that were appended since. If a stream of the new log has other events, or an id has another content, the move ends
//! with an error.

use anyhow::{Context, Result};
use clap::Parser;
use streamkeep::{Event, EventStore, ImportEvent, ImportResult, OpenOptions, ReadAllOptions, RecordedEvent};

/// Moves the log of one store into another, and passes over events that are there.
#[derive(Parser)]
struct Arguments {
    /// The store to read: `sqlite:PATH`, `postgres://…` or `mongodb://…`
    from: String,
    /// The store to import into, which is created if it is missing
    to: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { from, to } = Arguments::parse();
    // The source is not created: a wrong URL is an error, not a log without events.
    let source = OpenOptions::new(from).create(false).open().await.context("opening the store to read")?;
    let target = EventStore::open(to).await.context("opening the store to import into")?;
    let moved = move_log(&source, &target).await?;
    println!("imported {}, passed over {}", moved.imported, moved.passed_over);
    source.close().await?;
    target.close().await?;
    Ok(())
}

/// Reads the log page by page, so that memory use does not grow with it. The next page is read while one is imported.
async fn move_log(source: &EventStore, target: &EventStore) -> Result<ImportResult> {
    let mut events = source.read_all(ReadAllOptions::default());
    let (mut moved, mut reached) = (ImportResult::default(), 0);
    while let Some(page) = events.next_page().await.with_context(|| format!("reading after position {reached}"))? {
        let last = page.last().map_or(reached, |event| event.position);
        let done = target.import_events(page.into_iter().map(as_recorded)).await;
        let done = done.with_context(|| format!("importing the old log after position {reached}, up to {last}"))?;
        moved.imported += done.imported;
        moved.passed_over += done.passed_over;
        reached = last;
    }
    Ok(moved)
}

/// The event with everything that was recorded, without its position.
fn as_recorded(recorded: RecordedEvent) -> ImportEvent {
    let RecordedEvent { stream, version, id, event_type, data, metadata, tags, schema, recorded_at, .. } = recorded;
    ImportEvent {
        stream,
        version: Some(version),
        recorded_at: Some(recorded_at),
        event: Event { event_type, data, metadata, tags, id, schema },
    }
}
