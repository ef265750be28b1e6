//! A proxy that knows the database's protocol well enough to cut a connection at a place of the append: before it is
//! sent on, before its reply, inside its reply. It can also go silent: connections stay open, and no bytes pass. On
//! MongoDB it has a [`Script`] as well.

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
pub use self::script::{Deed, Script, Seen, refusal};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees the statement.
    BeforeStatement,
    /// The server runs it, and never hears that it may commit.
    BeforeCommit,
    /// The server sees it, and nobody waits for what it does.
    AfterStatement,
    /// The server has done it, and nothing of its reply arrives.
    BeforeReply,
    /// So many thousandths of the reply arrive.
    InsideReply(usize),
    /// The client is cut off at once; the server sees the statement only when [`Proxy::deliver`] says so.
    Delayed,
}

/// What the proxy is to do; shared with its connections.
#[derive(Debug, Default)]
struct Orders {
    armed: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    refusing: AtomicBool,
    dark: AtomicBool,
    /// Connections made before the last darkness stay dark.
    darkness: AtomicU64,
    deliver: Notify,
    delivered: Notify,
    script: Script,
}

/// The proxy. Ends with its handle.
#[derive(Debug)]
pub struct Proxy {
    orders: Arc<Orders>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before the server that a URL names; answers it and the URL to use instead.
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
            // Else the driver goes where the server says that it is.
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

    /// Sends on what was delayed; answers when the server has done with it, or had closed the connection.
    pub async fn deliver(&self) {
        self.orders.deliver.notify_one();
        self.orders.delivered.notified().await;
    }

    /// From now on nothing passes, on old connections and on new ones.
    pub fn darken(&self) {
        self.orders.darkness.fetch_add(1, Ordering::SeqCst);
        self.orders.dark.store(true, Ordering::SeqCst);
    }

    /// New connections work again; those that saw the darkness never do.
    pub fn lighten(&self) {
        self.orders.dark.store(false, Ordering::SeqCst);
    }

    /// What commands are answered with, and which were seen: on MongoDB alone.
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
            let born = orders.darkness.load(Ordering::SeqCst);
            let Ok(server) = TcpStream::connect(server).await else { return };
            let link = Link { client, server, orders, born };
            // However it ends, both sides are closed by it.
            let _ = match kind {
                Backend::Mongodb => mongodb::Connection::new(link).run().await,
                _ => postgres::Connection::new(link).run().await,
            };
        });
    }
}

/// A client's connection, and the proxy's own one to the server for it.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    orders: Arc<Orders>,
    born: u64,
}

impl Link {
    fn is_dark(&self) -> bool {
        self.orders.dark.load(Ordering::SeqCst) || self.orders.darkness.load(Ordering::SeqCst) > self.born
    }

    /// Where this connection is to be cut.
    fn armed(&self) -> std::sync::MutexGuard<'_, Option<Cut>> {
        self.orders.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So much of a reply as arrives.
    async fn answer_partly(&mut self, reply: &[u8], thousandths: usize) -> std::io::Result<()> {
        let arrives = (reply.len() * thousandths / 1_000).clamp(1, reply.len().saturating_sub(1));
        self.client.write_all(&reply[..arrives]).await
    }
}
