//! MongoDB by hand, over one connection: the transaction that an append needs, `insert_many` for batches, `find` for
//! reads, all with majority and journal, on a collection with the store's indexes. It checks for no repeats, caches no
//! heads and retries nothing, because no other connection interferes.

use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use futures::TryStreamExt;
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReadConcern, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};
use serde::{Deserialize, Serialize};

use super::{Decoded, Driver, count};
use crate::workload::Workload;

/// The counter of the transactions begins here; `insert_many` uses positions below it, without the counter.
const COUNTED_FROM: i64 = 1 << 40;

/// An event's document, with the store's fields.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "_id")]
    id: Uuid,
    position: i64,
    stream: String,
    version: i64,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    recorded_at: DateTime,
    data: Document,
    metadata: Document,
}

/// The last version of a stream.
#[derive(Deserialize)]
struct Head {
    version: i64,
}

/// The counter after a change.
#[derive(Deserialize)]
struct Counter {
    position: i64,
    at: DateTime,
}

pub(super) struct Mongodb {
    client: Client,
    database: Database,
    events: Collection<Stored>,
    /// The same collection, to find a stream's last event.
    heads: Collection<Head>,
    counter: Collection<Counter>,
    /// The last position of `insert_many`.
    inserted: AtomicI64,
    data: Document,
    metadata: Document,
    run: String,
    workload: &'static Workload,
}

impl Mongodb {
    pub(super) async fn open(url: &str, run: &str, workload: &'static Workload) -> Result<Self> {
        let mut options = ClientOptions::parse(url).await?;
        options.max_pool_size = Some(1);
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(durable());
        let client = Client::with_options(options)?;
        let database = client.default_database().unwrap_or_else(|| client.database("streamkeep"));
        let events = database.collection::<Stored>(&format!("raw_{run}_events"));
        let unique =
            |keys| IndexModel::builder().keys(keys).options(IndexOptions::builder().unique(true).build()).build();
        // Like the store's index, it has only documents with tags.
        let tagged = IndexOptions::builder().partial_filter_expression(doc! { "tags": { "$exists": true } }).build();
        let tags = IndexModel::builder().keys(doc! { "tags": 1, "position": 1 }).options(tagged).build();
        events
            .create_indexes([unique(doc! { "position": 1 }), unique(doc! { "stream": 1, "version": 1 }), tags])
            .await?;
        let counter = database.collection(&format!("raw_{run}_counter"));
        counter.clone_with_type::<Document>().insert_one(doc! { "_id": "log", "position": COUNTED_FROM }).await?;
        Ok(Self {
            client,
            database,
            heads: events.clone_with_type(),
            events,
            counter,
            inserted: AtomicI64::new(0),
            data: serde_json::from_str(&workload.data)?,
            metadata: serde_json::from_str(&workload.metadata)?,
            run: run.to_owned(),
            workload,
        })
    }

    fn event(&self, stream: &str, version: i64, position: i64, recorded_at: DateTime) -> Stored {
        Stored {
            id: Uuid::from_bytes(uuid::Uuid::now_v7().into_bytes()),
            position,
            stream: stream.to_owned(),
            version,
            r#type: self.workload.r#type.clone(),
            schema: None,
            tags: None,
            recorded_at,
            data: self.data.clone(),
            metadata: self.metadata.clone(),
        }
    }
}

#[async_trait]
impl Driver for Mongodb {
    /// More callers would only be refused, because a transaction locks the counter until its commit.
    fn callers(&self) -> u32 {
        1
    }

    /// Increments the counter, finds the stream's version, inserts and commits.
    async fn insert_one(&self, stream: &str, version: i64) -> Result<()> {
        let mut session = self.client.start_session().await?;
        session.start_transaction().read_concern(ReadConcern::majority()).write_concern(durable()).await?;
        let next = vec![doc! { "$set": { "position": { "$add": ["$position", 1_i64] }, "at": "$$NOW" } }];
        let counter = self
            .counter
            .find_one_and_update(doc! { "_id": "log" }, next)
            .return_document(ReturnDocument::After)
            .session(&mut session)
            .await?;
        let counter = counter.context("the counter must exist")?;
        // From the expected version on, because SecantusDB visits every matching document even for one result.
        let expected = doc! { "stream": stream, "version": { "$gte": version - 1 } };
        let last =
            self.heads.find_one(expected).sort(doc! { "version": -1 }).projection(doc! { "_id": 0, "version": 1 });
        let head = last.session(&mut session).await?.map_or(0, |head| head.version);
        ensure!(head + 1 == version, "{stream} is at {head}");
        self.events.insert_one(self.event(stream, version, counter.position, counter.at)).session(&mut session).await?;
        Ok(session.commit_transaction().await?)
    }

    async fn insert_many(&self, stream: &str, first_version: i64, count: u32) -> Result<()> {
        let first_position = self.inserted.fetch_add(i64::from(count), Ordering::Relaxed) + 1;
        let now = DateTime::now();
        let events: Vec<Stored> =
            (0..i64::from(count)).map(|n| self.event(stream, first_version + n, first_position + n, now)).collect();
        self.events.insert_many(events).await?;
        Ok(())
    }

    /// One streamed find.
    async fn read(&self, stream: Option<&str>, limit: u32) -> Result<u32> {
        let (filter, order) = match stream {
            Some(stream) => (doc! { "stream": stream }, doc! { "version": 1 }),
            None => (doc! {}, doc! { "position": 1 }),
        };
        let found = self.events.find(filter).sort(order).limit(i64::from(limit)).await?;
        count(found.map_ok(|event| Decoded {
            bytes: event.stream.len() + event.r#type.len() + event.data.len() + event.metadata.len(),
        }))
        .await
    }

    /// Drops the collections of this run: its own and those of the store's namespaces.
    async fn drop_run(&self) -> Result<()> {
        let (own, store) = (format!("raw_{}_", self.run), format!("bench_{}_", self.run));
        for name in self.database.list_collection_names().await? {
            if name.starts_with(&own) || name.strip_prefix("streamkeep.").is_some_and(|name| name.starts_with(&store)) {
                self.database.collection::<Document>(&name).drop().await?;
            }
        }
        let namespaces = self.database.collection::<Document>("streamkeep.namespaces");
        namespaces.delete_many(doc! { "_id": { "$regex": format!("^{store}") } }).await?;
        Ok(())
    }
}

fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}
