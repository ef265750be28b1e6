//! Cases for Postgres alone: URLs as libpq reads them, roles and privileges, connections that namespaces share, and
//! servers that only resemble Postgres.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use streamkeep::{EventStore, OpenOptions, Outcome, Start, SubscribeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Sql, append, event, events, log, refused, snapshot_at};
use crate::harness::{Backend, Room};
use crate::servers::PostgresServer;
use crate::suite::Case;

const NOT_POSTGRES: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no server"),
    (Backend::Sqlite, "it has no server"),
    (Backend::Mongodb, "the case is for Postgres"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_url_names_a_folder_of_sockets_as_libpq_does: lacking NOT_POSTGRES,
        a_password_file_is_searched_with_the_parameters_of_the_url: lacking NOT_POSTGRES,
        a_role_without_create_can_use_schemas_of_an_administrator: lacking NOT_POSTGRES,
        an_append_to_a_read_only_database_fails_at_once: lacking NOT_POSTGRES,
        an_append_to_a_full_disk_fails_at_once: lacking NOT_POSTGRES,
        at_most_one_call_waits_for_dead_connections: lacking NOT_POSTGRES,
        namespaces_of_a_database_share_their_connections: lacking NOT_POSTGRES,
        an_open_that_waits_delays_no_other_namespace: lacking NOT_POSTGRES,
        a_namespace_that_was_dropped_is_made_again_once_all_its_stores_are_closed: lacking NOT_POSTGRES,
        only_an_erasure_changes_an_event_and_it_keeps_its_position: lacking NOT_POSTGRES,
        a_server_whose_locks_are_not_listed_is_refused: lacking NOT_POSTGRES,
        a_server_with_wrong_sequence_values_is_refused: lacking NOT_POSTGRES,
    ]
}

async fn server_with(settings: &'static [(&'static str, &'static str)]) -> PostgresServer {
    let start = || PostgresServer::start_with(settings);
    tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts")
}

async fn a_url_names_a_folder_of_sockets_as_libpq_does(room: Room) {
    let folder = room.folder().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))
        .expect("the folder's permissions are set");
    let folder = folder.to_str().expect("the path is UTF-8").to_owned();
    let sockets = folder.clone();
    let start = move || PostgresServer::start_with(&[("unix_socket_directories", &sockets)]);
    let server = tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts");
    let port = server.port();
    for url in [
        format!("postgres:///postgres?host={folder}&port={port}&user=streamkeep"),
        format!("postgres://streamkeep@/postgres?host={folder}&port={port}"),
        format!("postgres://streamkeep:secret@/postgres?host={folder}&port={port}"),
        format!("postgres://streamkeep@{}:{port}/postgres", folder.replace('/', "%2F")),
    ] {
        let opened = EventStore::open(url.as_str()).await;
        append(&opened.unwrap_or_else(|error| panic!("{url}: {error}")), "s", [event(1)]).await;
    }
}

async fn a_password_file_is_searched_with_the_parameters_of_the_url(room: Room) {
    let rules = room.folder().join("hba");
    std::fs::write(&rules, "host all streamkeep 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        .expect("the file of rules is written");
    std::fs::set_permissions(room.folder(), std::fs::Permissions::from_mode(0o755))
        .expect("the folder's permissions are set");
    let rules = rules.to_str().expect("the path is UTF-8").to_owned();
    let start = move || PostgresServer::start_with(&[("hba_file", &rules)]);
    let server = tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts");
    Sql::connect(&server.url()).await.run("create role app superuser login password 'a:b'").await;
    let passwords = room.folder().join("passwords");
    std::fs::write(&passwords, format!("other:*:*:app:x\n127.0.0.1:{}:postgres:app:a\\:b\n", server.port()))
        .expect("the password file is written");
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600))
        .expect("the file's permissions are set");
    let url = format!(
        "postgres://other/elsewhere?host=127.0.0.1&port={}&user=app&dbname=postgres&passfile={}",
        server.port(),
        passwords.display()
    );
    append(&EventStore::open(url).await.expect("the password is found"), "s", [event(1)]).await;
}

async fn a_role_without_create_can_use_schemas_of_an_administrator(room: Room) {
    let server = server_with(&[]).await;
    let mut sql = Sql::connect(&server.url()).await;
    let schema = format!("streamkeep_{}", room.namespace());
    for statement in [
        "create role app login".to_owned(),
        "create schema streamkeep authorization app".to_owned(),
        format!("create schema {schema} authorization app"),
    ] {
        sql.run(&statement).await;
    }
    let url = server.url().replace("streamkeep@", "app@");
    let options = OpenOptions::new(url).namespace(room.namespace());
    let store = options.clone().open().await.expect("the store opens");
    append(&store, "s", [event(1)]).await;
    let error = refused(options.namespace("another").open().await);
    assert!(error.code() == "config" && error.to_string().contains("permission denied"), "{error}");
}

/// Checks that an append is refused long before its deadline, with the server's words.
async fn assert_fails_at_once(store: &EventStore, words: &str) {
    let began = Instant::now();
    let error = refused(store.append("s", [event(2)], streamkeep::ExpectedVersion::Any).await);
    assert_eq!((error.code(), error.outcome()), ("unavailable", Outcome::NotApplied), "{error}");
    assert!(error.to_string().contains(words) && !error.to_string().contains("deadline"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "the append took {:?}", began.elapsed());
}

async fn an_append_to_a_read_only_database_fails_at_once(room: Room) {
    let server = server_with(&[]).await;
    let options = OpenOptions::new(server.url()).namespace(room.namespace());
    let store = options.clone().open().await.expect("the store opens");
    append(&store, "s", [event(1)]).await;
    let mut sql = Sql::connect(&server.url()).await;
    sql.run("alter system set default_transaction_read_only = on").await;
    sql.run("select pg_reload_conf()").await;
    // Each session of the server reads the setting at a time of its own.
    let mut stored = 1;
    while store.append("s", [event(2)], streamkeep::ExpectedVersion::Any).await.is_ok() {
        stored += 1;
    }
    assert_fails_at_once(&store, "read-only transaction").await;
    let fresh = options.clone().max_connections(1).open().await.expect("the store opens for reading");
    assert_fails_at_once(&fresh, "read-only transaction").await;
    assert_eq!(log(&fresh).await.len(), stored);
    assert_eq!(refused(options.namespace("missing").open().await).code(), "unavailable");
}

async fn an_append_to_a_full_disk_fails_at_once(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let schema = format!("streamkeep_{}", room.namespace());
    Sql::connect(&room.server())
        .await
        .run(&format!(
            "create function {schema}.full() returns trigger language plpgsql as $$ begin \
             raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$; \
             create trigger full_disk before insert on {schema}.events for each statement execute function {schema}.full()"
        ))
        .await;
    assert_fails_at_once(&store, "No space left on device").await;
}

/// Forwards connections to a server until it is told to forget them; from then on those connections pass no bytes.
async fn proxy_that_can_forget(server: String) -> (u16, watch::Sender<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the proxy listens");
    let port = listener.local_addr().expect("the address is known").port();
    let (forget, forgotten) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (server, mut forgotten) = (server.clone(), forgotten.clone());
            forgotten.mark_unchanged();
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(server).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = forgotten.changed() => {
                        let _ = server.shutdown().await;
                        // The connection stays open and silent.
                        let mut buffer = [0; 1024];
                        while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                    }
                }
            });
        }
    });
    (port, forget)
}

async fn at_most_one_call_waits_for_dead_connections(room: Room) {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let server = url::Url::parse(room.base()).expect("the URL is valid");
    let (port, forget) = proxy_that_can_forget(format!(
        "{}:{}",
        server.host_str().expect("the URL has a host"),
        server.port().unwrap_or(5432)
    ))
    .await;
    let mut through = server;
    through.set_host(Some("127.0.0.1")).expect("the host is set");
    through.set_port(Some(port)).expect("the port is set");
    let store = OpenOptions::new(through.as_str())
        .namespace(room.namespace())
        .timeout(TIMEOUT)
        .open()
        .await
        .expect("the store opens");
    append(&store, "s", [event(1)]).await;
    for call in ["append", "read"] {
        // Opens all ten connections of the pool.
        let readers = (0..200).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { log(&store).await.len() })
        });
        for reader in readers.collect::<Vec<_>>() {
            assert!(reader.await.expect("the task ends") > 0);
        }
        forget.send_modify(|times| *times += 1);
        let mut failed = 0;
        loop {
            let done = if call == "append" {
                store.append("s", [event(2)], streamkeep::ExpectedVersion::Any).await.map(drop)
            } else {
                store.read_page(streamkeep::ReadPageOptions::default()).await.map(drop)
            };
            match done {
                Ok(()) => break,
                Err(error) => assert_eq!(error.code(), "unavailable", "{error}"),
            }
            failed += 1;
            assert!(failed <= 1, "{call}: {failed} calls waited for dead connections");
        }
    }
}

async fn namespaces_of_a_database_share_their_connections(room: Room) {
    if room.is_pooled() {
        // The server sees the connections of the pooler, not of the store.
        return;
    }
    let mut stores = Vec::new();
    let mut subscriptions = Vec::new();
    for number in 0..6 {
        let options = room
            .options_with(&format!("?application_name={}", room.namespace()))
            .namespace(format!("{}_{number}", room.namespace()))
            .max_connections(2);
        let store = options.open().await.expect("the namespace opens");
        append(&store, "s", [event(number)]).await;
        let options = SubscribeOptions { start: Some(Start::Beginning), ..SubscribeOptions::default() };
        subscriptions.push(store.subscribe(options));
        stores.push(store);
    }
    for subscription in &mut subscriptions {
        for _ in 0..2 {
            futures::TryStreamExt::try_next(subscription).await.expect("the subscription gives its next item");
        }
    }
    let ask = format!("select count(*) from pg_stat_activity where application_name = '{}'", room.namespace());
    let mut sql = Sql::connect(&room.server()).await;
    let connections: u64 = sql.value(&ask).await.parse().expect("the answer is a number");
    assert!((1..=3).contains(&connections), "{connections} connections for a pool of 2 and one that listens");
    // A namespace that closes takes no connection from the others.
    for store in stores.drain(1..) {
        store.close().await.expect("the store closes");
    }
    append(&stores[0], "s", [event(9)]).await;
    stores[0].close().await.expect("the store closes");
    while sql.value(&ask).await != "0" {
        tokio::task::yield_now().await;
    }
}

async fn an_open_that_waits_delays_no_other_namespace(room: Room) {
    if room.is_pooled() {
        // The server sees the connections of the pooler, not of the store.
        return;
    }
    let options = |number: usize| {
        let name = format!("{}_{number}", room.namespace());
        room.options_with(&format!("?application_name={}", room.namespace())).namespace(name)
    };
    let (first, second) = (
        options(1).open().await.expect("the namespace opens"),
        options(2).open().await.expect("the other namespace opens"),
    );
    second.close().await.expect("the store closes");
    // Every client that creates a namespace takes this lock.
    let mut sql = Sql::connect(&room.server()).await;
    sql.run("begin; select pg_advisory_xact_lock(x'73747265616d6b70'::bigint)").await;
    let waiting = tokio::spawn(options(3).open());
    let of_ours = format!("from pg_stat_activity where application_name = '{}'", room.namespace());
    while sql.value(&format!("select count(*) {of_ours} and wait_event = 'advisory'")).await == "0" {
        tokio::task::yield_now().await;
    }
    let second = options(2).timeout(Duration::from_secs(10)).open().await.expect("the second namespace opens");
    first.close().await.expect("the store closes");
    second.close().await.expect("the store closes");
    // The caller is cancelled, and its connections are closed.
    waiting.abort();
    sql.run("commit").await;
    while sql.value(&format!("select count(*) {of_ours}")).await != "0" {
        tokio::task::yield_now().await;
    }
}

async fn a_namespace_that_was_dropped_is_made_again_once_all_its_stores_are_closed(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let mut sql = Sql::connect(&room.server()).await;
    sql.run(&format!("drop schema streamkeep_{} cascade", room.namespace())).await;
    sql.run(&format!("delete from streamkeep.namespaces where name = '{}'", room.namespace())).await;
    // A store that opens it shares it with the first one.
    let second = room.store().await;
    let began = Instant::now();
    loop {
        let error = refused(second.head().await);
        assert_eq!(error.code(), "config", "{error}");
        if error.to_string().contains("close every store on it") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.close().await.expect("the store closes");
    second.close().await.expect("the store closes");
    let third = room.store().await;
    assert_eq!(append(&third, "s", [event(1)]).await.version, 1);
}

async fn only_an_erasure_changes_an_event_and_it_keeps_its_position(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    let table = format!("streamkeep_{}.events", room.namespace());
    let mut sql = Sql::connect(&room.server()).await;
    let removal = "type = null, schema = null, tags = null, metadata = null, data = null, data_bytes = null";
    for wrong in [
        format!("update {table} set {removal} where version = 2"),
        format!("delete from {table} where version = 2"),
        format!("begin; set local streamkeep.erase = on; delete from {table} where version = 2; commit"),
        format!("begin; set local streamkeep.erase = on; truncate {table}; commit"),
        format!("begin; set local streamkeep.erase = on; update {table} set version = 9 where version = 2; commit"),
        format!(
            "begin; set local streamkeep.erase = on; update {table} set id = gen_random_uuid() where version = 2; commit"
        ),
    ] {
        let refusal = sql.try_run(&wrong).await.expect_err("the call is refused");
        assert!(refusal.contains("never changed"), "{wrong}: {refusal}");
        sql.run("rollback").await;
    }
    sql.run(&format!("begin; set local streamkeep.erase = on; update {table} set {removal} where version = 2; commit"))
        .await;
    assert_eq!(sql.value(&format!("select count(*) from {table} where type is null")).await, "1");
    snapshot_at(&store, 2).await;
}

/// Checks that a store does not open on a server that a statement makes answer incorrectly.
async fn assert_server_is_refused(room: Room, change: &str, words: &str) {
    let server = server_with(&[("allow_system_table_mods", "on")]).await;
    let real = OpenOptions::new(server.url()).namespace(room.namespace()).open().await.expect("the store opens");
    append(&real, "s", [event(1)]).await;
    real.close().await.expect("the store closes");
    Sql::connect(&server.url()).await.run(change).await;
    let options = OpenOptions::new(server.url()).namespace(room.namespace());
    let assert_refused = |error: streamkeep::Error| {
        assert!(error.code() == "config" && error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("PostgreSQL "), "the error names the server: {error}");
    };
    assert_refused(refused(options.clone().open().await));
    // An open that writes nothing succeeds, and the first write is refused.
    let reader = options.create(false).open().await.expect("the store opens without a write");
    assert_eq!(log(&reader).await.len(), 1);
    assert_refused(refused(reader.append("s", [event(2)], streamkeep::ExpectedVersion::Any).await));
    assert_eq!(log(&reader).await.len(), 1);
}

async fn a_server_whose_locks_are_not_listed_is_refused(room: Room) {
    // The planner inlines this function into the statement; a called one would run the server's own code.
    let change = "create or replace function pg_catalog.pg_advisory_xact_lock_shared(int, int) returns void \
                    language sql as 'select pg_catalog.pg_sleep(0)'";
    assert_server_is_refused(room, change, "pg_locks").await;
}

async fn a_server_with_wrong_sequence_values_is_refused(room: Room) {
    let change = "create or replace function pg_catalog.pg_sequence_last_value(regclass) returns bigint \
                    language sql as 'select 1::bigint'";
    assert_server_is_refused(room, change, "sequence").await;
}
