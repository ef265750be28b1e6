//! An open transaction blocks its own streams and no other.

use std::time::{Duration, Instant};

use futures::future::join_all;
use streamkeep::{AppendOptions, EventStore, ExpectedVersion, Outcome};

use super::{append, block, event, run, session, until_one_waits};
use crate::cases;
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    cases![
        an_open_transaction_blocks_only_its_own_stream,
        an_append_blocked_past_its_deadline_is_not_applied,
        one_connection_serves_others_while_a_stream_is_blocked,
        an_open_transaction_over_many_streams_slows_no_other_stream,
        an_append_refused_until_its_deadline_is_not_applied,
        a_blocked_contended_stream_slows_no_other_contended_stream,
    ]
}

async fn an_open_transaction_blocks_only_its_own_stream(room: Room) {
    let store = room.store().await;
    let (mut blocker, mut watcher) = (session(&room).await, session(&room).await);
    block(&mut blocker, &room, "held", 1).await;
    let held = tokio::spawn({
        let store = store.clone();
        async move { append(&store, "held").await }
    });
    until_one_waits(&mut watcher, &room).await;
    // More appends than there are lanes, so that some share a group with another append to the blocked stream.
    let also_held = tokio::spawn({
        let store = store.clone();
        async move { append(&store, "held").await }
    });
    let others = join_all((0..200).map(|n| {
        let store = store.clone();
        async move { append(&store, &format!("free-{n}")).await }
    }));
    others.await;
    assert!(!held.is_finished() && !also_held.is_finished(), "the blocked appends still wait");
    run(&mut blocker, "rollback".to_owned()).await;
    held.await.expect("the blocked append commits");
    also_held.await.expect("the other blocked append commits");
}

/// The median time of sequential appends to a free stream.
async fn median_of_appends(store: &EventStore) -> Duration {
    let mut took = Vec::new();
    for _ in 0..41 {
        let began = Instant::now();
        append(store, "free").await;
        took.push(began.elapsed());
    }
    took.sort();
    took[took.len() / 2]
}

async fn an_open_transaction_over_many_streams_slows_no_other_stream(room: Room) {
    /// A busy machine takes this long by chance; a lane that waits for a lock takes much longer.
    const SLOW: Duration = Duration::from_millis(60);
    let store = room.store().await;
    let schema = format!("streamkeep_{}", room.namespace());
    let (mut blocker, mut watcher) = (session(&room).await, session(&room).await);
    let undisturbed = median_of_appends(&store).await;
    for streams in [5, 50] {
        run(
            &mut blocker,
            format!(
                "begin; insert into {schema}.events (position, stream, version, id, type, data, recorded_at, size) \
                 select nextval('{schema}.positions'), 'held-{streams}-' || n, 1, gen_random_uuid(), 'Foreign', '{{}}', now(), 1 \
                 from generate_series(1, {streams}) as n"
            ),
        )
        .await;
        let held: Vec<_> = (1..=streams)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { append(&store, &format!("held-{streams}-{n}")).await })
            })
            .collect();
        until_one_waits(&mut watcher, &room).await;
        let disturbed = median_of_appends(&store).await;
        println!("{streams} streams blocked: {undisturbed:?} before, {disturbed:?} during");
        assert!(disturbed <= (2 * undisturbed).max(SLOW), "{undisturbed:?} became {disturbed:?}");
        assert!(held.iter().all(|append| !append.is_finished()), "the blocked appends still wait");
        run(&mut blocker, "rollback".to_owned()).await;
        for append in held {
            append.await.expect("the blocked append commits");
        }
    }
}

async fn an_append_blocked_past_its_deadline_is_not_applied(room: Room) {
    let store = room.store().await;
    let mut blocker = session(&room).await;
    block(&mut blocker, &room, "held", 1).await;
    let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_millis(900)) };
    let late = store.append("held", [event()], options).await.expect_err("the append ends before the blocker");
    assert_eq!((late.code(), late.outcome()), ("unavailable", Outcome::NotApplied), "{late}");
    run(&mut blocker, "rollback".to_owned()).await;
    assert_eq!(store.head().await.expect("the head is read"), 0);
}

async fn one_connection_serves_others_while_a_stream_is_blocked(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("the store opens");
    let mut blocker = session(&room).await;
    block(&mut blocker, &room, "held", 1).await;
    let held = tokio::spawn({
        let store = store.clone();
        async move { append(&store, "held").await }
    });
    for n in 0..5 {
        append(&store, &format!("free-{n}")).await;
    }
    assert!(!held.is_finished());
    run(&mut blocker, "rollback".to_owned()).await;
    held.await.expect("the blocked append commits");
}

async fn an_append_refused_until_its_deadline_is_not_applied(room: Room) {
    let store = room.store().await;
    let schema = format!("streamkeep_{}", room.namespace());
    let sql = format!(
        "create function {schema}.refuse() returns trigger language plpgsql as $$ begin \
         raise exception 'not this time' using errcode = 'serialization_failure'; end $$; \
         create trigger refuse before insert on {schema}.events for each statement execute function {schema}.refuse()"
    );
    run(&mut session(&room).await, sql).await;
    let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_secs(1)) };
    let late = store.append("s", [event()], options).await.expect_err("every attempt is refused");
    assert_eq!((late.code(), late.outcome()), ("unavailable", Outcome::NotApplied), "{late}");
    assert!(late.to_string().contains("not this time"), "{late}");
}

/// Contended streams are written together. One of them that is blocked must leave the others.
async fn a_blocked_contended_stream_slows_no_other_contended_stream(room: Room) {
    const STREAMS: [&str; 3] = ["held", "hot-1", "hot-2"];
    let stores = [room.store().await, room.options_with("?application_name=second").open().await.expect("it opens")];
    // Stores that race for a stream find out that it is contended.
    let race = || {
        let appends = stores.iter().flat_map(|store| STREAMS.map(|stream| (store.clone(), stream)));
        join_all(appends.map(|(store, stream)| async move {
            for _ in 0..50 {
                append(&store, stream).await;
            }
        }))
    };
    race().await;
    let mut blocker = session(&room).await;
    block(&mut blocker, &room, "held", 101).await;
    let limit = Duration::from_secs(10);
    let options = || AppendOptions { expected: ExpectedVersion::Any, timeout: Some(limit) };
    let held = stores.clone().map(|store| {
        tokio::spawn(async move { store.append("held", [event()], ExpectedVersion::Any).await.map(|at| at.version) })
    });
    let others = stores.iter().flat_map(|store| STREAMS[1..].iter().map(move |stream| (store, *stream)));
    join_all(others.map(|(store, stream)| async move {
        for _ in 0..50 {
            store.append(stream, [event()], options()).await.expect("another contended stream is not blocked");
        }
    }))
    .await;
    assert!(held.iter().all(|append| !append.is_finished()), "the blocked appends still wait");
    run(&mut blocker, "rollback".to_owned()).await;
    let held = join_all(held).await.into_iter().map(|held| held.expect("the task ends without a panic"));
    let mut versions: Vec<u64> = held.map(|version| version.expect("the blocked append commits")).collect();
    versions.sort_unstable();
    assert_eq!(versions, [101, 102]);
}
