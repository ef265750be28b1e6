//! MongoDB: one document an event, and one for the head of the log, whose changes serialise the writers.
//!
//! A group of appends is one transaction that changes the log's head first ([`transaction`]); readers go as far as that says ([`read`]).

mod abandoned;
mod append;
mod connect;
mod document;
mod error;
mod heads;
mod import;
mod json;
mod names;
mod query;
mod read;
mod schema;
mod snapshot;
mod transaction;
mod watch;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::abandoned::Writers;
use self::connect::{connect, write_concern};
use self::names::Names;
use self::transaction::Writer;
use self::watch::Watcher;
use self::work::Work;
use super::{
    AppendRequest, Appended, EventBackend, ImportRequest, Imported, LogPage, LogPageRequest, Opened, SnapshotBackend, SnapshotRecord, StreamPage,
    StreamPageRequest,
};
use crate::error::Result;
use crate::store::OpenOptions;

/// The log's head lets one transaction go at a time; a second would only be refused.
const LANES: usize = 1;
/// A transaction costs several times as much, most of it whatever its size.
const GATHERING: Duration = Duration::from_millis(1);

/// Opens a namespace of a MongoDB database; makes what is missing, if that is allowed.
pub(crate) async fn open(location: &str, parameters: &[(String, String)], options: &OpenOptions) -> Result<Opened> {
    let deadline = Instant::now() + options.timeout;
    let connected = connect(location, parameters, options).await?;
    let names = Names::new(&options.namespace, connected.client.database(&connected.database));
    let work = Work::new(connected.client, options.max_connections);
    let epoch = match schema::open(&work, &names, options, deadline).await {
        Ok(epoch) => epoch,
        Err(error) => {
            work.close().await;
            return Err(error);
        }
    };
    let watcher = Watcher::new(connected.options, &connected.database, names.events.name());
    let mongo = Arc::new(Mongo {
        writer: Arc::new(Writer { names, epoch, write_concern: write_concern(options.durability), writers: Writers::default() }),
        work,
        watcher,
    });
    Ok(Opened {
        events: Arc::<Mongo>::clone(&mongo),
        snapshots: mongo,
        #[cfg(feature = "postgres")]
        postgres: None,
    })
}

/// One namespace of a MongoDB database.
pub(crate) struct Mongo {
    writer: Arc<Writer>,
    work: Work,
    watcher: Watcher,
}

impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mongo").field("namespace", &self.writer.names.namespace).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventBackend for Mongo {
    fn lanes(&self) -> usize {
        LANES
    }

    fn gathering(&self) -> Duration {
        GATHERING
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        self.append_group(group).await
    }

    async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        self.import_whole(request).await
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        self.page_of_stream(request).await
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        self.page_of_log(request).await
    }

    async fn head(&self, deadline: Instant) -> Result<u64> {
        self.head_of_log(deadline).await
    }

    async fn change_mark(&self, deadline: Instant) -> Result<u64> {
        self.head_of_log(deadline).await
    }

    async fn hinted(&self) {
        self.watcher.hinted().await;
    }

    async fn close(&self) {
        self.watcher.close();
        self.work.close().await;
    }
}

#[async_trait]
impl SnapshotBackend for Mongo {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.save_snapshot(record, deadline).await
    }

    async fn load(&self, stream: &str, schema: &str, at_or_before: u64, deadline: Instant) -> Result<Option<SnapshotRecord>> {
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
