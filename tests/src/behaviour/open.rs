//! Rule 27: opening creates what is missing, even when several clients open at once.

use std::time::{Duration, Instant};

use streamkeep::{ErrorKind, ExpectedVersion, ImportEvent, OpenOptions, Outcome, Payload, Snapshot};

use super::{all_at_once, append, event, events, log, refused, stream};
use crate::harness::{Backend, Room};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        eight_openers_at_once_open_one_log,
        namespaces_that_many_callers_open_and_close_lose_no_event,
        create_false_opens_an_existing_namespace,
        create_false_never_writes,
        an_option_can_be_in_the_url,
        an_unknown_option_in_the_url_is_config,
        a_wrong_value_of_an_option_is_config,
        a_namespace_name_outside_its_rules_is_refused,
        a_newer_format_is_refused_with_both_numbers: lacking UNREACHABLE,
        a_library_too_old_to_write_can_read: lacking UNREACHABLE,
        a_migration_ends_the_writes_of_an_open_store: lacking UNREACHABLE,
    ]
}

const UNREACHABLE: &[(Backend, &str)] = &[(Backend::Memory, "it has no stored format")];

async fn eight_openers_at_once_open_one_log(room: Room) {
    // A new namespace each time, so that some openers come while another is half done.
    for turn in 0..10 {
        let options: Vec<OpenOptions> =
            (0..8).map(|_| room.options().namespace(format!("{}_{turn}", room.namespace()))).collect();
        let opened = all_at_once(options.into_iter().map(|options| async move { options.open().await })).await;
        let stores: Vec<_> = opened.into_iter().map(|store| store.expect("each opener gets a store")).collect();
        for (number, store) in stores.iter().enumerate() {
            assert_eq!(append(store, "s", [event(number)]).await.version, number as u64 + 1);
        }
        for store in &stores {
            assert_eq!(log(store).await.len(), 8);
            store.close().await.expect("the store closes");
        }
    }
}

async fn namespaces_that_many_callers_open_and_close_lose_no_event(room: Room) {
    const NAMESPACES: usize = 4;
    let (callers, turns) = if room.backend() == Backend::Mongodb { (6, 4) } else { (12, 10) };
    let named = |number: usize| room.options().namespace(format!("{}_{number}", room.namespace())).max_connections(2);
    // A memory store is gone with its last handle.
    let keeper = named(0).open().await.expect("the store opens");
    let written = all_at_once((0..callers).map(|caller| {
        let options: Vec<OpenOptions> = (0..turns).map(|turn| named((caller + turn) % NAMESPACES)).collect();
        async move {
            for (turn, options) in options.into_iter().enumerate() {
                if turn % 3 == 2 {
                    // Its caller goes away while it opens.
                    let moment = Duration::from_micros(fastrand::u64(0..2_000));
                    let _ = tokio::time::timeout(moment, options.clone().open()).await;
                }
                let store = options.open().await.expect("the store opens");
                append(&store, &format!("s-{caller}"), [event(turn)]).await;
                match turn % 2 {
                    0 => store.close().await.expect("the store closes"),
                    _ => drop(store),
                }
            }
        }
    }));
    written.await;
    let mut found = 0;
    for number in 0..NAMESPACES {
        let store = named(number).open().await.expect("the store opens");
        found += log(&store).await.len();
        store.close().await.expect("the store closes");
    }
    assert_eq!(found, callers * turns);
    keeper.close().await.expect("the store closes");
}

async fn create_false_opens_an_existing_namespace(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let again = room.options().create(false).open().await.expect("the store opens");
    assert_eq!(log(&again).await.len(), 1);
    append(&again, "s", [event(2)]).await;
    assert_eq!(log(&store).await.len(), 2);
}

async fn create_false_never_writes(room: Room) {
    for _ in 0..2 {
        assert_eq!(refused(room.options().create(false).open().await).code(), "config");
    }
    assert_eq!(std::fs::read_dir(room.folder()).expect("the folder is read").count(), 0, "no file is created");
    // The same beside an existing namespace.
    let store = room.store().await;
    let beside = || room.options().namespace(format!("{}_b", room.namespace())).create(false);
    for _ in 0..2 {
        assert_eq!(refused(beside().open().await).code(), "config");
    }
    drop(store);
}

async fn an_option_can_be_in_the_url(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let all = format!(
        "?namespace={}&create=false&durability=relaxed&timeout_ms=20000&poll_interval_ms=40&max_connections=2&insecure=false",
        room.namespace()
    );
    let by_url = OpenOptions::new(room.url(&all)).open().await.expect("every option is known");
    assert_eq!(log(&by_url).await.len(), 1);
    let shown = format!("{by_url:?}");
    assert!(
        shown.contains("max_connections: 2") && shown.contains("poll_interval: 40ms") && shown.contains("timeout: 20s"),
        "{shown}"
    );
}

async fn an_unknown_option_in_the_url_is_config(room: Room) {
    for wrong in ["?timeout=5", "?Namespace=a", "?timeout_ms=5000&colour=blue"] {
        assert_eq!(refused(room.options_with(wrong).open().await).code(), "config", "{wrong}");
    }
    for wrong in ["", "nowhere", "nosuch:place", "://"] {
        assert_eq!(refused(OpenOptions::new(wrong).open().await).code(), "config", "{wrong}");
    }
}

async fn a_wrong_value_of_an_option_is_config(room: Room) {
    let wrong = [
        "?create=yes",
        "?timeout_ms=-1",
        "?timeout_ms=0",
        "?max_connections=0",
        "?max_connections=many",
        "?durability=some",
        "?poll_interval_ms=",
        "?insecure=1",
    ];
    for wrong in wrong {
        assert_eq!(refused(room.options_with(wrong).open().await).code(), "config", "{wrong}");
    }
}

async fn a_namespace_name_outside_its_rules_is_refused(room: Room) {
    for wrong in ["", "A", "1a", "a-b", "a b", "a\"", "ä", "a;drop", &"a".repeat(41)] {
        let error = refused(room.options().namespace(wrong).open().await);
        assert_eq!(error.kind(), &ErrorKind::InvalidArgument { argument: "namespace".to_owned() }, "{wrong}");
    }
    let longest = format!("{}{}", room.namespace(), "_".repeat(40 - room.namespace().len()));
    let store = room.options().namespace(longest).open().await.expect("a namespace of 40 letters opens");
    append(&store, "s", [event(1)]).await;
}

/// The first step of a newer library that migrates the namespace of a case.
async fn migrate(room: &Room, limits: &str) {
    let registry = if room.backend() == Backend::Sqlite { "streamkeep_namespaces" } else { "streamkeep.namespaces" };
    room.change(&format!("UPDATE {registry} SET format = 9001, {limits} WHERE name = '{}'", room.namespace())).await;
}

async fn a_newer_format_is_refused_with_both_numbers(room: Room) {
    room.store().await.close().await.expect("the store closes");
    migrate(&room, "min_reader = 9001, min_writer = 9001").await;
    let error = refused(room.open().await);
    assert_eq!(error.code(), "config");
    assert!(error.to_string().contains("9001") && error.to_string().contains("format 1"), "{error}");
}

async fn a_library_too_old_to_write_can_read(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    store.close().await.expect("the store closes");
    migrate(&room, "min_writer = 9001").await;
    let store = room.open().await.expect("the store opens for reading");
    assert_eq!(log(&store).await.len(), 2);
    let import = ImportEvent { stream: "t".to_owned(), version: None, recorded_at: None, event: event(1) };
    let data = Payload::Json("1".to_owned());
    let snapshot = Snapshot { stream: "s".to_owned(), version: 1, schema: "v1".to_owned(), data };
    for error in [
        refused(store.append("s", [event(3)], ExpectedVersion::Any).await),
        refused(store.import_events([import]).await),
        refused(store.save_snapshot(snapshot).await),
    ] {
        assert_eq!((error.code(), error.outcome()), ("config", Outcome::NotApplied), "{error}");
        assert!(error.to_string().contains("9001") && error.to_string().contains("format 1"), "{error}");
    }
    assert_eq!((log(&store).await.len(), stream(&store, "s").await.len()), (2, 2));
    assert!(store.load_snapshot("s", "v1", None).await.expect("the snapshot is loaded").is_none());
}

async fn a_migration_ends_the_writes_of_an_open_store(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    migrate(&room, "min_writer = 9001").await;
    let began = Instant::now();
    let error = loop {
        match store.append("s", [event(2)], ExpectedVersion::Any).await {
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(15), "an old library stops writing"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(error.code() == "config" && error.to_string().contains("9001"), "{error}");
}
