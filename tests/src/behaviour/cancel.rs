//! Rule 6: a cancelled append is whole or absent, and leaves no connection in a bad state.

use std::time::Duration;

use futures::future::select_all;
use streamkeep::ExpectedVersion;

use super::{append, events, log, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_cancelled_append_is_whole_or_absent,
        what_was_cancelled_can_be_sent_again,
        cancelled_reads_leave_the_pool_as_it_was
    ]
}

/// Cuts after nothing, after a first poll, and after times in which an append may be anywhere.
const CUTS: [u64; 6] = [0, 20, 100, 400, 1_500, 4_000];

async fn a_cancelled_append_is_whole_or_absent(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("the store");
    for round in 0..30_u64 {
        let cut = Duration::from_micros(CUTS[usize::try_from(round).expect("small") % CUTS.len()]);
        let name = format!("s-{round}");
        // An error is a cut; which of them were written is what follows.
        let _ = tokio::time::timeout(cut, store.append(name.as_str(), events(3), ExpectedVersion::NoStream)).await;
    }
    // One that is acknowledged after them shows that the connection is good.
    append(&store, "last", events(1)).await;
    store.close().await.expect("what was sent runs on, and is waited for");
    let store = if room.backend() == crate::harness::Backend::Memory { return } else { room.store().await };
    let recorded = log(&store).await;
    for round in 0..30 {
        let written = recorded.iter().filter(|event| event.stream == format!("s-{round}")).count();
        assert!(written == 0 || written == 3, "{written} of 3 events of s-{round}");
    }
    assert_eq!(recorded.last().map(|event| event.stream.as_str()), Some("last"));
}

async fn what_was_cancelled_can_be_sent_again(room: Room) {
    let store = room.store().await;
    for cut in CUTS {
        let sent = events(2);
        let name = format!("s-{cut}");
        let _ = tokio::time::timeout(
            Duration::from_micros(cut),
            store.append(name.as_str(), sent.clone(), ExpectedVersion::NoStream),
        )
        .await;
        let again = store.append(name.as_str(), sent, ExpectedVersion::NoStream).await.expect("written now, or known");
        assert_eq!(again.version, 2);
        assert_eq!(stream(&store, &name).await.len(), 2);
    }
}

async fn cancelled_reads_leave_the_pool_as_it_was(room: Room) {
    let store = room.options().max_connections(2).open().await.expect("the store");
    append(&store, "s", events(2_000)).await;
    for _ in 0..20 {
        // The first to end takes the others with it.
        let heads = (0..4).map(|_| Box::pin(store.head()));
        select_all(heads).await.0.expect("a head");
        drop(tokio::time::timeout(Duration::from_micros(50), store.read("s", 1..).next_page()).await);
    }
    assert_eq!(stream(&store, "s").await.len(), 2_000);
    append(&store, "s", events(1)).await;
}
