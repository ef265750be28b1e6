//! How long random tests go on: as long as every change needs, or many times as long for `make torture`.

/// The variable with the number by which random tests multiply their events, cuts and sequences.
pub const EFFORT: &str = "STREAMKEEP_EFFORT";

/// The factor of this run: 1 unless [`EFFORT`] says another one.
///
/// # Panics
///
/// If the variable is not a positive number.
#[must_use]
pub fn effort() -> u32 {
    let parse = |text: String| text.parse().ok().filter(|effort| *effort > 0);
    std::env::var(EFFORT)
        .ok()
        .map_or(1, |text| parse(text).unwrap_or_else(|| panic!("{EFFORT} is a positive whole number")))
}
