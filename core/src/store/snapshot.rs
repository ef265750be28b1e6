//! Saving and loading snapshots.

use std::sync::Arc;

use super::EventStore;
use crate::error::Result;
use crate::event::Payload;
use crate::snapshot;

/// A fold of a stream's events up to a version, made by code that calls itself `schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: String,
    /// The version of the last event folded.
    pub version: u64,
    /// Which code made it; another schema is another snapshot.
    pub schema: String,
    /// The state, at most 8 MiB.
    pub data: Payload,
}

impl EventStore {
    /// Saves a snapshot. One of the same stream, schema and version is replaced; an older one never takes the place of a newer one.
    ///
    /// # Errors
    /// `invalid-argument` when `version` is 0 or above the stream's version, or a name or the data is not one; `limit-exceeded`; `unavailable` past the
    /// deadline; `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::{Event, EventStore, ExpectedVersion, Payload, Snapshot};
    /// let store = EventStore::open("memory:").await?;
    /// store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::Any).await?;
    /// let state = Snapshot { stream: "order-42".into(), version: 1, schema: "order/1".into(), data: Payload::Json(r#"{"total":0}"#.into()) };
    /// store.save_snapshot(state.clone()).await?;
    /// assert_eq!(store.load_snapshot("order-42", "order/1", None).await?, Some(state));
    /// # store.close().await }
    /// ```
    pub async fn save_snapshot(&self, snapshot: Snapshot) -> Result<()> {
        snapshot::save(&self.shared, snapshot).await.map_err(|error| error.with_context("save_snapshot"))
    }

    /// Loads the newest snapshot of a stream and schema, at or before a version if one is given.
    ///
    /// A snapshot that cannot be believed (damaged bytes, a version past the stream's end, another event at its version) is ignored, and an older one looked for:
    /// a snapshot never changes a result, only the time it takes.
    ///
    /// # Errors
    /// `invalid-argument` for a wrong name, `unavailable` past the deadline, `closed`.
    pub async fn load_snapshot(
        &self,
        stream: impl Into<String> + Send,
        schema: impl Into<String> + Send,
        at_or_before: Option<u64>,
    ) -> Result<Option<Snapshot>> {
        let (stream, schema) = (stream.into(), schema.into());
        let loaded = snapshot::load(Arc::clone(&self.shared), stream, schema, at_or_before.unwrap_or(u64::MAX)).await;
        loaded.map_err(|error| error.with_context("load_snapshot"))
    }
}
