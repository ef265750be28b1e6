//! An event store as a library: append, read, snapshot and subscribe, with one contract on memory, SQLite, Postgres and MongoDB.
//!
//! Start at [`EventStore`]. A store is made from a URL: `memory:`, `memory:NAME`, `sqlite:PATH` (feature `sqlite`, on by default),
//! `postgres://…` (feature `postgres`), `mongodb://…` or `mongodb+srv://…` (feature `mongodb`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
//! use futures::TryStreamExt;
//! use streamkeep::{ErrorKind, Event, EventStore, ExpectedVersion, ReadOptions};
//!
//! let store = EventStore::open("memory:").await?;
//! let placed = Event::json("OrderPlaced", &serde_json::json!({"total": 12.5}))?;
//! let at = store.append("order-42", [placed], ExpectedVersion::NoStream).await?;
//!
//! // Somebody else's decision on what they saw before: refused, with the facts.
//! let late = store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::NoStream).await;
//! assert!(late.is_err_and(|error| matches!(error.kind(), ErrorKind::Conflict { actual: 1, .. })));
//!
//! let events: Vec<_> = store.read("order-42", ReadOptions::default()).try_collect().await?;
//! assert_eq!(events.len() as u64, at.version);
//! # store.close().await }
//! ```
//!
//! What holds on every backend:
//!
//! - An append is whole or absent; of racing writers that expect the same version one wins; acknowledged means durable.
//! - A reader of the log that has seen a position never sees a smaller one appear.
//! - JSON comes back byte for byte.
//! - Repeating an append of the same [`Event`]s is safe, whatever became of the first attempt.
//! - Every future can be dropped at any time.

#![deny(unsafe_code)]

mod append_queue;
mod backend;
mod decision;
mod error;
mod event;
#[cfg(not(streamkeep_faults))]
#[allow(dead_code, reason = "which backends are built decides who asks")]
mod faults;
#[cfg(streamkeep_faults)]
#[allow(missing_docs, dead_code, reason = "never part of a published build")]
pub mod faults;
mod hints;
mod id;
pub mod limits;
mod options;
mod position;
mod query;
mod read;
mod snapshot;
mod store;
mod stream;
mod subscription;
mod url;
mod value;
mod version;

pub use crate::error::{Error, ErrorKind, Outcome, Result};
pub use crate::event::{CAUSATION_ID, CORRELATION_ID, CREATED_BY, Event, ImportEvent, Payload, RecordedEvent};
pub use crate::id::new_id;
pub use crate::options::{AppendOptions, ReadAllOptions, ReadOptions, ReadPageOptions, Start, SubscribeOptions};
pub use crate::position::{Direction, MAX_POSITION};
pub use crate::query::{Query, QueryItem};
pub use crate::read::Events;
pub use crate::store::{AppendResult, Durability, EventStore, ImportResult, OpenOptions, Page, Snapshot};
pub use crate::stream::category;
pub use crate::subscription::{Batch, Item, Stopper, Subscription};
pub use crate::value::json_text;
pub use crate::version::ExpectedVersion;
