//! Reports on the database.

use super::EventStore;
use crate::diagnosis::Diagnosis;
use crate::error::Result;

impl EventStore {
    /// Reports on the database: server, durability, format, head and horizon of the log, the writers that hold readers
    /// back, and when subscriptions lost the database the last time.
    ///
    /// The report is for people and for monitoring. It only reads, and it reads its parts one after the other, so
    /// writers can come in between.
    ///
    /// # Errors
    /// `unavailable` past the deadline, `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// let store = streamkeep::EventStore::open("memory:").await?;
    /// let found = store.diagnose().await?;
    /// assert_eq!((found.server.as_str(), found.head), ("memory", 0));
    /// assert!(found.blockers.is_empty() && found.last_loss.is_none());
    /// # store.close().await }
    /// ```
    pub async fn diagnose(&self) -> Result<Diagnosis> {
        let deadline = self.deadline(None);
        let found =
            self.handle.run(deadline, move |namespace| async move { namespace.events.diagnose(deadline).await });
        let found = found.await.map_err(|error| error.with_operation("diagnose"))?;
        Ok(Diagnosis { last_loss: self.handle.namespace.tail.last_loss(), ..found })
    }
}
