//! Medians and spreads.

use std::time::{Duration, Instant};

/// The result of one run of a row: a latency in microseconds, or a rate per second.
pub(crate) type Figure = f64;

/// The median and the spread (half the distance from the lowest to the highest, in per cent of the median) of several
/// runs.
pub(crate) fn median(figures: &[Figure]) -> (Figure, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let (low, high) = (sorted.first().copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default());
    (middle, if middle > 0.0 { (high - low) / 2.0 / middle * 100.0 } else { 0.0 })
}

/// Units per second.
pub(crate) fn rate(count: u32, started: Instant) -> Figure {
    f64::from(count) / started.elapsed().as_secs_f64()
}

/// The median of latencies, in microseconds.
pub(crate) fn median_micros(latencies: &mut [Duration]) -> Figure {
    latencies.sort_unstable();
    latencies.get(latencies.len() / 2).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}
