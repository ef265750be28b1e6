//! Writers that draw a position first and commit last.

use sqlx::{Connection, Row};
use streamkeep::{ErrorKind, EventStore, ExpectedVersion};

use super::{Reader, append, block, event, run, session, until_one_waits};
use crate::cases;
use crate::harness::Room;
use crate::servers::PostgresServer;
use crate::suite::Case;

/// The race is repeated until the two appends run in the dangerous order.
const TRIES: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    cases![
        a_reader_waits_for_a_plain_append_that_drew_its_position_first,
        a_reader_waits_for_an_append_in_an_open_transaction,
        a_reader_waits_for_a_prepared_transaction,
        a_reader_waits_where_positions_wrap_at_32_bits,
        the_first_position_is_1,
        reached_is_the_position_of_a_committed_event,
        a_sequence_behind_the_log_is_refused_with_the_statement_that_repairs_it,
        a_standby_is_refused,
    ]
}

async fn a_reader_waits_for_a_plain_append_that_drew_its_position_first(room: Room) {
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
        let drawn_first = drawn_first.await.expect("the slow append commits");
        reader.read().await;
        reader.saw_everything().await;
        if drawn_first < committed_first {
            return;
        }
    }
    panic!("in {TRIES} tries the append that drew first never committed last");
}

async fn a_reader_waits_for_an_append_in_an_open_transaction(room: Room) {
    let store = room.store().await;
    append(&store, "before").await;
    append_in_transaction_then_outside(&room, &store).await;
}

/// Appends in an open transaction, then outside it; a reader must wait for the first append.
async fn append_in_transaction_then_outside(room: &Room, store: &EventStore) {
    let mut reader = Reader::new(store);
    reader.read().await;
    let before = reader.seen.clone();
    let mut own = session(room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("the append succeeds");
    append(store, "fast").await;
    reader.read().await;
    assert_eq!(reader.seen, before, "the reader waits");
    transaction.commit().await.expect("the commit succeeds");
    reader.read().await;
    reader.saw_everything().await;
    assert_eq!(reader.seen.len(), before.len() + 2);
}

async fn a_reader_waits_for_a_prepared_transaction(room: Room) {
    let store = room.store().await;
    let mut reader = Reader::new(&store);
    let (mut own, mut other) = (session(&room).await, session(&room).await);
    let mut transaction = own.begin().await.expect("the transaction begins");
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("the append succeeds");
    run(&mut transaction, format!("prepare transaction '{}'", room.namespace())).await;
    drop(transaction);
    drop(own);
    append(&store, "fast").await;
    reader.read().await;
    assert_eq!(reader.seen, [], "the announcement of a prepared transaction holds without a session");
    run(&mut other, format!("commit prepared '{}'", room.namespace())).await;
    reader.read().await;
    reader.saw_everything().await;
    assert_eq!(reader.seen.len(), 2);
}

async fn a_reader_waits_where_positions_wrap_at_32_bits(room: Room) {
    let store = room.store().await;
    let mut own = session(&room).await;
    for turn in [1_u64 << 31, 1 << 32, 3 << 31, 1 << 40] {
        run(&mut own, format!("select setval('streamkeep_{}.positions', {})", room.namespace(), turn - 2)).await;
        append_in_transaction_then_outside(&room, &store).await;
    }
}

async fn the_first_position_is_1(room: Room) {
    let store = room.store().await;
    assert_eq!(store.head().await.expect("the head is read"), 0);
    assert_eq!(append(&store, "first").await, 1);
    assert_eq!(store.head().await.expect("the head is read"), 1);
}

async fn reached_is_the_position_of_a_committed_event(room: Room) {
    let store = room.store().await;
    let committed = append(&store, "stays").await;
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    store
        .append_in(&mut transaction, "goes", [event(), event(), event()], ExpectedVersion::Any)
        .await
        .expect("the append succeeds");
    transaction.rollback().await.expect("the rollback succeeds");
    for fresh in [&store, &room.store().await] {
        let mut reader = Reader::new(fresh);
        reader.read().await;
        assert_eq!(
            reader.after, committed,
            "a cursor is never a rolled-back position, which can be drawn again after a crash"
        );
        assert_eq!(fresh.head().await.expect("the head is read"), committed);
    }
}

async fn a_sequence_behind_the_log_is_refused_with_the_statement_that_repairs_it(room: Room) {
    let store = room.store().await;
    for _ in 0..3 {
        append(&store, "s").await;
    }
    store.close().await.expect("the store closes");
    let mut own = session(&room).await;
    run(&mut own, format!("select setval('streamkeep_{}.positions', 1)", room.namespace())).await;
    let refused = room.open().await.expect_err("a sequence behind the log is refused");
    assert_eq!(refused.code(), "config");
    let repair = refused.message().split_once("with: ").expect("the error has the statement").1.to_owned();
    let head: i64 =
        sqlx::raw_sql(sqlx::AssertSqlSafe(repair)).fetch_one(&mut own).await.expect("the statement succeeds").get(0);
    assert_eq!(head, 3);
    let store = room.store().await;
    assert!(append(&store, "s").await > 3);
}

async fn a_standby_is_refused(_room: Room) {
    let started = tokio::task::spawn_blocking(|| PostgresServer::start().map(|primary| (primary.standby(), primary)));
    let (standby, primary) = started.await.expect("the task ends").expect("the primary starts");
    let standby = standby.expect("the standby starts");
    let store = EventStore::open(primary.url()).await.expect("the store on the primary opens");
    let refused = EventStore::open(standby.url()).await.expect_err("a standby is refused");
    assert_eq!(*refused.kind(), ErrorKind::Config, "{refused}");
    assert!(refused.message().contains("recovery"), "{refused}");
    store.close().await.expect("the store closes");
    tokio::task::spawn_blocking(move || drop((standby, primary))).await.expect("the servers stop");
}
