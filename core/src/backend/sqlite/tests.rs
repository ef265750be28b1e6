//! Tests of this backend's internals. The behaviour suite tests the rules of the contract.

mod joint;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::time::Instant;
use uuid::Uuid;

use super::Sqlite;
use super::append::Form;
use super::connect::{BUSY_SLICE, connect_options, within};
use super::error::FailureKind;
use super::file::SqliteFile;
use super::identity::Identity;
use super::pool::Pool;
use super::sql::Sql;
use crate::backend::EventBackend;
use crate::event::{Event, ImportEvent, Payload, RecordedEvent};
use crate::position::Direction;
use crate::query::{Query, QueryItem};
use crate::request::{AppendRequest, ImportRequest, LogPageRequest, StreamPageRequest};
use crate::version::ExpectedVersion;
use crate::{AppendOptions, ErrorKind, EventStore, OpenOptions, Outcome, ReadAllOptions};

/// A temporary folder, which is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("streamkeep-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    fn file(&self) -> PathBuf {
        self.0.join("events.db")
    }

    /// A connection with the settings of another program.
    async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).connect().await.unwrap()
    }

    /// The backend itself, on a file that a store has created.
    async fn backend(&self) -> Sqlite {
        EventStore::open(self.url()).await.unwrap().close().await.unwrap();
        let options = connect_options(&self.file());
        let mut anchor = options.connect().await.unwrap();
        run(&mut anchor, "SELECT count(*) FROM streamkeep_namespaces").await;
        let identity = Arc::new(Identity::record(&self.file(), &options).unwrap());
        let file = SqliteFile {
            writer: Pool::new(options.clone(), Arc::clone(&identity), 1),
            readers: Pool::new(options, Arc::clone(&identity), 1),
            identity,
            joint_writes: super::joint::writes(),
            anchor: std::sync::Mutex::new(Some(anchor)),
            open_file: std::sync::Mutex::new(None),
        };
        Sqlite {
            sql: Arc::new(Sql::new("default")),
            file: Arc::new(file),
            last_format: super::format::LastFormat::unknown(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn request(stream: &str, expected: ExpectedVersion, events: Vec<Event>) -> AppendRequest {
    AppendRequest { stream: stream.to_owned(), expected, events: events.into(), deadline: soon() }
}

fn event() -> Event {
    Event::json_text("Happened", "{}")
}

async fn run(connection: &mut SqliteConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_group_answers_each_append_for_itself() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let known = event();
    backend.append(&[request("a-1", ExpectedVersion::NoStream, vec![known.clone()])]).await.pop().unwrap().unwrap();
    let tagged = event().with_tags(["x:1", "x:2", "x:1"]);
    let group = [
        request("a-2", ExpectedVersion::Any, vec![event(), event()]),
        request("a-1", ExpectedVersion::Exact(7), vec![event()]),
        request("a-3", ExpectedVersion::NoStream, vec![tagged.clone()]),
        request("a-4", ExpectedVersion::Any, vec![known.clone()]),
        request("a-2", ExpectedVersion::Any, vec![event()]),
        request("a-2", ExpectedVersion::Any, vec![tagged]),
    ];
    let answers = backend.append(&group).await;
    let placed = |n: usize| {
        answers[n].as_ref().map(|appended| (appended.version, appended.position)).map_err(|error| error.code())
    };
    assert_eq!(
        (0..6).map(placed).collect::<Vec<_>>(),
        [Ok((2, 3)), Err("conflict"), Ok((1, 4)), Err("duplicate-event"), Ok((3, 5)), Err("duplicate-event")],
        "the last repeats an id of another stream in the same group"
    );
    let again = backend.append(&[request("a-1", ExpectedVersion::NoStream, vec![known])]).await.pop().unwrap().unwrap();
    assert!(again.repeated && again.position == 1);
    backend.close().await;
}

#[tokio::test]
async fn a_page_of_any_query_has_what_the_matcher_says_in_both_directions() {
    let folder = Folder::new();
    let store = EventStore::open(folder.url()).await.unwrap();
    let import = |n: u64| {
        let tags: Vec<String> =
            [3_u64, 7, 1_000].iter().filter(|by| n.is_multiple_of(**by)).map(|by| format!("by:{by}")).collect();
        let event = Event::json_text(format!("Type{}", n % 5), "{}").with_tags(tags);
        ImportEvent { stream: format!("cat{}-{}", n % 2, n % 11), version: None, recorded_at: None, event }
    };
    store.import_events((1..=7_000).map(import)).await.unwrap();
    let all: Vec<RecordedEvent> = store.read_all(ReadAllOptions::default()).try_collect().await.unwrap();
    assert_eq!(all.len(), 7_000);
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let item = |types: &[&str], tags: &[&str], categories: &[&str], streams: &[&str]| QueryItem {
        types: list(types),
        tags: list(tags),
        categories: list(categories),
        streams: list(streams),
    };
    let queries: Vec<Query> = vec![
        item(&["Type1", "Type3"], &[], &[], &[]).into(),
        item(&[], &["by:3", "by:7"], &[], &[]).into(),
        item(&["Type0"], &["by:1000"], &["cat0"], &[]).into(),
        item(&[], &[], &[], &["cat0-4", "cat1-9", "absent"]).into(),
        Query { items: vec![item(&[], &["by:1000"], &[], &[]), item(&["Type2"], &[], &[], &["cat1-3"])] },
        Query { items: vec![item(&[], &["by:1000"], &[], &[]), item(&["Type2"], &[], &["cat1"], &[])] },
        item(&[], &["none"], &[], &[]).into(),
    ];
    for query in queries {
        for (after, before) in [(0, None), (0, Some(6_500)), (1_234, None), (4_321, Some(6_999)), (6_990, None)] {
            let inside =
                |event: &&RecordedEvent| event.position > after && before.is_none_or(|before| event.position < before);
            let mut expected: Vec<u64> =
                all.iter().filter(inside).filter(|event| query.matches(event)).map(|event| event.position).collect();
            for direction in [Direction::Forward, Direction::Backward] {
                let options =
                    ReadAllOptions { after, before, query: query.clone(), direction, ..ReadAllOptions::default() };
                let found: Vec<RecordedEvent> = store.read_all(options).try_collect().await.unwrap();
                assert_eq!(
                    found.iter().map(|event| event.position).collect::<Vec<_>>(),
                    expected,
                    "{query:?} {direction:?} after {after} before {before:?}"
                );
                expected.reverse();
            }
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_page_says_how_far_it_looked() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let events =
        (0..10).map(|n| Event::bytes("Big", vec![n; 100_000]).with_metadata(format!("{{\"n\":{n}}}"))).collect();
    backend.append(&[request("s", ExpectedVersion::Any, events)]).await.pop().unwrap().unwrap();
    let ask = |after, max_events, types: &[&str]| {
        let item = QueryItem { types: types.iter().map(|name| (*name).to_owned()).collect(), ..QueryItem::default() };
        let query = Arc::new(Query::from(item));
        LogPageRequest {
            after,
            before: None,
            query,
            direction: Direction::Forward,
            max_events,
            max_bytes: 250_000,
            deadline: soon(),
        }
    };
    let mut answers = Vec::new();
    for request in [
        ask(0, 100, &[]),
        ask(8, 2, &[]),
        ask(8, 1, &[]),
        ask(10, 9, &[]),
        ask(99, 9, &[]),
        ask(0, 9, &["Small"]),
        ask(0, 9, &["Big"]),
        ask(9, 9, &["Big"]),
    ] {
        let page = backend.read_log(&request).await.unwrap();
        for event in &page.events {
            let n = u8::try_from(event.position - 1).unwrap();
            assert_eq!(
                (event.data.as_bytes(), event.metadata.as_str()),
                (&[n; 100_000][..], format!("{{\"n\":{n}}}").as_str()),
                "long content comes too"
            );
        }
        answers.push((page.events.len(), page.reached, page.caught_up, page.drawn));
    }
    let expected = [
        (2, 2, false, None),
        (2, 10, true, None),
        (1, 9, false, None),
        (0, 10, true, Some(10)),
        (0, 99, true, Some(10)),
        (0, 10, true, Some(10)),
        (2, 2, false, Some(10)),
        (1, 10, true, Some(10)),
    ];
    assert_eq!(answers, expected);
    backend.close().await;
}

#[tokio::test]
async fn events_written_in_any_form_are_read_unchanged() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut position = 0;
    for (form, count) in [("one", 1_usize), ("run", 9), ("run", 128), ("group", 129), ("group", 1_500), ("tagged", 3)] {
        let stream = format!("{form} {count}-\u{e9}");
        let events: Vec<Event> = (0..count)
            .map(|n| if form == "tagged" { varied(n).with_tags(["b \"", "a", "\u{2028}"]) } else { varied(n) })
            .collect();
        let answer = backend
            .append(&[request(&stream, ExpectedVersion::NoStream, events.clone())])
            .await
            .pop()
            .unwrap()
            .unwrap();
        let before = position;
        position += count as u64;
        assert_eq!((answer.version, answer.position, answer.repeated), (count as u64, position, false), "{stream}");
        let read = backend.read_stream(&whole_stream(&stream)).await.unwrap();
        assert!(read.end && read.events.len() == count);
        for ((n, event), read) in (1_u64..).zip(&events).zip(&read.events) {
            assert_eq!((read.stream.as_str(), read.version, read.position), (stream.as_str(), n, before + n));
            assert_eq!(
                (read.id, &read.event_type, &read.data, &read.metadata),
                (event.id, &event.event_type, &event.data, &event.metadata),
                "{stream} {n}"
            );
            assert_eq!((&read.tags, &read.schema), (&event.tags, &event.schema));
        }
        let again = backend
            .append(&[request(&stream, ExpectedVersion::NoStream, events.clone())])
            .await
            .pop()
            .unwrap()
            .unwrap();
        assert!(again.repeated && again.position == position, "{stream}");
        let late: Vec<Event> = events.into_iter().map(|event| event.with_id(Uuid::now_v7())).collect();
        for expected in [
            ExpectedVersion::NoStream,
            ExpectedVersion::Exact(count as u64 + 1),
            ExpectedVersion::Exact(count as u64 - 1),
        ] {
            let refused = backend.append(&[request(&stream, expected, late.clone())]).await.pop().unwrap().unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Conflict { actual, .. } if *actual == count as u64),
                "{refused}"
            );
        }
    }
    backend.close().await;
}

/// Events with everything that an encoding could lose.
fn varied(n: usize) -> Event {
    let data = format!("{{ \"n\": {n}.0, \"\u{1f980}\": \"\\u0000\" }}\n");
    let mut event = Event::json_text("Typ\u{e9} 1", data).with_metadata(" {\"a\" : \"\u{df}\"}").with_schema("s|1 ");
    match n % 4 {
        0 => event.data = Payload::Bytes(vec![0, 255, 10, 32]),
        1 => event.data = Payload::Bytes(Vec::new()),
        2 => event.metadata = "{}".to_owned(),
        _ => event.schema = None,
    }
    event
}

fn whole_stream(stream: &str) -> StreamPageRequest {
    StreamPageRequest {
        stream: stream.to_owned(),
        from_version: 1,
        to_version: u64::MAX,
        direction: Direction::Forward,
        max_events: usize::MAX,
        max_bytes: usize::MAX,
        deadline: soon(),
    }
}

#[tokio::test]
async fn eight_stores_may_open_a_new_file_at_once() {
    let folder = Folder::new();
    let stores = join_all(
        (0..8).map(|n| OpenOptions::new(folder.url()).namespace(if n % 2 == 0 { "even" } else { "odd" }).open()),
    )
    .await;
    let stores: Vec<EventStore> = stores.into_iter().collect::<Result<_, _>>().unwrap();
    let appends = join_all(stores.iter().map(|store| store.append("s-1", [event()], ExpectedVersion::Any))).await;
    let versions: HashSet<u64> = appends.into_iter().map(|answer| answer.unwrap().version).collect();
    assert_eq!(versions, HashSet::from([1, 2, 3, 4]), "four in each of two namespaces");
    for store in stores {
        store.close().await.unwrap();
    }
    let mut other = folder.connect().await;
    let rows = sqlx::query("SELECT name FROM streamkeep_namespaces ORDER BY name").fetch_all(&mut other).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["even", "odd"]);
    other.close().await.unwrap();
}

#[tokio::test]
async fn opening_without_create_writes_nothing() {
    let folder = Folder::new();
    let open = || OpenOptions::new(folder.url()).create(false).open();
    assert_eq!(open().await.unwrap_err().code(), "config");
    assert!(!folder.file().exists());
    EventStore::open(folder.url()).await.unwrap().close().await.unwrap();
    let before = std::fs::read(folder.file()).unwrap();
    assert_eq!(
        OpenOptions::new(folder.url()).namespace("other").create(false).open().await.unwrap_err().code(),
        "config"
    );
    open().await.unwrap().close().await.unwrap();
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_another_program_or_of_a_newer_library_is_refused() {
    let folder = Folder::new();
    let mut other = folder.connect().await;
    run(&mut other, "CREATE TABLE theirs (a)").await;
    assert_eq!(EventStore::open(folder.url()).await.unwrap_err().code(), "config");
    run(&mut other, "DROP TABLE theirs; VACUUM").await;
    EventStore::open(folder.url()).await.unwrap().close().await.unwrap();
    run(&mut other, "UPDATE streamkeep_namespaces SET format = 9, min_reader = 8").await;
    let refusal = EventStore::open(folder.url()).await.unwrap_err();
    assert_eq!(refusal.code(), "config");
    assert!(refusal.message().contains("format 8") && refusal.message().contains("has format 1"), "{refusal}");
    other.close().await.unwrap();
}

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
async fn every_connection_syncs_its_commits() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    for pool in [&backend.file.writer, &backend.file.readers] {
        let mut lease = pool.lease(soon()).await.unwrap();
        let settings =
            "SELECT (SELECT synchronous FROM pragma_synchronous), (SELECT journal_mode FROM pragma_journal_mode)";
        let rows = sqlx::query(settings).fetch_all(&mut lease.connection).await.unwrap();
        assert_eq!((rows[0].get::<i64, _>(0), rows[0].get::<String, _>(1).as_str()), (2, "wal"), "2 is FULL");
        lease.give_back();
    }
    backend.close().await;
}

#[tokio::test]
async fn no_event_can_be_deleted_by_another_program() {
    let folder = Folder::new();
    let store = EventStore::open(folder.url()).await.unwrap();
    store.append("s-1", [event()], ExpectedVersion::Any).await.unwrap();
    store.close().await.unwrap();
    let mut other = folder.connect().await;
    let refused = sqlx::query("DELETE FROM streamkeep_default_events").execute(&mut other).await.unwrap_err();
    assert!(refused.to_string().contains("events are never deleted"), "{refused}");
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

fn import(event: Event) -> ImportRequest {
    let event = ImportEvent { stream: "i-1".to_owned(), version: None, recorded_at: None, event };
    ImportRequest { events: vec![event].into(), deadline: soon() }
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

#[tokio::test]
async fn a_repeated_append_is_committed_once_more() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut other = folder.connect().await;
    let (lone, tagged, imported) = (event(), event().with_tags(["t"]), event());
    let group = [
        request("s-1", ExpectedVersion::NoStream, vec![lone]),
        request("s-2", ExpectedVersion::NoStream, vec![tagged]),
    ];
    let import = import(imported);
    for answer in [backend.append(&group[..1]).await, backend.append(&group[1..]).await].concat() {
        assert!(!answer.unwrap().repeated);
    }
    assert_eq!(backend.import(&import).await.unwrap().imported, 1);
    // The value changes with each commit of another connection, and only then.
    let mut commits = async || {
        let rows = sqlx::query("PRAGMA data_version").fetch_all(&mut other).await.unwrap();
        rows[0].get::<i64, _>(0)
    };
    let mut before = commits().await;
    for group in [&group[..1], &group[1..], &group[..]] {
        assert!(backend.append(group).await.into_iter().all(|answer| answer.unwrap().repeated));
        let after = commits().await;
        assert_ne!(before, after, "a repeat without a commit of its own");
        before = after;
    }
    assert_eq!(backend.import(&import).await.unwrap().passed_over, 1);
    assert_ne!(commits().await, before, "a repeated import without a commit of its own");
    let before = commits().await;
    let refused = backend.append(&[request("s-1", ExpectedVersion::Exact(9), vec![event()])]).await.pop().unwrap();
    assert_eq!(refused.unwrap_err().code(), "conflict");
    assert_eq!(commits().await, before, "a refusal needs no commit");
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn a_split_group_keeps_the_doubt_of_each_append() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut other = folder.connect().await;
    run(
        &mut other,
        "CREATE TRIGGER refuse BEFORE INSERT ON streamkeep_default_events WHEN new.type = 'Refused' \
         BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
    )
    .await;
    let refused = || vec![Event::json_text("Refused", "{}")];
    let group = [
        request("s-1", ExpectedVersion::Any, refused()),
        request("s-2", ExpectedVersion::Any, vec![event()]),
        request("s-3", ExpectedVersion::Any, refused()),
    ];
    let answers = backend.append_in_form(&group, Form::Careful, soon(), vec![true, true, false]).await;
    let told = answers.into_iter().map(|answer| answer.map(|appended| appended.version).map_err(|e| e.outcome()));
    assert_eq!(told.collect::<Vec<_>>(), [Err(Outcome::Unknown), Ok(1), Err(Outcome::NotApplied)]);
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn statements_search_by_an_index() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut lease = backend.file.readers.lease(soon()).await.unwrap();
    let sql = &backend.sql;
    for text in [
        &sql.append_one,
        &sql.by_id,
        &sql.content,
        &sql.stream_forward,
        &sql.stream_backward,
        &sql.log_forward,
        &sql.log_backward,
        &sql.head,
        &sql.load_snapshot,
    ] {
        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")))
            .fetch_all(&mut lease.connection)
            .await
            .unwrap();
        let steps: Vec<String> = explained.iter().map(|row| row.get(3)).collect();
        let walks = |step: &String| step.starts_with("SCAN streamkeep") || step.contains("TEMP B-TREE");
        assert!(!steps.iter().any(walks), "{text}: {steps:?}");
    }
    lease.give_back();
    backend.close().await;
}
