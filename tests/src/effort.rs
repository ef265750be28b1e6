//! How long random tests run: briefly for every change, or many times as long for `make torture`.

/// The variable with the factor by which random tests multiply their events, cuts and sequences.
pub const EFFORT: &str = "STREAMKEEP_EFFORT";

/// The factor of this run: 1 unless [`EFFORT`] is set.
///
/// # Panics
///
/// If the variable is not a positive number.
#[must_use]
pub fn effort() -> u32 {
    let parse = |text: String| text.parse().ok().filter(|effort| *effort > 0);
    std::env::var(EFFORT)
        .ok()
        .map_or(1, |text| parse(text).unwrap_or_else(|| panic!("{EFFORT} must be a positive whole number")))
}
