//! The demo: imports a log of JSON Lines, reads it back, folds it with and without a snapshot, follows it.
//!
//! Results go to standard output, speeds to standard error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use flate2::read::MultiGzDecoder;
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::value::RawValue;
use streamkeep::{Event, EventStore, ImportEvent, Item, Payload, ReadOptions, Snapshot, SubscribeOptions};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The number of events in a call of `import_events`: one unit, one transaction.
const CALL_EVENTS: usize = 1_000;
/// The schema of the demo's snapshots.
const SCHEMA: &str = "count-by-type/1";

/// Imports a log of JSON Lines into a store and works with it.
#[derive(Parser)]
struct Arguments {
    /// `memory:`, `sqlite:PATH`, `postgres://…` or `mongodb://…`
    url: String,
    /// JSON Lines, plain or gzip; a line: stream, type, time, data, metadata?, tags?
    file: PathBuf,
}

/// A line of the file, with the exact texts of `data` and `metadata`.
#[derive(Deserialize)]
struct Line<'a> {
    stream: String,
    r#type: String,
    time: String,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    tags: Vec<String>,
}

type Fold = BTreeMap<String, u64>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let store = EventStore::open(&arguments.url).await.context("opening the store")?;
    let streams = import(&store, &arguments.file).await?;
    fold_longest(&store, &streams).await?;
    follow(&store).await?;
    store.close().await?;
    Ok(())
}

/// Imports the file and returns how many events each stream has.
async fn import(store: &EventStore, path: &Path) -> Result<BTreeMap<String, u64>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let bar = ProgressBar::new(file.metadata()?.len())
        .with_style(ProgressStyle::with_template("importing {wide_bar} {bytes}/{total_bytes} {elapsed}")?);
    let lines = BufReader::new(unpacked(bar.wrap_read(file), path)?).lines();
    let started = Instant::now();
    let (mut versions, mut call) = (BTreeMap::<String, u64>::new(), Vec::with_capacity(CALL_EVENTS));
    let (mut imported, mut passed_over) = (0, 0);
    for (number, line) in lines.enumerate() {
        let line = line?;
        call.push(event(&line, &mut versions).with_context(|| format!("line {}", number + 1))?);
        if call.len() == CALL_EVENTS {
            let done = store.import_events(std::mem::take(&mut call)).await?;
            (imported, passed_over) = (imported + done.imported, passed_over + done.passed_over);
        }
    }
    let done = store.import_events(call).await?;
    (imported, passed_over) = (imported + done.imported, passed_over + done.passed_over);
    bar.finish_and_clear();
    println!("imported {imported}, passed over {passed_over}, streams {}", versions.len());
    report("import", imported + passed_over, started);
    Ok(versions)
}

fn unpacked<'a>(file: impl Read + 'a, path: &Path) -> Result<Box<dyn Read + 'a>> {
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Makes the event of a line. Its id depends on its stream and version, so that the same file can be imported again.
fn event(line: &str, versions: &mut BTreeMap<String, u64>) -> Result<ImportEvent> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let recorded_at = OffsetDateTime::parse(&line.time, &Rfc3339)?;
    let version = versions.entry(line.stream.clone()).and_modify(|version| *version += 1).or_insert(1);
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("streamkeep:{}#{version}", line.stream).as_bytes());
    let mut event = Event::json_text(line.r#type, line.data.get()).with_id(id).with_tags(line.tags);
    if let Some(metadata) = line.metadata {
        event = event.with_metadata(metadata.get());
    }
    Ok(ImportEvent { stream: line.stream, version: Some(*version), recorded_at: Some(recorded_at), event })
}

/// Folds the longest stream from its first event and from a snapshot, with the same result.
async fn fold_longest(store: &EventStore, streams: &BTreeMap<String, u64>) -> Result<()> {
    let Some((stream, length)) = streams.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))) else {
        bail!("the file has no events")
    };
    let started = Instant::now();
    let (whole, events) = fold(store, stream, 1, u64::MAX, Fold::new()).await?;
    report("fold from the first event", events, started);
    ensure!(events == *length, "{stream} has {events} events instead of {length}");
    println!("longest {stream} with {events} events, fold {}", serde_json::to_string(&whole)?);

    let version = (length * 9 / 10).max(1);
    let (early, _) = fold(store, stream, 1, version, Fold::new()).await?;
    store
        .save_snapshot(Snapshot {
            stream: stream.clone(),
            version,
            schema: SCHEMA.into(),
            data: Payload::Json(serde_json::to_string(&early)?),
        })
        .await?;

    let started = Instant::now();
    let snapshot =
        store.load_snapshot(stream.as_str(), SCHEMA, None).await?.context("the saved snapshot is not found")?;
    let state = serde_json::from_slice(snapshot.data.as_bytes())?;
    let (again, tail) = fold(store, stream, snapshot.version + 1, u64::MAX, state).await?;
    report("fold from a snapshot", tail, started);
    ensure!(again == whole, "the fold from a snapshot differs");
    println!("the same from a snapshot at version {} and {tail} events", snapshot.version);
    Ok(())
}

async fn fold(store: &EventStore, stream: &str, from: u64, to: u64, mut state: Fold) -> Result<(Fold, u64)> {
    let mut events = store.read(stream, ReadOptions { from_version: from, to_version: to, ..ReadOptions::default() });
    let mut count = 0;
    while let Some(event) = events.try_next().await? {
        *state.entry(event.event_type).or_default() += 1;
        count += 1;
    }
    Ok((state, count))
}

/// Follows the log from its beginning until the subscription has caught up.
async fn follow(store: &EventStore) -> Result<()> {
    let started = Instant::now();
    let mut subscription = store.subscribe(SubscribeOptions::default());
    let (mut last, mut count) = (0, 0);
    while let Some(Item::Event(event)) = subscription.try_next().await? {
        ensure!(event.position > last, "position {} came after {last}", event.position);
        (last, count) = (event.position, count + 1);
    }
    println!("followed {count} events in order");
    report("follow", count, started);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn report(what: &str, events: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{what}: {events} events in {seconds:.3} s, {:.0} events/s", events as f64 / seconds);
}
