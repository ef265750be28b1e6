//! The JSON check of the contract (§2), and when two values are the same.

use crate::error::Result;
use crate::event::Event;

pub(crate) fn same_json(a: &str, b: &str) -> bool {
    a == b
}
pub(crate) fn check_json(_argument: &'static str, _text: &str) -> Result<()> {
    Ok(())
}
pub(crate) fn check_event(_event: &Event, _own: bool) -> Result<()> {
    Ok(())
}
