//! An open transaction holds up its own stream and no other.

use std::time::{Duration, Instant};

use futures::future::join_all;
use streamkeep::{AppendOptions, EventStore, ExpectedVersion, Outcome};

use super::{append, block, event, run, session, until_one_waits};
use crate::cases;
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    cases![
        an_open_transaction_holds_up_its_own_stream_alone,
        an_append_held_up_past_its_deadline_says_that_nothing_was_written,
        a_connection_alone_serves_others_while_one_stream_is_held_up,
        an_open_transaction_over_many_streams_slows_no_other,
        an_append_refused_for_ever_says_that_nothing_was_written,
    ]
}

async fn an_open_transaction_holds_up_its_own_stream_alone(room: Room) {
    let store = room.store().await;
    let (mut blocker, mut watcher) = (session(&room).await, session(&room).await);
    block(&mut blocker, &room, "held", 1).await;
    let held = tokio::spawn({
        let store = store.clone();
        async move { append(&store, "held").await }
    });
    until_one_waits(&mut watcher, &room).await;
    // More at once than there are lanes, so that some share a group with another append to the held stream.
    let also_held = tokio::spawn({
        let store = store.clone();
        async move { append(&store, "held").await }
    });
    let others = join_all((0..200).map(|n| {
        let store = store.clone();
        async move { append(&store, &format!("free-{n}")).await }
    }));
    others.await;
    assert!(!held.is_finished() && !also_held.is_finished(), "the others did not wait for the blocker");
    run(&mut blocker, "rollback".to_owned()).await;
    held.await.expect("the held append");
    also_held.await.expect("the other held append");
}

/// How long an append to a free stream takes, one after the other.
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

async fn an_open_transaction_over_many_streams_slows_no_other(room: Room) {
    /// A busy machine takes this long for no reason; a lane that waits for a lock takes far longer.
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
        println!("{streams} streams held: {undisturbed:?} undisturbed, {disturbed:?} disturbed");
        assert!(disturbed <= (2 * undisturbed).max(SLOW), "{undisturbed:?} became {disturbed:?}");
        assert!(held.iter().all(|append| !append.is_finished()), "the blocker holds them");
        run(&mut blocker, "rollback".to_owned()).await;
        for append in held {
            append.await.expect("a held append");
        }
    }
}

async fn an_append_held_up_past_its_deadline_says_that_nothing_was_written(room: Room) {
    let store = room.store().await;
    let mut blocker = session(&room).await;
    block(&mut blocker, &room, "held", 1).await;
    let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_millis(900)) };
    let late = store.append("held", [event()], options).await.expect_err("the blocker outlasts it");
    assert_eq!((late.code(), late.outcome()), ("unavailable", Outcome::NotApplied), "{late}");
    run(&mut blocker, "rollback".to_owned()).await;
    assert_eq!(store.head().await.expect("a head"), 0);
}

async fn a_connection_alone_serves_others_while_one_stream_is_held_up(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("opens");
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
    held.await.expect("the held append");
}

async fn an_append_refused_for_ever_says_that_nothing_was_written(room: Room) {
    let store = room.store().await;
    let schema = format!("streamkeep_{}", room.namespace());
    let sql = format!(
        "create function {schema}.refuse() returns trigger language plpgsql as $$ begin \
         raise exception 'not this time' using errcode = 'serialization_failure'; end $$; \
         create trigger refuse before insert on {schema}.events for each statement execute function {schema}.refuse()"
    );
    run(&mut session(&room).await, sql).await;
    let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_secs(1)) };
    let late = store.append("s", [event()], options).await.expect_err("it is always refused");
    assert_eq!((late.code(), late.outcome()), ("unavailable", Outcome::NotApplied), "{late}");
    assert!(late.to_string().contains("not this time"), "{late}");
}
