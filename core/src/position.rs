//! Positions, which order a namespace's log.

/// The highest possible position: 2^53 − 1, the largest integer that is exact in every language.
pub const MAX_POSITION: u64 = (1 << 53) - 1;

/// The direction of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest to the highest.
    #[default]
    Forward,
    /// From the highest to the lowest.
    Backward,
}
