//! Positions: the order of a namespace's log.

/// The highest position there can be: 2^53 − 1, the largest integer that every host language holds exactly.
pub const MAX_POSITION: u64 = (1 << 53) - 1;

/// Which way a read goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest to the highest.
    #[default]
    Forward,
    /// From the highest to the lowest.
    Backward,
}
