//! When a snapshot may be believed.

use std::sync::Arc;

use crate::backend::{SnapshotRecord, StreamPageRequest};
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::limits::PAGE_BYTES;
use crate::position::Direction;
use crate::store::{Shared, Snapshot};
use crate::stream::{check_name, check_stream};
use crate::value::check_payload;

/// Saves a snapshot beside the id of the event it ends with.
pub(crate) async fn save(shared: &Arc<Shared>, snapshot: Snapshot) -> Result<()> {
    check_stream(&snapshot.stream)?;
    check_name("schema", &snapshot.schema)?;
    check_payload(&snapshot.data)?;
    let Some(event) = event_at(shared, &snapshot.stream, snapshot.version).await? else {
        let message = format!("version {} is not one of stream '{}'", snapshot.version, snapshot.stream);
        return Err(Error::invalid_argument("version", message));
    };
    let Snapshot { stream, version, schema, data } = snapshot;
    let mut record = SnapshotRecord { stream, schema, version, event_id: event.id, checksum: 0, data };
    record.checksum = checksum(&record);
    let record = Arc::new(record);
    let deadline = shared.deadline(None);
    let save = shared.run(deadline, move |shared| {
        let record = Arc::clone(&record);
        async move { shared.backend.snapshots.save(&record, deadline).await }
    });
    save.await
}

/// Loads the newest snapshot that can be believed.
pub(crate) async fn load(shared: Arc<Shared>, stream: String, schema: String, mut at_or_before: u64) -> Result<Option<Snapshot>> {
    shared.check_open()?;
    check_stream(&stream)?;
    check_name("schema", &schema)?;
    loop {
        let deadline = shared.deadline(None);
        let names = (stream.clone(), schema.clone());
        let candidate = shared.run(deadline, move |shared| {
            let (stream, schema) = names.clone();
            async move { shared.backend.snapshots.load(&stream, &schema, at_or_before, deadline).await }
        });
        let Some(record) = candidate.await? else { return Ok(None) };
        if believable(&shared, &record).await? {
            let SnapshotRecord { stream, schema, version, data, .. } = record;
            return Ok(Some(Snapshot { stream, version, schema, data }));
        }
        tracing::warn!(version = record.version, "a snapshot that does not fit its stream is ignored");
        let Some(older) = record.version.checked_sub(1) else { return Ok(None) };
        at_or_before = older;
    }
}

/// Whether the bytes are the ones saved, and the event they end with is the one the stream has.
async fn believable(shared: &Arc<Shared>, record: &SnapshotRecord) -> Result<bool> {
    if record.checksum != checksum(record) {
        return Ok(false);
    }
    let event = event_at(shared, &record.stream, record.version).await?;
    Ok(event.is_some_and(|event| event.id == record.event_id))
}

async fn event_at(shared: &Arc<Shared>, stream: &str, version: u64) -> Result<Option<RecordedEvent>> {
    let deadline = shared.deadline(None);
    let direction = Direction::Forward;
    let request =
        StreamPageRequest { stream: stream.to_owned(), from_version: version, to_version: version, direction, max_events: 1, max_bytes: PAGE_BYTES, deadline };
    Ok(shared.read_stream(request).await?.events.pop())
}

/// Over every field, each with its length, so that no two records have the same bytes under it.
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
