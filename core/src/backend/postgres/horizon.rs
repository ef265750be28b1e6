//! How far the log may be read: nobody can any more come in at or below the horizon.
//!
//! A writer announces, before it draws positions, that it is about to draw above a floor, by a lock that it holds to
//! its end. So whoever drew a position up to `h`, the sequence's last value, had announced itself before `h` was read:
//! afterwards it is still listed, or done and visible to any later snapshot.

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
/// Set in the marks that are each another number.
const NEVER_THE_SAME: u64 = 1 << 63;

/// What one look at the sequence and the announcements gave. Never leaves the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Horizon {
    /// The highest position ever drawn.
    pub(super) drawn: u64,
    /// Up to here the log is complete.
    pub(super) until: u64,
}

impl Horizon {
    /// From the answers of the two statements, read in their order.
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

/// The position that a lock's key, its low 32 bits, stands for: the nearest to `drawn` on either side.
pub(super) fn floor(drawn: u64, key: i64) -> u64 {
    let distance = (key.cast_unsigned().wrapping_sub(drawn) & u64::from(u32::MAX)).cast_signed();
    let signed = if distance > i64::from(i32::MAX) && !planted("postgres-unsigned-distance") {
        distance - (1_i64 << 32)
    } else {
        distance
    };
    drawn.saturating_add_signed(signed)
}

/// What a store's readers of a namespace know in common.
#[derive(Debug, Default)]
pub(super) struct Known {
    reached: Mutex<Reached>,
    /// Whether the last horizon lay below what was drawn: a writer that ends then changes no sequence.
    held_back: AtomicBool,
    /// How often that ended.
    released: AtomicU64,
    asked: AtomicU64,
}

/// The highest committed position at or below a horizon: pages up to it ask nobody.
///
/// It holds for one generation of the pool. After a connection is made or lost, the server may be one that was set back,
/// where a writer can still come in below what was known before.
#[derive(Debug, Default)]
struct Reached {
    generation: u64,
    position: u64,
}

impl Known {
    fn reached_lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest position known in a generation of the pool; 0 if nothing is.
    pub(super) fn reached(&self, generation: u64) -> u64 {
        let reached = self.reached_lock();
        if reached.generation == generation { reached.position } else { 0 }
    }

    /// Notes a committed position at or below a horizon, learned in a generation of the pool.
    pub(super) fn saw(&self, committed: u64, generation: u64) {
        let mut reached = self.reached_lock();
        match reached.generation.cmp(&generation) {
            Cmp::Less => *reached = Reached { generation, position: committed },
            Cmp::Equal => reached.position = reached.position.max(committed),
            Cmp::Greater => {}
        }
    }

    pub(super) fn looked(&self, horizon: Horizon) {
        {
            let mut reached = self.reached_lock();
            if reached.position > horizon.drawn {
                // The database was set back, or another look was later and saw more. Either way the next page asks.
                reached.position = 0;
            }
        }
        let held_back = horizon.until < horizon.drawn;
        if self.held_back.swap(held_back, Ordering::AcqRel) && !held_back {
            self.released.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The mark of a moment at which `drawn` was the sequence's last value: another one whenever there may be more to
    /// read.
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

    /// The key as the server lists it: an unsigned 32-bit number.
    fn key(position: u64) -> i64 {
        i64::from(u32::try_from(position & u64::from(u32::MAX)).unwrap_or_default())
    }

    #[test]
    fn floors_are_found_on_both_sides_of_every_turn_of_32_bits() {
        for turn in [0, 1 << 31, 1 << 32, 3 << 31, 1 << 40, (1 << 53) - 1_000] {
            for drawn in turn..turn + 3 {
                for back in [0, 1, 2, 1_000, 2_000_000_000] {
                    let floor = u64::saturating_sub(drawn, back);
                    assert_eq!(Horizon::new(drawn, &[key(floor)]), Horizon { drawn, until: floor }, "{drawn} {floor}");
                }
                assert_eq!(
                    Horizon::new(drawn, &[key(drawn + 7)]).until,
                    drawn,
                    "a floor above what was drawn holds nobody back"
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
        known.saw(100, 1);
        assert_eq!((known.reached(1), known.reached(2)), (100, 0));
        known.saw(80, 2);
        known.saw(100, 1);
        assert_eq!((known.reached(1), known.reached(2)), (0, 80), "an answer of before does not count");
        known.looked(Horizon { drawn: 79, until: 79 });
        assert_eq!(known.reached(2), 0);
    }

    #[test]
    fn a_mark_changes_when_positions_are_drawn_and_when_readers_are_no_longer_held_back() {
        let known = Known::default();
        known.looked(Horizon { drawn: 5, until: 5 });
        assert_eq!(known.mark(5), known.mark(5));
        assert_ne!(known.mark(5), known.mark(6));
        let before = known.mark(5);
        known.looked(Horizon { drawn: 5, until: 3 });
        assert_ne!(known.mark(5), known.mark(5), "a writer that ends changes no sequence");
        known.looked(Horizon { drawn: 5, until: 5 });
        assert_eq!(known.mark(5), known.mark(5));
        assert_ne!(known.mark(5), before);
    }
}
