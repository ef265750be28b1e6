//! An event store as a library: append, read, snapshot and subscribe, with one contract on memory, SQLite, Postgres and
//! MongoDB.
//!
//! Start at [`EventStore`]. A store is made from a URL: `memory:`, `memory:NAME`, `sqlite:PATH` (feature `sqlite`, on
//! by default), `postgres://…` (feature `postgres`), `mongodb://…` or `mongodb+srv://…` (feature `mongodb`).
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
//! // A decision that was based on an older state is refused, with the facts.
//! let late = store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::NoStream).await;
//! assert!(late.is_err_and(|error| matches!(error.kind(), ErrorKind::Conflict { actual: 1, .. })));
//!
//! let events: Vec<_> = store.read("order-42", ReadOptions::default()).try_collect().await?;
//! assert_eq!(events.len() as u64, at.version);
//! # store.close().await }
//! ```
//!
//! On every backend:
//!
//! - An append is stored completely or not at all. Of racing writers that expect the same version, one wins.
//!   Acknowledged means durable.
//! - After a reader of the log has seen a position, no event with a smaller position ever appears.
//! - JSON comes back byte for byte.
//! - Repeating an append of the same [`Event`]s is safe, whatever happened to the first attempt.
//! - Every future can be dropped at any time.

#![deny(unsafe_code)]

mod append_queue;
mod backend;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod combiner;
mod database;
mod deadline;
mod decision;
mod diagnosis;
mod engine;
mod error;
mod event;
#[cfg(not(streamkeep_faults))]
#[allow(dead_code, reason = "not every backend uses them")]
mod faults;
#[cfg(streamkeep_faults)]
#[allow(missing_docs, dead_code, reason = "never part of a published build")]
pub mod faults;
mod format;
mod handle;
mod hints;
mod id;
pub mod limits;
mod namespace;
mod options;
mod per_process;
mod plan;
mod position;
mod pull;
mod query;
mod read;
mod request;
mod snapshot;
mod store;
mod stream;
mod subscription;
mod tail;
mod url;
mod value;
mod version;
mod window;

pub use crate::diagnosis::{Blocker, Diagnosis, Loss};
pub use crate::error::{Error, ErrorKind, Outcome, Result};
pub use crate::event::{CAUSATION_ID, CORRELATION_ID, CREATED_BY, Event, ImportEvent, Payload, RecordedEvent};
pub use crate::id::new_id;
pub use crate::options::{
    AppendOptions, Durability, OpenOptions, Pooler, ReadAllOptions, ReadOptions, ReadPageOptions, Start,
    SubscribeOptions,
};
pub use crate::position::{Direction, MAX_POSITION};
pub use crate::query::{Query, QueryItem};
pub use crate::read::{Events, Page};
pub use crate::request::{AppendResult, ImportResult};
pub use crate::snapshot::Snapshot;
pub use crate::store::EventStore;
pub use crate::stream::category;
pub use crate::subscription::{Batch, Item, Stopper, Subscription};
pub use crate::value::json_text;
pub use crate::version::ExpectedVersion;

/// The examples of `README.md` are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
