//! The same on MongoDB, through its own driver.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Client, ClientSession, Collection, Database};
use tokio::sync::{Mutex, MutexGuard};

use crate::harness::Room;

/// An open transaction that has changed where the log stands: whoever appends has to wait for its end.
#[derive(Debug)]
pub struct Turn(ClientSession);

impl Turn {
    pub(super) async fn take(room: &Room) -> Self {
        let heads = collection(room, &room.table("heads")).await;
        let mut session = heads.client().start_session().await.expect("a session");
        session.start_transaction().await.expect("a transaction");
        let taken = heads
            .update_one(doc! { "_id": "" }, doc! { "$set": { "locked": true } })
            .session(&mut session)
            .await
            .expect("the lock");
        assert_eq!(taken.modified_count, 1, "the log has a document");
        Self(session)
    }

    pub(super) async fn give_back(mut self) {
        self.0.abort_transaction().await.expect("the transaction ends");
    }
}

/// How long a held-up read is held: longer than any deadline of a case.
const HELD_MS: i32 = 5_000;

/// A server that does not answer the case's own reads.
#[derive(Debug)]
pub struct DeafToReads {
    client: Client,
    _turn: MutexGuard<'static, ()>,
}

/// A server has one fail point for commands: a second case that sets it replaces the first one's.
static FAIL_COMMAND: Mutex<()> = Mutex::const_new(());

impl DeafToReads {
    /// Needs a server whose test commands are enabled, as those are that the tests start.
    pub(super) async fn make(room: &Room) -> Self {
        let turn = FAIL_COMMAND.lock().await;
        let client = Client::with_uri_str(room.base()).await.expect("the server");
        let held = doc! { "failCommands": ["find"], "blockConnection": true, "blockTimeMS": HELD_MS, "appName": room.namespace() };
        let point = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": held };
        client.database("admin").run_command(point).await.expect("a server with enableTestCommands=1");
        Self { client, _turn: turn }
    }

    pub(super) async fn end(self) {
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        self.client.database("admin").run_command(off).await.expect("it is switched off");
    }
}

async fn database(room: &Room) -> Database {
    let client = Client::with_uri_str(room.base()).await.expect("the server");
    client.default_database().expect("the URL names a database")
}

async fn collection(room: &Room, name: &str) -> Collection<Document> {
    database(room).await.collection(name)
}

/// Runs the one kind of statement that cases damage things with, `UPDATE name SET a = 1, b = 'text' WHERE c = 2`, as an
/// update of documents; answers how many were changed.
pub(super) async fn update(room: &Room, statement: &str) -> u64 {
    let wrong = || panic!("no statement for a collection: {statement}");
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
    // What the registry of other databases says of a namespace stands in the log's head.
    let (name, filter) = if field == "name" {
        (room.table("heads"), doc! { "_id": "" })
    } else {
        (name.to_owned(), doc! { field: literal(field, value) })
    };
    let operators = [("$set", set), ("$inc", increase)].into_iter().filter(|(_, fields)| !fields.is_empty());
    let update: Document = operators.map(|(operator, fields)| (operator.to_owned(), Bson::Document(fields))).collect();
    collection(room, &name).await.update_many(filter, update).await.expect("the update").modified_count
}

/// A number, or a text in quotes, as the field has it: ids are binary, data is the value of a JSON text.
fn literal(field: &str, text: &str) -> Bson {
    let Some(inner) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) else {
        return Bson::Int64(text.parse().expect("a number"));
    };
    match field {
        "event_id" => Bson::Binary(Binary {
            subtype: BinarySubtype::Uuid,
            bytes: inner.parse::<uuid::Uuid>().expect("an id").into_bytes().to_vec(),
        }),
        "data" => Bson::String(serde_json::from_str(inner).expect("the JSON text of a string")),
        _ => Bson::String(inner.to_owned()),
    }
}
