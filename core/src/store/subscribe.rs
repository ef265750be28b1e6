//! Subscribing.

use std::sync::Arc;

use super::EventStore;
use crate::options::SubscribeOptions;
use crate::subscription::Subscription;

impl EventStore {
    /// Follows the log: every committed event that matches, once, in position order, first what is there, then what comes, whichever process wrote it.
    ///
    /// The subscription is pulled: a slow reader slows itself alone, no connection is held between pages, dropping it ends it.
    /// A lost notification delays an event by at most the poll interval. It outlives the loss of the database.
    ///
    /// # Errors
    /// From the subscription: `invalid-argument` when `start` and `after` are both given, `closed`, `corrupt`, `config`, and `checkpoint-ahead` when `after` lies above
    /// anything the log ever had. Nothing else ends it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use futures::TryStreamExt;
    /// use streamkeep::{Event, EventStore, ExpectedVersion, Item, SubscribeOptions};
    /// let store = EventStore::open("memory:").await?;
    /// store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::Any).await?;
    /// let mut subscription = store.subscribe(SubscribeOptions::default());
    /// while let Some(item) = subscription.try_next().await? {
    ///     match item {
    ///         Item::Event(event) => assert_eq!(event.position, 1),
    ///         Item::CaughtUp => break,
    ///     }
    /// }
    /// # store.close().await }
    /// ```
    pub fn subscribe(&self, options: SubscribeOptions) -> Subscription {
        Subscription::new(Arc::clone(&self.shared), options)
    }
}
