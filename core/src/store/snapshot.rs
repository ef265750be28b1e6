//! Saving and loading snapshots.

use std::sync::Arc;

use super::EventStore;
use crate::error::Result;
use crate::snapshot::{self, Snapshot};

impl EventStore {
    /// Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
    /// newer one.
    ///
    /// # Errors
    /// `invalid-argument` if `version` is 0 or above the stream's version, or if a name or the data is not allowed;
    /// `limit-exceeded`; `unavailable` past the deadline; `closed`.
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
        snapshot::save(&self.handle, snapshot, self.deadline(None))
            .await
            .map_err(|error| error.with_operation("save_snapshot"))
    }

    /// Loads the newest valid snapshot of a stream and schema, at or before a version if one is given.
    ///
    /// A snapshot that is not valid (its bytes are damaged, its version is past the stream's end, or the stream has
    /// another event at that version) is ignored, and an older one is used. So a snapshot never changes a result, it
    /// only saves time.
    ///
    /// # Errors
    /// `invalid-argument` for a name that is not allowed; `unavailable` past the deadline; `closed`.
    pub async fn load_snapshot(
        &self,
        stream: impl Into<String> + Send,
        schema: impl Into<String> + Send,
        at_or_before: Option<u64>,
    ) -> Result<Option<Snapshot>> {
        let (stream, schema) = (stream.into(), schema.into());
        let loaded = snapshot::load(
            Arc::clone(&self.handle),
            stream,
            schema,
            at_or_before.unwrap_or(u64::MAX),
            self.deadline(None),
        )
        .await;
        loaded.map_err(|error| error.with_operation("load_snapshot"))
    }
}
