//! An event store as a library: append, read, snapshot and subscribe, with one contract on memory, SQLite and Postgres.
//!
//! Start at [`EventStore`].

#![forbid(unsafe_code)]

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
