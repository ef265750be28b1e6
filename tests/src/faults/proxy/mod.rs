//! A proxy that parses the database's protocol. It cuts a connection before an append reaches the server, before its
//! reply or inside it. It can also fall silent: connections stay open, and no bytes pass. On MongoDB it has a
//! [`Script`] too.

mod mongodb;
mod postgres;
mod script;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Failed;
use streamkeep_tests::harness::Backend;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use self::mongodb::end_sessions;
pub use self::script::{Action, Script, Seen, refusal};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server does not get the statement.
    BeforeStatement,
    /// The server runs the statement but does not get the commit.
    BeforeCommit,
    /// The server gets the statement, and the client is gone.
    AfterStatement,
    /// The server runs the statement, and no byte of its reply arrives.
    BeforeReply,
    /// This many thousandths of the reply arrive.
    InsideReply(usize),
    /// The client is cut off at once, and the server gets the statement when [`Proxy::deliver`] is called.
    Delayed,
}

/// What the proxy must do, shared with its connections.
#[derive(Debug, Default)]
struct Orders {
    armed: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    refusing: AtomicBool,
    silent: AtomicBool,
    /// How often the proxy fell silent: a connection that is older than the last time stays silent.
    silences: AtomicU64,
    deliver: Notify,
    delivered: Notify,
    script: Script,
}

/// The proxy, which ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    orders: Arc<Orders>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before the server of a URL. Returns it and the URL through it.
    pub async fn before(kind: Backend, url: &str) -> Result<(Self, String), Failed> {
        let mut through = url::Url::parse(url)?;
        let port = if kind == Backend::Mongodb { 27_017 } else { 5_432 };
        let server = (through.host_str().unwrap_or("localhost").to_owned(), through.port().unwrap_or(port));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, orders) = (listener.local_addr()?.port(), Arc::<Orders>::default());
        let listening = tokio::spawn(listen(listener, kind, server, Arc::clone(&orders)));
        through.set_host(Some("127.0.0.1"))?;
        through.set_port(Some(port)).map_err(|()| "the URL takes no port")?;
        if kind == Backend::Mongodb {
            // Without this the driver connects to the address that the server reports.
            through.query_pairs_mut().append_pair("directConnection", "true");
        }
        Ok((Self { orders, listening }, through.into()))
    }

    /// Cuts the next connection that sends an append or its commit.
    pub fn arm(&self, cut: Cut) {
        *self.orders.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.orders.cuts.load(Ordering::SeqCst)
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuse: bool) {
        self.orders.refusing.store(refuse, Ordering::SeqCst);
    }

    /// Sends what was delayed. Ends when the server has answered it or had closed the connection.
    pub async fn deliver(&self) {
        self.orders.deliver.notify_one();
        self.orders.delivered.notified().await;
    }

    /// Stops every byte on old and new connections.
    pub fn fall_silent(&self) {
        self.orders.silences.fetch_add(1, Ordering::SeqCst);
        self.orders.silent.store(true, Ordering::SeqCst);
    }

    /// Lets bytes pass on new connections; those that were open during the silence stay silent.
    pub fn end_silence(&self) {
        self.orders.silent.store(false, Ordering::SeqCst);
    }

    /// The script of answers and the commands that were seen, for MongoDB.
    pub fn script(&self) -> &Script {
        &self.orders.script
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, kind: Backend, server: (String, u16), orders: Arc<Orders>) {
    while let Ok((client, _)) = listener.accept().await {
        if orders.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let (orders, server) = (Arc::clone(&orders), server.clone());
        tokio::spawn(async move {
            let silences_before = orders.silences.load(Ordering::SeqCst);
            let Ok(server) = TcpStream::connect(server).await else { return };
            let link = Link { client, server, orders, silences_before };
            // Both sides are closed when this ends, with or without an error.
            let _ = match kind {
                Backend::Mongodb => mongodb::Connection::new(link).run().await,
                _ => postgres::Connection::new(link).run().await,
            };
        });
    }
}

/// A client's connection and the proxy's connection to the server for it.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    orders: Arc<Orders>,
    silences_before: u64,
}

impl Link {
    fn is_silent(&self) -> bool {
        self.orders.silent.load(Ordering::SeqCst) || self.orders.silences.load(Ordering::SeqCst) > self.silences_before
    }

    /// Where this connection must be cut.
    fn armed(&self) -> std::sync::MutexGuard<'_, Option<Cut>> {
        self.orders.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a part of a reply.
    async fn answer_partly(&mut self, reply: &[u8], thousandths: usize) -> std::io::Result<()> {
        let arrives = (reply.len() * thousandths / 1_000).clamp(1, reply.len().saturating_sub(1));
        self.client.write_all(&reply[..arrives]).await
    }
}
