//! What is done, how often, with what: `workload.json`, which every face reads.

use anyhow::{Context, Result};
use serde::Deserialize;

/// The rows of the table: an event's contents and the numbers of each row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    /// The events' type.
    pub(crate) r#type: String,
    /// About 200 bytes of data.
    pub(crate) data: String,
    /// About 100 bytes of metadata.
    pub(crate) metadata: String,
    /// Callers of one process in the row of many.
    pub(crate) callers: usize,
    /// Appends of one caller, in the row of one.
    pub(crate) lone_appends: u32,
    /// Streams the lone caller goes round.
    pub(crate) lone_streams: u32,
    /// Appends of each of the many.
    pub(crate) appends_per_caller: u32,
    /// Events of one stream a call, in the row of batches.
    pub(crate) batch_events: u32,
    /// Calls in the row of batches.
    pub(crate) batches: u32,
    /// The stream that is read.
    pub(crate) long_stream_events: u32,
    /// The log that is read.
    pub(crate) log_events: u32,
}

impl Workload {
    /// Reads it, for the whole life of the program: every task of it borrows from here.
    pub(crate) fn load() -> Result<&'static Self> {
        let read: Self = serde_json::from_str(include_str!("../workload.json")).context("workload.json")?;
        Ok(Box::leak(Box::new(read)))
    }
}
