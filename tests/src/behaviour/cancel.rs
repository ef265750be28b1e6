//! Rule 6: a cancelled append is whole or absent, and its connection stays usable.

use std::time::Duration;

use futures::future::select_all;
use streamkeep::ExpectedVersion;

use super::{append, events, log, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_cancelled_append_is_whole_or_absent,
        a_cancelled_append_can_be_retried,
        cancelled_reads_keep_no_connection
    ]
}

/// Cancels after no poll, after the first poll, and after times in microseconds at which an append can be anywhere.
const WAITS: [u64; 6] = [0, 20, 100, 400, 1_500, 4_000];

async fn a_cancelled_append_is_whole_or_absent(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("the store opens");
    for round in 0..30_u64 {
        let wait = Duration::from_micros(WAITS[usize::try_from(round).expect("the number fits") % WAITS.len()]);
        let name = format!("s-{round}");
        // An error means that the append was cancelled; the next append shows which of them were written.
        let _ = tokio::time::timeout(wait, store.append(name.as_str(), events(3), ExpectedVersion::NoStream)).await;
    }
    // A later append that is acknowledged shows that the connection is usable.
    append(&store, "last", events(1)).await;
    store.close().await.expect("close waits for the appends that were sent");
    let store = if room.backend() == crate::harness::Backend::Memory { return } else { room.store().await };
    let recorded = log(&store).await;
    for round in 0..30 {
        let written = recorded.iter().filter(|event| event.stream == format!("s-{round}")).count();
        assert!(written == 0 || written == 3, "{written} of 3 events of s-{round}");
    }
    assert_eq!(recorded.last().map(|event| event.stream.as_str()), Some("last"));
}

async fn a_cancelled_append_can_be_retried(room: Room) {
    let store = room.store().await;
    for wait in WAITS {
        let sent = events(2);
        let name = format!("s-{wait}");
        let _ = tokio::time::timeout(
            Duration::from_micros(wait),
            store.append(name.as_str(), sent.clone(), ExpectedVersion::NoStream),
        )
        .await;
        let again = store.append(name.as_str(), sent, ExpectedVersion::NoStream).await.expect("the retry commits");
        assert_eq!(again.version, 2);
        assert_eq!(stream(&store, &name).await.len(), 2);
    }
}

async fn cancelled_reads_keep_no_connection(room: Room) {
    let store = room.options().max_connections(2).open().await.expect("the store opens");
    append(&store, "s", events(2_000)).await;
    for _ in 0..20 {
        // The first read that ends cancels the others.
        let heads = (0..4).map(|_| Box::pin(store.head()));
        select_all(heads).await.0.expect("the head is read");
        drop(tokio::time::timeout(Duration::from_micros(50), store.read("s", 1..).next_page()).await);
    }
    assert_eq!(stream(&store, "s").await.len(), 2_000);
    append(&store, "s", events(1)).await;
}
