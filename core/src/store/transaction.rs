//! Appending inside a transaction of the caller's own: Rust and Postgres only.

use std::sync::Arc;

use super::EventStore;
use super::append::check_append;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::version::ExpectedVersion;

impl EventStore {
    /// Appends to a stream inside a transaction of the caller's own, so that events and the caller's rows are committed together or not at all.
    ///
    /// Answers the events' versions; positions exist only once the transaction commits. Readers of the log wait for the transaction's end, and so does whoever
    /// appends to the same stream: keep it short. Repeating is safe as with [`EventStore::append`]. A refusal leaves the transaction as it was, and usable.
    ///
    /// # Errors
    /// As [`EventStore::append`]; `config` when the store is not on Postgres; `invalid-argument` when the transaction is not READ COMMITTED or is on another database.
    pub async fn append_in(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        stream: impl Into<String> + Send,
        events: impl IntoIterator<Item = Event> + Send,
        expected: impl Into<ExpectedVersion> + Send,
    ) -> Result<Vec<u64>> {
        let (stream, events, expected): (String, Arc<[Event]>, ExpectedVersion) = (stream.into(), events.into_iter().collect(), expected.into());
        self.shared.check_open()?;
        check_append(&stream, &events)?;
        let Some(postgres) = &self.shared.backend.postgres else { return Err(Error::config("append_in works on Postgres alone")) };
        let ids = events.iter().map(|event| event.id).collect();
        postgres.append_in(transaction, &stream, expected, events).await.map_err(|error| error.with_ids(ids).with_context("append_in"))
    }
}
