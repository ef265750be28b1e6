//! Races on Postgres, played step by step with two sessions. In each of them an event store has lost or reordered
//! events.
//!
//! A storm alone does not prove an order. The planted bugs in [`CAUGHT_BY`] make the case beside their name fail.

mod announcing;
mod blocked;
mod joined;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use streamkeep::{Event, EventStore, ReadPageOptions};

use crate::harness::{Backend, Room};
use crate::suite::Case;

/// Planted bugs, and the case that each of them makes fail.
pub const CAUGHT_BY: &[(&str, &str)] = &[
    ("postgres-unannounced", "a_reader_waits_for_a_plain_append_that_drew_its_position_first"),
    ("postgres-announce-after-draw", "a_reader_waits_for_a_plain_append_that_drew_its_position_first"),
    ("postgres-naive-reader", "a_reader_waits_for_an_append_in_an_open_transaction"),
    ("postgres-unsigned-distance", "a_reader_waits_for_an_append_in_an_open_transaction"),
    ("postgres-last-value", "the_first_position_is_1"),
    ("postgres-horizon-as-cursor", "reached_is_the_position_of_a_committed_event"),
    ("postgres-savepoint-forgets", "an_announcement_ends_with_its_savepoint_and_is_made_again"),
    ("postgres-reads-standby", "a_standby_is_refused"),
];

/// The cases, on Postgres alone.
#[must_use]
pub fn cases() -> Vec<Case> {
    const NOT_POSTGRES: &[(Backend, &str)] = &[
        (Backend::Memory, "it has no sessions"),
        (Backend::Sqlite, "it has one writer"),
        (Backend::Mongodb, "its writers take turns and announce nothing"),
    ];
    let cases = [announcing::cases(), joined::cases(), blocked::cases()].into_iter().flatten();
    cases.map(|case| case.lacking(NOT_POSTGRES)).collect()
}

/// Opens a session without the store.
async fn session(room: &Room) -> PgConnection {
    PgConnection::connect(&room.server()).await.expect("the session connects")
}

async fn run(session: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await.expect("the statement succeeds");
}

/// Inserts an event without the store, so that an append of the same version waits for this session.
async fn block(session: &mut PgConnection, room: &Room, stream: &str, version: u64) {
    let schema = format!("streamkeep_{}", room.namespace());
    let columns = "position, stream, version, id, type, data, recorded_at, size";
    let values =
        format!("nextval('{schema}.positions'), '{stream}', {version}, gen_random_uuid(), 'Foreign', '{{}}', now(), 1");
    run(session, format!("begin; insert into {schema}.events ({columns}) values ({values})")).await;
}

/// Ends when an append of the case's namespace waits for a lock.
async fn until_one_waits(session: &mut PgConnection, room: &Room) {
    let ask = format!(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%insert into streamkeep_{}.events%' and pid <> pg_backend_pid()",
        room.namespace()
    );
    loop {
        let row = sqlx::raw_sql(AssertSqlSafe(ask.clone())).fetch_one(&mut *session).await.expect("the query succeeds");
        if row.get::<i64, _>(0) > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn event() -> Event {
    Event::json_text("Happened", "{}")
}

/// Appends one event and returns its position.
async fn append(store: &EventStore, stream: &str) -> u64 {
    store.append(stream, [event()], streamkeep::ExpectedVersion::Any).await.expect("the append commits").position
}

/// A reader that keeps its cursor and the events that it saw.
struct Reader<'a> {
    store: &'a EventStore,
    after: u64,
    seen: Vec<(u64, String)>,
}

impl<'a> Reader<'a> {
    fn new(store: &'a EventStore) -> Self {
        Self { store, after: 0, seen: Vec::new() }
    }

    /// Reads until it has caught up.
    async fn read(&mut self) {
        loop {
            let page = self
                .store
                .read_page(ReadPageOptions { after: self.after, ..ReadPageOptions::default() })
                .await
                .expect("the page is read");
            self.seen.extend(page.events.iter().map(|event| (event.position, event.stream.clone())));
            assert!(page.reached >= self.after, "a reader never goes back");
            self.after = page.reached;
            if page.caught_up {
                return;
            }
        }
    }

    /// Checks that it saw every event of the log once and in order.
    async fn saw_everything(&self) {
        let mut whole = Reader::new(self.store);
        whole.read().await;
        assert_eq!(self.seen, whole.seen, "the reader saw the events of the log");
        assert!(self.seen.is_sorted_by_key(|(position, _)| *position));
    }
}
