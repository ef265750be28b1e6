//! Planted bugs of the Postgres backend that are whole functions. Only a faults build compiles them.

use sqlx::SqlStr;

use super::names::{BEGIN, LockClass, Names, announcement, safe};

/// `postgres-check-after-draw`, the first step: it announces and draws before another statement reads the streams'
/// versions.
pub(super) fn draw_first(names: &Names, class: LockClass) -> SqlStr {
    let (last_value, sequence) = (names.last_value(), names.sequence());
    safe(format!(
        "{BEGIN}select {}; select set_config('streamkeep.drawn', nextval({sequence})::text, true)",
        announcement(class, &last_value)
    ))
}
