//! Stores snapshots: one document for each stream, schema and version.

use std::sync::Arc;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawDocument, RawDocumentBuf, doc};
use tokio::time::Instant;

use super::Mongo;
use super::document::{append_payload, id, int64, number, payload, uuid};
use super::error::Failure;
use super::format::{check_writer, log_head, of_log};
use super::work::left;
use crate::error::Result;
use crate::event::Payload;
use crate::request::SnapshotRecord;

impl Mongo {
    pub(super) async fn save_snapshot(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.before_writing(deadline).await?;
        let (names, document) = (self.writer.names.clone(), of_snapshot(record));
        let place = doc! { "stream": &record.stream, "schema": &record.schema, "version": int64(record.version) };
        let saved = self.work.run(deadline, |mut session| async move {
            check_writer(of_log(&log_head(&names, &mut session, deadline).await?)?)?;
            loop {
                match names
                    .snapshots
                    .replace_one(place.clone(), document.clone())
                    .upsert(true)
                    .session(&mut session)
                    .await
                    .map_err(Failure::from)
                {
                    Ok(_) => return Ok(session),
                    // Another process inserted the same snapshot first. The next attempt replaces it.
                    Err(failure) if failure.is_duplicate() && Instant::now() < deadline => {}
                    Err(failure) => return Err(failure),
                }
            }
        });
        self.work.wrote(&saved.await?);
        Ok(())
    }

    pub(super) async fn load_snapshot(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        let (names, stream, schema) = (self.writer.names.clone(), stream.to_owned(), schema.to_owned());
        let format = Arc::clone(&self.format);
        let loaded = self.work.run(deadline, |mut session| async move {
            format.reader(&names, &mut session, deadline).await?;
            let wanted = doc! { "stream": &stream, "schema": &schema, "version": { "$lte": int64(at_or_before) } };
            let find = names.snapshots.find_one(wanted).sort(doc! { "stream": -1, "schema": -1, "version": -1 });
            let found = find.max_time(left(deadline)).session(&mut session).await?;
            found.map(|document| record(&document, stream, schema)).transpose()
        });
        Ok(loaded.await?)
    }
}

fn of_snapshot(record: &SnapshotRecord) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("stream"), record.stream.as_str());
    document.append(cstr!("schema"), record.schema.as_str());
    document.append(cstr!("version"), int64(record.version));
    document.append(cstr!("event_id"), uuid(record.event_id));
    document.append(cstr!("checksum"), i64::from(record.checksum));
    append_payload(&mut document, &record.data);
    document
}

fn record(document: &RawDocument, stream: String, schema: String) -> std::result::Result<SnapshotRecord, Failure> {
    Ok(SnapshotRecord {
        stream,
        schema,
        version: number(document, "version")?,
        // A field that cannot be read makes the snapshot invalid, so it is ignored. It is not an error.
        event_id: id(document, "event_id").unwrap_or_default(),
        checksum: number(document, "checksum")
            .ok()
            .and_then(|checksum| u32::try_from(checksum).ok())
            .unwrap_or(u32::MAX),
        data: payload(document).unwrap_or_else(|_| Payload::Bytes(Vec::new())),
    })
}
