//! The horizon: the position up to which the log is complete. No event is added at or below it any more.
//!
//! Let `h` be the sequence's last value, read first. Each writer that drew a position up to `h` took its announcement's
//! lock before that. When the locks are listed next, the writer either still holds its lock and is listed, or its
//! transaction has ended and every later snapshot sees it. So the horizon is `h`, or the lowest listed floor below it.

use std::cmp::Ordering as Cmp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Failure;
use super::row::number;
use crate::faults::planted;

/// The bits of a change mark that hold a position.
const POSITION_BITS: u32 = 53;
/// Set in marks that differ from every other mark.
const NEVER_THE_SAME: u64 = 1 << 63;

/// The sequence and the announcements at one moment. Never leaves the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizon {
    /// The highest position drawn so far.
    pub(super) drawn: u64,
    /// The horizon itself: up to here the log is complete.
    pub(super) until: u64,
}

impl Horizon {
    /// Reads the rows of the two statements of [`super::names::horizon`].
    pub(super) fn read(rows: &[PgRow]) -> Result<Self, Failure> {
        let Some((first, announced)) = rows.split_first() else {
            return Err(Failure::Unreadable("the horizon".to_owned()));
        };
        let drawn = number(first, 0)?;
        let keys = announced.iter().map(|row| Ok(row.try_get::<i64, _>(0)?)).collect::<Result<Vec<i64>, Failure>>()?;
        Ok(Self::new(drawn, &keys))
    }

    fn new(drawn: u64, keys: &[i64]) -> Self {
        if planted("postgres-naive-reader") {
            return Self { drawn, until: drawn };
        }
        let floor = keys.iter().map(|key| floor(drawn, *key)).min().unwrap_or(drawn);
        Self { drawn, until: drawn.min(floor) }
    }
}

/// The floor that a lock's key stands for. The key is the floor's low 32 bits; the floor is the nearest such position
/// to `drawn`, below or above it.
pub(super) fn floor(drawn: u64, key: i64) -> u64 {
    let distance = (key.cast_unsigned().wrapping_sub(drawn) & u64::from(u32::MAX)).cast_signed();
    let signed = if distance > i64::from(i32::MAX) && !planted("postgres-unsigned-distance") {
        distance - (1_i64 << 32)
    } else {
        distance
    };
    drawn.saturating_add_signed(signed)
}

/// What one store's readers of a namespace have learned, shared between them.
#[derive(Debug, Default)]
pub(super) struct Known {
    reached: Mutex<Reached>,
    /// Whether the last horizon was below the last drawn position. Readers may then get more when a writer ends,
    /// although that changes no sequence.
    held_back: AtomicBool,
    /// How often `held_back` became false again.
    released: AtomicU64,
    /// Numbers the marks that are made while `held_back` is true.
    asked: AtomicU64,
}

/// The highest committed position at or below a horizon. Pages up to it need no new horizon.
///
/// It is valid in one generation of the pool only. After a connection is made or lost, the server may be one restored
/// from a backup, where a writer can still add events below it.
#[derive(Debug, Default)]
struct Reached {
    generation: u64,
    position: u64,
}

impl Known {
    fn reached_lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest position known in a generation of the pool; 0 if none is known.
    pub(super) fn reached(&self, generation: u64) -> u64 {
        let reached = self.reached_lock();
        if reached.generation == generation { reached.position } else { 0 }
    }

    /// Records a committed position at or below a horizon, learned in a generation of the pool.
    pub(super) fn record_committed(&self, committed: u64, generation: u64) {
        let mut reached = self.reached_lock();
        match reached.generation.cmp(&generation) {
            Cmp::Less => *reached = Reached { generation, position: committed },
            Cmp::Equal => reached.position = reached.position.max(committed),
            Cmp::Greater => {}
        }
    }

    pub(super) fn record_horizon(&self, horizon: Horizon) {
        {
            let mut reached = self.reached_lock();
            if reached.position > horizon.drawn {
                // The database was restored from a backup, or another reader saw a later horizon. The next page reads
                // the horizon again.
                reached.position = 0;
            }
        }
        let held_back = horizon.until < horizon.drawn;
        if self.held_back.swap(held_back, Ordering::AcqRel) && !held_back {
            self.released.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The change mark for `drawn`, the sequence's last value. It differs from the last mark whenever there may be more
    /// to read.
    pub(super) fn mark(&self, drawn: u64) -> u64 {
        if self.held_back.load(Ordering::Acquire) {
            return NEVER_THE_SAME | self.asked.fetch_add(1, Ordering::AcqRel);
        }
        let released = self.released.load(Ordering::Acquire) & (u64::MAX >> (POSITION_BITS + 1));
        (released << POSITION_BITS) | drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A position's key as the server lists it: an unsigned 32-bit number.
    fn key(position: u64) -> i64 {
        i64::from(u32::try_from(position & u64::from(u32::MAX)).unwrap_or_default())
    }

    #[test]
    fn floors_are_found_on_both_sides_of_every_wrap_of_32_bits() {
        for turn in [0, 1 << 31, 1 << 32, 3 << 31, 1 << 40, (1 << 53) - 1_000] {
            for drawn in turn..turn + 3 {
                for back in [0, 1, 2, 1_000, 2_000_000_000] {
                    let floor = u64::saturating_sub(drawn, back);
                    assert_eq!(Horizon::new(drawn, &[key(floor)]), Horizon { drawn, until: floor }, "{drawn} {floor}");
                }
                assert_eq!(
                    Horizon::new(drawn, &[key(drawn + 7)]).until,
                    drawn,
                    "a floor above the last drawn position limits no reader"
                );
            }
        }
    }

    #[test]
    fn the_lowest_floor_counts() {
        assert_eq!(Horizon::new(100, &[key(90), key(40), key(100)]).until, 40);
        assert_eq!(Horizon::new(100, &[]).until, 100);
    }

    #[test]
    fn what_is_known_is_forgotten_with_its_generation_and_when_less_was_drawn() {
        let known = Known::default();
        known.record_committed(100, 1);
        assert_eq!((known.reached(1), known.reached(2)), (100, 0));
        known.record_committed(80, 2);
        known.record_committed(100, 1);
        assert_eq!((known.reached(1), known.reached(2)), (0, 80), "an answer of an earlier generation does not count");
        known.record_horizon(Horizon { drawn: 79, until: 79 });
        assert_eq!(known.reached(2), 0);
    }

    #[test]
    fn a_mark_changes_when_positions_are_drawn_and_when_readers_are_no_longer_held_back() {
        let known = Known::default();
        known.record_horizon(Horizon { drawn: 5, until: 5 });
        assert_eq!(known.mark(5), known.mark(5));
        assert_ne!(known.mark(5), known.mark(6));
        let before = known.mark(5);
        known.record_horizon(Horizon { drawn: 5, until: 3 });
        assert_ne!(known.mark(5), known.mark(5), "a writer that ends changes no sequence");
        known.record_horizon(Horizon { drawn: 5, until: 5 });
        assert_eq!(known.mark(5), known.mark(5));
        assert_ne!(known.mark(5), before);
    }
}
