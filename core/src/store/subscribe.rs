//! Subscribing.

use std::sync::Arc;

use super::EventStore;
use crate::options::SubscribeOptions;
use crate::subscription::Subscription;

impl EventStore {
    /// Subscribes to the log: gives every committed event that matches, once, in the order of positions. It first
    /// catches up and then goes on with new events, whichever process writes them.
    ///
    /// The reader pulls the events, so a slow reader slows down only itself. No connection is held between pages, and
    /// dropping the subscription ends it. A lost notification delays an event by at most the poll interval. When the
    /// database is lost, the subscription reconnects and goes on.
    ///
    /// # Errors
    /// From the subscription: `invalid-argument` when `start` and `after` are both given, `closed`, `corrupt`,
    /// `config`, and `checkpoint-ahead` if `after` is above every position of the log. Nothing else ends it.
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
        Subscription::new(Arc::clone(&self.handle), options)
    }
}
