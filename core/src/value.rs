//! The JSON check of the contract (§2), and when two values are the same.

use crate::error::Result;

pub(crate) fn same_json(_a: &str, _b: &str) -> bool {
    unimplemented!("helper")
}
pub(crate) fn check_json(_argument: &'static str, _text: &str) -> Result<()> {
    unimplemented!("helper")
}
