//! The workload of every face: `workload.json`.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The contents of an event and the numbers of each row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Workload {
    /// The events' type.
    pub(crate) r#type: String,
    /// About 200 bytes of data.
    pub(crate) data: String,
    /// About 100 bytes of metadata.
    pub(crate) metadata: String,
    /// Callers of one process, in the row of many callers.
    pub(crate) callers: u32,
    /// Appends of the only caller, in the row of one caller.
    pub(crate) lone_appends: u32,
    /// Streams that the only caller appends to in turn.
    pub(crate) lone_streams: u32,
    /// Appends of each of the many callers.
    pub(crate) appends_per_caller: u32,
    /// Events of one stream per call, in the row of batches.
    pub(crate) batch_events: u32,
    /// Calls in the row of batches.
    pub(crate) batches: u32,
    /// Events of the long stream.
    pub(crate) long_stream_events: u32,
    /// Events of the log.
    pub(crate) log_events: u32,
    /// The numbers for the table beside the raw driver.
    pub(crate) beside_raw: BesideRaw,
}

/// The numbers of the rows that the faces do not have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BesideRaw {
    /// Events of one stream per call, in the row of great batches.
    pub(crate) great_batch_events: u32,
    /// Calls in the row of great batches.
    pub(crate) great_batches: u32,
    /// Processes that append to one log.
    pub(crate) processes: u32,
    /// Callers of each of them.
    pub(crate) callers_per_process: u32,
    /// How long they append.
    pub(crate) processes_ms: u64,
}

impl Workload {
    /// Reads the workload for the whole life of the program, because every task borrows from it. A slow server has its
    /// own numbers in a section that is named by the scheme of its URL.
    pub(crate) fn load(url: &str) -> Result<&'static Self> {
        let mut read: Map<String, Value> =
            serde_json::from_str(include_str!("../workload.json")).context("workload.json")?;
        let mut sections: Map<String, Value> =
            read.remove("of").map(serde_json::from_value).transpose()?.unwrap_or_default();
        let scheme = url.split([':', '+']).next().unwrap_or_default();
        if let Some(Value::Object(section)) = sections.remove(scheme) {
            read.extend(section);
        }
        Ok(Box::leak(Box::new(serde_json::from_value(Value::Object(read)).context("workload.json")?)))
    }
}
