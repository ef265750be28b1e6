//! The same access on MongoDB, through its driver.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::sync::{Mutex, MutexGuard};

use crate::harness::Room;

/// An open transaction that has changed the head of the log: every append waits for its end.
#[derive(Debug)]
pub struct OpenTransaction(ClientSession);

impl OpenTransaction {
    pub(super) async fn take(room: &Room) -> Self {
        let heads = collection(room, &room.table("heads")).await;
        let mut session = heads.client().start_session().await.expect("the session starts");
        session.start_transaction().await.expect("the transaction begins");
        let taken = heads
            .update_one(doc! { "_id": "" }, doc! { "$set": { "locked": true } })
            .session(&mut session)
            .await
            .expect("the head is updated");
        assert_eq!(taken.modified_count, 1, "the log has a head");
        Self(session)
    }

    pub(super) async fn end(mut self) {
        self.0.abort_transaction().await.expect("the transaction ends");
    }
}

/// How long the server delays a read: longer than any deadline of a case.
const DELAY_MS: i32 = 5_000;

/// A server that delays every read of the case.
#[derive(Debug)]
pub struct DelayedReads {
    client: Client,
    _slot: MutexGuard<'static, ()>,
}

/// A server has only one fail point for commands, so one case at a time may set it.
static FAIL_COMMAND: Mutex<()> = Mutex::const_new(());

impl DelayedReads {
    /// The server must permit test commands, as those that the tests start do.
    pub(super) async fn make(room: &Room) -> Self {
        let slot = FAIL_COMMAND.lock().await;
        let client = Client::with_uri_str(room.base()).await.expect("the client connects");
        let held = doc! { "failCommands": ["find"], "blockConnection": true, "blockTimeMS": DELAY_MS, "appName": room.namespace() };
        let point = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": held };
        client.database("admin").run_command(point).await.expect("the server permits test commands");
        Self { client, _slot: slot }
    }

    pub(super) async fn end(self) {
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        self.client.database("admin").run_command(off).await.expect("the fail point is removed");
    }
}

async fn database(room: &Room) -> Database {
    let client = Client::with_uri_str(room.base()).await.expect("the client connects");
    client.default_database().expect("the URL names a database")
}

async fn collection(room: &Room, name: &str) -> Collection<Document> {
    database(room).await.collection(name)
}

/// Runs an `UPDATE name SET a = 1, b = 'text' WHERE c = 2`, the only statement that cases use, as an update of
/// documents. Returns how many it changed.
pub(super) async fn update(room: &Room, statement: &str) -> u64 {
    let wrong = || panic!("this statement is not supported: {statement}");
    let words = statement.strip_prefix("UPDATE ").and_then(|rest| rest.split_once(" SET "));
    let Some((name, (changes, condition))) = words.and_then(|(name, rest)| Some((name, rest.split_once(" WHERE ")?)))
    else {
        wrong()
    };
    let (mut set, mut increase) = (Document::new(), Document::new());
    for change in changes.split(", ") {
        let Some((field, value)) = change.split_once(" = ") else { wrong() };
        match value.strip_prefix(&format!("{field} + ")) {
            Some(more) => increase.insert(field, literal(field, more)),
            None => set.insert(field, literal(field, value)),
        };
    }
    let Some((field, value)) = condition.split_once(" = ") else { wrong() };
    // The log's head has the fields that the other databases have in their registry of namespaces.
    let (name, filter) = if field == "name" {
        (room.table("heads"), doc! { "_id": "" })
    } else {
        (name.to_owned(), doc! { field: literal(field, value) })
    };
    let operators = [("$set", set), ("$inc", increase)].into_iter().filter(|(_, fields)| !fields.is_empty());
    let update: Document = operators.map(|(operator, fields)| (operator.to_owned(), Bson::Document(fields))).collect();
    collection(room, &name).await.update_many(filter, update).await.expect("the update succeeds").modified_count
}

/// A number or a quoted text as its field stores it: ids are binary, data is the value of a JSON text.
fn literal(field: &str, text: &str) -> Bson {
    let Some(inner) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) else {
        return Bson::Int64(text.parse().expect("the text is a number"));
    };
    match field {
        "event_id" => Bson::Binary(Binary {
            subtype: BinarySubtype::Uuid,
            bytes: inner.parse::<uuid::Uuid>().expect("the text is an id").into_bytes().to_vec(),
        }),
        "data" => Bson::String(serde_json::from_str(inner).expect("the text is JSON")),
        _ => Bson::String(inner.to_owned()),
    }
}
