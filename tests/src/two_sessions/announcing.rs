//! Writers that draw a position first and commit last.

use sqlx::{Connection, Row};
use streamkeep::{ErrorKind, EventStore, ExpectedVersion};

use super::{Reader, append, block, event, run, session, until_one_waits};
use crate::cases;
use crate::harness::Room;
use crate::servers::PostgresServer;
use crate::suite::Case;

/// The race is repeated until the two really ran in the dangerous order.
const TRIES: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    cases![
        a_reader_waits_for_a_plain_append_that_drew_before_it,
        a_reader_waits_for_an_append_in_an_open_transaction,
        a_reader_waits_for_a_prepared_transaction,
        a_reader_is_held_back_across_every_turn_of_32_bits,
        the_first_position_is_above_the_first_floor,
        reached_is_the_position_of_a_committed_event,
        a_sequence_behind_the_log_is_refused_with_what_mends_it,
        a_standby_is_refused,
    ]
}

async fn a_reader_waits_for_a_plain_append_that_drew_before_it(room: Room) {
    let (slow, fast) = (room.store().await, room.store().await);
    let (mut blocker, mut watcher) = (session(&room).await, session(&room).await);
    let mut reader = Reader::new(&fast);
    for turn in 0..TRIES {
        let stream = format!("slow-{turn}");
        block(&mut blocker, &room, &stream, 1).await;
        let drawn_first = tokio::spawn({
            let (slow, stream) = (slow.clone(), stream.clone());
            async move { append(&slow, &stream).await }
        });
        until_one_waits(&mut watcher, &room).await;
        let committed_first = append(&fast, &format!("fast-{turn}")).await;
        reader.read().await;
        run(&mut blocker, "rollback".to_owned()).await;
        let drawn_first = drawn_first.await.expect("the slow append");
        reader.read().await;
        reader.saw_everything().await;
        if drawn_first < committed_first {
            return;
        }
    }
    panic!("in {TRIES} tries the append that drew first never came last");
}

async fn a_reader_waits_for_an_append_in_an_open_transaction(room: Room) {
    let store = room.store().await;
    append(&store, "before").await;
    joined_then_overtaken(&room, &store).await;
}

/// Appends in an open transaction, then outside; a reader must not go past the first.
async fn joined_then_overtaken(room: &Room, store: &EventStore) {
    let mut reader = Reader::new(store);
    reader.read().await;
    let before = reader.seen.clone();
    let mut own = session(room).await;
    let mut transaction = own.begin().await.expect("a transaction");
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("an append within");
    append(store, "fast").await;
    reader.read().await;
    assert_eq!(reader.seen, before, "the reader waits");
    transaction.commit().await.expect("a commit");
    reader.read().await;
    reader.saw_everything().await;
    assert_eq!(reader.seen.len(), before.len() + 2);
}

async fn a_reader_waits_for_a_prepared_transaction(room: Room) {
    let store = room.store().await;
    let mut reader = Reader::new(&store);
    let (mut own, mut other) = (session(&room).await, session(&room).await);
    let mut transaction = own.begin().await.expect("a transaction");
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("an append within");
    run(&mut transaction, format!("prepare transaction '{}'", room.namespace())).await;
    drop(transaction);
    drop(own);
    append(&store, "fast").await;
    reader.read().await;
    assert_eq!(reader.seen, [], "nobody's session holds the announcement any more, and still it holds");
    run(&mut other, format!("commit prepared '{}'", room.namespace())).await;
    reader.read().await;
    reader.saw_everything().await;
    assert_eq!(reader.seen.len(), 2);
}

async fn a_reader_is_held_back_across_every_turn_of_32_bits(room: Room) {
    let store = room.store().await;
    let mut own = session(&room).await;
    for turn in [1_u64 << 31, 1 << 32, 3 << 31, 1 << 40] {
        run(&mut own, format!("select setval('streamkeep_{}.positions', {})", room.namespace(), turn - 2)).await;
        joined_then_overtaken(&room, &store).await;
    }
}

async fn the_first_position_is_above_the_first_floor(room: Room) {
    let store = room.store().await;
    assert_eq!(store.head().await.expect("a head"), 0);
    assert_eq!(append(&store, "first").await, 1);
    assert_eq!(store.head().await.expect("a head"), 1);
}

async fn reached_is_the_position_of_a_committed_event(room: Room) {
    let store = room.store().await;
    let committed = append(&store, "stays").await;
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("a transaction");
    store
        .append_in(&mut transaction, "goes", [event(), event(), event()], ExpectedVersion::Any)
        .await
        .expect("an append within");
    transaction.rollback().await.expect("a roll-back");
    for fresh in [&store, &room.store().await] {
        let mut reader = Reader::new(fresh);
        reader.read().await;
        assert_eq!(
            reader.after, committed,
            "positions that were rolled back are drawn again after a crash: they are no cursor"
        );
        assert_eq!(fresh.head().await.expect("a head"), committed);
    }
}

async fn a_sequence_behind_the_log_is_refused_with_what_mends_it(room: Room) {
    let store = room.store().await;
    for _ in 0..3 {
        append(&store, "s").await;
    }
    store.close().await.expect("closes");
    let mut own = session(&room).await;
    run(&mut own, format!("select setval('streamkeep_{}.positions', 1)", room.namespace())).await;
    let refused = room.open().await.expect_err("a restored sequence");
    assert_eq!(refused.code(), "config");
    let mend = refused.message().split_once("with: ").expect("the statement").1.to_owned();
    let head: i64 = sqlx::raw_sql(sqlx::AssertSqlSafe(mend)).fetch_one(&mut own).await.expect("it runs").get(0);
    assert_eq!(head, 3);
    let store = room.store().await;
    assert!(append(&store, "s").await > 3);
}

async fn a_standby_is_refused(_room: Room) {
    let started = tokio::task::spawn_blocking(|| PostgresServer::start().map(|primary| (primary.standby(), primary)));
    let (standby, primary) = started.await.expect("no panic").expect("a primary");
    let standby = standby.expect("a standby");
    let store = EventStore::open(primary.url()).await.expect("the primary opens");
    let refused =
        EventStore::open(standby.url()).await.expect_err("a standby shows neither the writers nor the true positions");
    assert_eq!(*refused.kind(), ErrorKind::Config, "{refused}");
    assert!(refused.message().contains("recovery"), "{refused}");
    store.close().await.expect("closes");
    tokio::task::spawn_blocking(move || drop((standby, primary))).await.expect("they stop");
}
