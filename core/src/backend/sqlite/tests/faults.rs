//! Other programs, deadlines, and files that cannot be written.

use super::*;

#[tokio::test]
async fn an_append_that_waits_for_another_program_is_not_applied_at_its_deadline() {
    let folder = Folder::new();
    let store = EventStore::open(folder.url()).await.unwrap();
    let mut other = folder.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    for timeout in [BUSY_SLICE / 2, BUSY_SLICE * 5] {
        let options = AppendOptions { timeout: Some(timeout), ..AppendOptions::default() };
        let late = store.append("s-1", [event()], options).await.unwrap_err();
        assert_eq!((late.code(), late.ids().len()), ("unavailable", 1));
    }
    run(&mut other, "COMMIT").await;
    other.close().await.unwrap();
    let appended = store.append("s-1", [event()], ExpectedVersion::NoStream).await.unwrap();
    assert_eq!((appended.version, appended.position), (1, 1), "no late append was written");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_replaced_while_an_append_waits_for_the_lock_is_not_written() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    backend.append(&[request("s-1", ExpectedVersion::Any, vec![event()])]).await.pop().unwrap().unwrap();
    let mut other = folder.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let group = [request("s-1", ExpectedVersion::Any, vec![event().with_tags(["t"])])];
    let replace = async {
        while backend.file.writer.has_idle() {
            tokio::task::yield_now().await;
        }
        std::fs::rename(folder.file(), folder.0.join("away.db")).unwrap();
        run(&mut other, "COMMIT").await;
    };
    let (mut answers, ()) = futures::join!(backend.append(&group), replace);
    let error = answers.pop().unwrap().unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("corrupt", Outcome::NotApplied), "{error}");
    let rows = sqlx::query("SELECT count(*) FROM streamkeep_default_events").fetch_all(&mut other).await.unwrap();
    assert_eq!(rows[0].get::<i64, _>(0), 1);
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn another_programs_vacuum_does_not_stop_the_store() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let append = || async {
        let tagged = vec![event().with_tags(["t"])];
        backend.append(&[request("s-1", ExpectedVersion::Any, tagged)]).await.pop().unwrap()
    };
    append().await.unwrap();
    let mut other = folder.connect().await;
    run(&mut other, "CREATE TABLE large AS SELECT randomblob(2000000) AS content; PRAGMA wal_checkpoint(TRUNCATE)")
        .await;
    append().await.unwrap();
    let before = std::fs::metadata(folder.file()).unwrap().len();
    run(&mut other, "DROP TABLE large; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert!(std::fs::metadata(folder.file()).unwrap().len() < before / 2);
    assert_eq!(append().await.unwrap().position, 3);
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn a_statement_past_its_deadline_closes_its_connection() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut lease = backend.file.writer.lease(soon()).await.unwrap();
    run(&mut lease.connection, "BEGIN IMMEDIATE; UPDATE streamkeep_namespaces SET epoch = 'lost'").await;
    let long =
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000000) SELECT max(n) FROM n";
    let answer =
        within(Instant::now() + Duration::from_millis(5), sqlx::query(long).fetch_all(&mut lease.connection)).await;
    assert_eq!(lease.settle(answer).unwrap_err().kind, FailureKind::Late);
    let appended =
        backend.append(&[request("s-1", ExpectedVersion::Any, vec![event().with_tags(["t"])])]).await.pop().unwrap();
    assert_eq!(appended.unwrap().position, 1, "the next append uses another transaction");
    backend.close().await;
    let mut other = folder.connect().await;
    let rows = sqlx::query("SELECT epoch FROM streamkeep_namespaces").fetch_all(&mut other).await.unwrap();
    assert_ne!(rows[0].get::<String, _>(0), "lost", "the late transaction is rolled back");
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_nothing_is_written() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let limit = |pages: &'static str| async {
        let mut lease = backend.file.writer.lease(soon()).await.unwrap();
        run(&mut lease.connection, pages).await;
        lease.give_back();
    };
    limit("PRAGMA max_page_count = 20").await;
    let large = Event::bytes("Large", vec![1; 500_000]);
    for group in [vec![large.clone()], vec![large.clone(), event()]] {
        let full = backend.append(&[request("s-1", ExpectedVersion::Any, group)]).await.pop().unwrap().unwrap_err();
        assert_final(&full, "database or disk is full");
        limit("PRAGMA max_page_count = 20").await;
    }
    assert_final(&backend.import(&import(large.clone())).await.unwrap_err(), "database or disk is full");
    limit("PRAGMA max_page_count = 100000").await;
    let appended =
        backend.append(&[request("s-1", ExpectedVersion::NoStream, vec![large])]).await.pop().unwrap().unwrap();
    assert_eq!((appended.version, appended.repeated), (1, false));
    backend.close().await;
}

/// Asserts an answer without another attempt, with SQLite's message.
fn assert_final(error: &crate::Error, words: &str) {
    assert_eq!((error.code(), error.outcome()), ("unavailable", Outcome::NotApplied), "{error}");
    assert!(!error.worth_a_retry() && error.message().contains(words), "{error}");
}

#[tokio::test]
async fn a_file_that_turned_read_only_is_unavailable_at_once() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let turn = |setting: &'static str| async {
        let mut lease = backend.file.writer.lease(soon()).await.unwrap();
        run(&mut lease.connection, setting).await;
        lease.give_back();
    };
    const WORDS: &str = "attempt to write a readonly database";
    for group in [vec![event()], vec![event().with_tags(["t"])]] {
        turn("PRAGMA query_only = ON").await;
        let refused = backend.append(&[request("s-1", ExpectedVersion::Any, group)]).await.pop().unwrap().unwrap_err();
        assert_final(&refused, WORDS);
    }
    turn("PRAGMA query_only = ON").await;
    assert_final(&backend.import(&import(event())).await.unwrap_err(), WORDS);
    let appended = backend.append(&[request("s-1", ExpectedVersion::NoStream, vec![event()])]).await.pop().unwrap();
    assert_eq!(appended.unwrap().version, 1);
    backend.close().await;
}
