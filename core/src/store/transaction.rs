//! Appends inside a transaction of the caller, in Rust on Postgres.

use std::any::Any;
use std::sync::Arc;

use super::EventStore;
use super::append::{check_append, ids};
use crate::backend::postgres::Postgres;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::version::ExpectedVersion;

impl EventStore {
    /// Appends to a stream inside a transaction of the caller. The events and the caller's own rows are then committed
    /// together or not at all.
    ///
    /// Returns the versions of the events. Readers of the log wait for the end of the transaction, and so do appends to
    /// the same stream: keep it short. Repeating is safe as with [`EventStore::append`]. After a refusal the
    /// transaction is as it was before and can go on.
    ///
    /// # Errors
    /// As [`EventStore::append`]; `config` if the store is not on Postgres; `invalid-argument` if the transaction is
    /// not READ COMMITTED or is on another database.
    pub async fn append_in(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        stream: impl Into<String> + Send,
        events: impl IntoIterator<Item = Event> + Send,
        expected: impl Into<ExpectedVersion> + Send,
    ) -> Result<Vec<u64>> {
        let (stream, events, expected): (String, Arc<[Event]>, ExpectedVersion) =
            (stream.into(), events.into_iter().collect(), expected.into());
        let appended = self.append_in_checked(transaction, &stream, Arc::clone(&events), expected).await;
        appended.map_err(|error| error.with_ids(ids(&events)).with_operation("append_in"))
    }

    async fn append_in_checked(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        stream: &str,
        events: Arc<[Event]>,
        expected: ExpectedVersion,
    ) -> Result<Vec<u64>> {
        self.handle.check_open()?;
        check_append(stream, &events)?;
        let events_backend: &dyn Any = &*self.handle.namespace.events;
        let Some(postgres) = events_backend.downcast_ref::<Postgres>() else {
            return Err(Error::config("append_in needs a store on Postgres"));
        };
        postgres.append_in(transaction, stream, expected, events, self.deadline(None)).await
    }
}
