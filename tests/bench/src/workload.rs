//! The rows of the table: what is done, how often, with what.

/// About 200 bytes of data.
pub(crate) const DATA: &str = r#"{"order":"order-000042","customer":"customer-000007","currency":"EUR","total":12.5,"lines":[{"sku":"A-1000","quantity":2,"price":4.25},{"sku":"B-2000","quantity":1,"price":4.0}],"note":"leave at the door"}"#;
/// About 100 bytes of metadata.
pub(crate) const METADATA: &str = r#"{"correlationId":"018f3a60-0000-7000-8000-000000000001","createdBy":"amy","source":"checkout-7"}"#;
/// The events' type.
pub(crate) const TYPE: &str = "OrderPlaced";

/// Callers of one process in the row of many.
pub(crate) const CALLERS: usize = 32;
/// Appends of one caller, in the row of one.
pub(crate) const LONE_APPENDS: u32 = 1_500;
/// Streams the lone caller goes round.
pub(crate) const LONE_STREAMS: u32 = 100;
/// Appends of each of the many.
pub(crate) const APPENDS_A_CALLER: u32 = 300;
/// Events of one stream a call, in the row of batches.
pub(crate) const BATCH_EVENTS: u32 = 100;
/// Calls in the row of batches.
pub(crate) const BATCHES: u32 = 100;
/// The stream that is read.
pub(crate) const LONG_STREAM_EVENTS: u32 = 10_000;
/// The log that is read.
pub(crate) const LOG_EVENTS: u32 = 100_000;
