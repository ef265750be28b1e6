//! Saving snapshots, and loading the newest valid one.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::event::Payload;
use crate::handle::Handle;
use crate::request::SnapshotRecord;
use crate::stream::{check_name, check_stream};
use crate::value::check_payload;

/// The state that results from a stream's events up to a version, made by code with the name `schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: String,
    /// The version of the last event that went into the state.
    pub version: u64,
    /// The name of the code that made it. A snapshot with another schema is another snapshot.
    pub schema: String,
    /// The state, at most 8 MiB.
    pub data: Payload,
}

/// Saves a snapshot together with the id of the event at its version.
pub(crate) async fn save(handle: &Arc<Handle>, snapshot: Snapshot, deadline: Instant) -> Result<()> {
    check_stream(&snapshot.stream)?;
    check_name("schema", &snapshot.schema)?;
    check_payload(&snapshot.data)?;
    let Some(event_id) = event_id(handle, &snapshot.stream, snapshot.version, deadline).await? else {
        let message = format!("stream '{}' has no version {}", snapshot.stream, snapshot.version);
        return Err(Error::invalid_argument("version", message));
    };
    let Snapshot { stream, version, schema, data } = snapshot;
    let mut record = SnapshotRecord { stream, schema, version, event_id, checksum: 0, data };
    record.checksum = checksum(&record);
    let record = Arc::new(record);
    let save = handle.run(deadline, move |namespace| {
        let record = Arc::clone(&record);
        async move { namespace.snapshots.save(&record, deadline).await }
    });
    save.await
}

/// Loads the newest valid snapshot.
pub(crate) async fn load(
    handle: Arc<Handle>,
    stream: String,
    schema: String,
    mut at_or_before: u64,
    deadline: Instant,
) -> Result<Option<Snapshot>> {
    handle.check_open()?;
    check_stream(&stream)?;
    check_name("schema", &schema)?;
    loop {
        let names = (stream.clone(), schema.clone());
        let candidate = handle.run(deadline, move |namespace| {
            let (stream, schema) = names.clone();
            async move { namespace.snapshots.load(&stream, &schema, at_or_before, deadline).await }
        });
        let Some(record) = candidate.await? else { return Ok(None) };
        if is_valid(&handle, &record, deadline).await? {
            let SnapshotRecord { stream, schema, version, data, .. } = record;
            return Ok(Some(Snapshot { stream, version, schema, data }));
        }
        tracing::warn!(version = record.version, "a snapshot is ignored because it is not valid for its stream");
        let Some(older) = record.version.checked_sub(1) else { return Ok(None) };
        at_or_before = older;
    }
}

/// Whether the bytes are as they were saved, and the stream has the same event at the snapshot's version.
async fn is_valid(handle: &Arc<Handle>, record: &SnapshotRecord, deadline: Instant) -> Result<bool> {
    if record.checksum != checksum(record) {
        return Ok(false);
    }
    Ok(event_id(handle, &record.stream, record.version, deadline).await? == Some(record.event_id))
}

async fn event_id(handle: &Arc<Handle>, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
    let stream = stream.to_owned();
    let look = handle.run(deadline, move |namespace| {
        let stream = stream.clone();
        async move { namespace.events.event_id(&stream, version, deadline).await }
    });
    look.await
}

/// The checksum of all fields. Each field is preceded by its length, so that different records never give the same
/// bytes.
fn checksum(record: &SnapshotRecord) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let version = record.version.to_be_bytes();
    let parts: [&[u8]; 6] = [
        record.stream.as_bytes(),
        record.schema.as_bytes(),
        &version,
        record.event_id.as_bytes(),
        record.data.content_type().as_bytes(),
        record.data.as_bytes(),
    ];
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
