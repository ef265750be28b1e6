//! Postgres' side of the proxy: it cuts at an append's statement, which the server gets together with its commit.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;

use super::super::wire::Incoming;
use super::super::wire::postgres::{Message, Side};
use super::{Cut, Link};

#[derive(Debug)]
pub struct Connection {
    link: Link,
    /// The texts of prepared statements, by name.
    statements: HashMap<Vec<u8>, Vec<u8>>,
    /// What the client has sent since its last Sync; the server gets it together with the next one.
    held: Vec<u8>,
    /// Whether `held` writes events.
    appending: bool,
}

/// What to do with a message of the client.
enum Way {
    Hold,
    Pass,
    Cut(Cut),
}

impl Connection {
    pub fn new(link: Link) -> Self {
        Self { link, statements: HashMap::new(), held: Vec::new(), appending: false }
    }

    pub async fn run(mut self) -> std::io::Result<()> {
        let (mut from_client, mut from_server) = (Incoming::new(Side::CLIENT), Incoming::new(Side::SERVER));
        loop {
            let (client, server) = (&mut self.link.client, &mut self.link.server);
            tokio::select! {
                message = from_client.next(client) => {
                    let Some(message) = message? else { return Ok(()) };
                    if self.link.is_silent() {
                        continue;
                    }
                    if message.asks_for_encryption() {
                        self.link.client.write_all(b"N").await?;
                        continue;
                    }
                    match self.way_of(&message) {
                        Way::Hold => self.held.extend_from_slice(message.bytes()),
                        Way::Pass => {
                            self.held.extend_from_slice(message.bytes());
                            self.link.server.write_all(&self.held).await?;
                            self.held.clear();
                        }
                        Way::Cut(cut) => return self.cut(cut, &message, &mut from_server).await,
                    }
                }
                message = from_server.next(server) => {
                    let Some(message) = message? else { return Ok(()) };
                    if !self.link.is_silent() {
                        self.link.client.write_all(message.bytes()).await?;
                    }
                }
            }
        }
    }

    /// Tracks the texts of prepared statements and whether the current one writes events.
    fn way_of(&mut self, message: &Message) -> Way {
        if let Some((name, text)) = message.parse() {
            self.statements.insert(name.to_vec(), text.to_vec());
        }
        if let Some(name) = message.bind() {
            self.appending |= self.statements.get(name).is_some_and(|text| appends(text));
        }
        self.appending |= message.query().is_some_and(appends);
        if message.waits_for_more() {
            return Way::Hold;
        }
        if !message.synchronises() || !std::mem::take(&mut self.appending) {
            return Way::Pass;
        }
        self.link.armed().take().map_or(Way::Pass, Way::Cut)
    }

    async fn cut(mut self, cut: Cut, last: &Message, from_server: &mut Incoming<Side>) -> std::io::Result<()> {
        self.link.orders.cuts.fetch_add(1, Ordering::SeqCst);
        if cut == Cut::BeforeStatement {
            return Ok(());
        }
        if cut == Cut::BeforeCommit {
            // A separate query, such as a commit, has no second part that could be omitted.
            return self.link.server.write_all(&self.held).await;
        }
        self.held.extend_from_slice(last.bytes());
        if cut == Cut::Delayed {
            return self.delay(from_server).await;
        }
        self.link.server.write_all(&self.held).await?;
        if cut == Cut::AfterStatement {
            return Ok(());
        }
        let mut reply = Vec::new();
        while let Some(message) = from_server.next(&mut self.link.server).await? {
            reply.extend_from_slice(message.bytes());
            if message.is_ready_for_query() {
                break;
            }
        }
        if let Cut::InsideReply(thousandths) = cut {
            self.link.answer_partly(&reply, thousandths).await?;
        }
        Ok(())
    }

    async fn delay(self, from_server: &mut Incoming<Side>) -> std::io::Result<()> {
        let Self { link: Link { client, mut server, orders, .. }, held, .. } = self;
        drop(client);
        orders.deliver.notified().await;
        // The result does not matter: the server may have closed the connection long ago.
        let _ = server.write_all(&held).await;
        while let Ok(Some(message)) = from_server.next(&mut server).await {
            if message.is_ready_for_query() {
                break;
            }
        }
        orders.delivered.notify_one();
        Ok(())
    }
}

/// Whether a statement writes events or commits them.
fn appends(sql: &[u8]) -> bool {
    let sql = String::from_utf8_lossy(sql).to_ascii_lowercase();
    (sql.contains("insert into") && sql.contains("events")) || sql.trim_start().starts_with("commit")
}
