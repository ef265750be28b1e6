//! The diagnosis of a store.

use streamkeep::Durability;

use super::{append, event, events};
use crate::harness::{Backend, Room};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![a_diagnosis_reports_the_head_of_the_log]
}

async fn a_diagnosis_reports_the_head_of_the_log(room: Room) {
    let store = room.store().await;
    let empty = store.diagnose().await.expect("the diagnosis succeeds");
    assert_eq!((empty.head, empty.blockers.len(), empty.last_loss), (0, 0, None));
    append(&store, "s", events(2)).await;
    let done = append(&store, "s", [event(3)]).await;
    let found = store.diagnose().await.expect("the diagnosis succeeds");
    assert_eq!((found.head, found.blockers.len()), (done.position, 0));
    assert!(found.horizon >= found.head, "{found:?}");
    let (server, kept, format) = match room.backend() {
        Backend::Memory => ("memory", Durability::Relaxed, 0),
        Backend::Sqlite => ("SQLite 3.", Durability::Full, 1),
        Backend::Postgres => ("PostgreSQL ", Durability::Full, 1),
        Backend::Mongodb => ("MongoDB ", Durability::Full, 1),
    };
    assert!(found.server.starts_with(server), "{found:?}");
    assert_eq!((found.format.min(1), found.settings.is_empty()), (format, room.backend() == Backend::Memory));
    // A test server may be configured to lose events, and the store is then opened with relaxed durability.
    if room.backend() != Backend::Postgres {
        assert_eq!(found.durability, kept, "{found:?}");
    }
}
