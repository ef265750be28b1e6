//! Planted bugs of the queue that are whole functions. Only a faults build compiles them.

use super::{Shared, late_in_queue};
use crate::error::Result;
use crate::faults::point;
use crate::request::{AppendRequest, AppendResult};

/// `queue-drops-sent`: the append runs in the caller's future.
pub(super) async fn send_here(shared: &Shared, request: AppendRequest) -> Result<AppendResult> {
    point("queue-before-send").await;
    let answer = shared.backend.append(&[request]).await.pop();
    answer.unwrap_or_else(|| Err(late_in_queue()))
}
