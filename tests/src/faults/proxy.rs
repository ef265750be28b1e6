//! A proxy that knows Postgres' protocol well enough to cut a connection at a place of the append: before it is sent on, before its reply, inside its reply.
//! It can also turn into a black hole: connections stay open, and nothing passes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Failed;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::wire::{Incoming, Message};

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
}

/// The proxy. Ends with its handle.
#[derive(Debug)]
pub struct Proxy {
    orders: Arc<Orders>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before the server that a URL names; answers it and the URL to use instead.
    pub async fn before(url: &str) -> Result<(Self, String), Failed> {
        let mut through = url::Url::parse(url)?;
        let server = (through.host_str().unwrap_or("localhost").to_owned(), through.port().unwrap_or(5432));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (port, orders) = (listener.local_addr()?.port(), Arc::<Orders>::default());
        let listening = tokio::spawn(listen(listener, server, Arc::clone(&orders)));
        through.set_host(Some("127.0.0.1"))?;
        through.set_port(Some(port)).map_err(|()| "the URL takes no port")?;
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, server: (String, u16), orders: Arc<Orders>) {
    while let Ok((client, _)) = listener.accept().await {
        if orders.refusing.load(Ordering::SeqCst) {
            continue;
        }
        let (orders, server) = (Arc::clone(&orders), server.clone());
        tokio::spawn(async move {
            let born = orders.darkness.load(Ordering::SeqCst);
            if let Ok(server) = TcpStream::connect(server).await {
                // However it ends, both sides are closed by it.
                let _ = Connection { client, server, orders, born, statements: HashMap::new(), held: Vec::new(), appending: false }.run().await;
            }
        });
    }
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    orders: Arc<Orders>,
    born: u64,
    /// The texts of prepared statements, by name.
    statements: HashMap<Vec<u8>, Vec<u8>>,
    /// What the client sent since its last synchronisation: the server sees it together with the next.
    held: Vec<u8>,
    /// Whether that writes events.
    appending: bool,
}

/// What to do with a message of the client.
enum Way {
    Hold,
    Pass,
    Cut(Cut),
}

impl Connection {
    async fn run(mut self) -> std::io::Result<()> {
        let (mut from_client, mut from_server) = (Incoming::of_client(), Incoming::of_server());
        loop {
            let (client, server) = (&mut self.client, &mut self.server);
            tokio::select! {
                message = from_client.next(client) => {
                    let Some(message) = message? else { return Ok(()) };
                    if self.is_dark() {
                        continue;
                    }
                    if message.asks_for_encryption() {
                        self.client.write_all(b"N").await?;
                        continue;
                    }
                    match self.way_of(&message) {
                        Way::Hold => self.held.extend_from_slice(message.bytes()),
                        Way::Pass => {
                            self.held.extend_from_slice(message.bytes());
                            self.server.write_all(&self.held).await?;
                            self.held.clear();
                        }
                        Way::Cut(cut) => return self.cut(cut, &message, &mut from_server).await,
                    }
                }
                message = from_server.next(server) => {
                    let Some(message) = message? else { return Ok(()) };
                    if !self.is_dark() {
                        self.client.write_all(message.bytes()).await?;
                    }
                }
            }
        }
    }

    fn is_dark(&self) -> bool {
        self.orders.dark.load(Ordering::SeqCst) || self.orders.darkness.load(Ordering::SeqCst) > self.born
    }

    /// Follows what the client does: which text a name stands for, and whether the text at work writes events.
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
        self.orders.armed.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Way::Pass, Way::Cut)
    }

    async fn cut(mut self, cut: Cut, last: &Message, from_server: &mut Incoming) -> std::io::Result<()> {
        self.orders.cuts.fetch_add(1, Ordering::SeqCst);
        if cut == Cut::BeforeStatement {
            return Ok(());
        }
        if cut == Cut::BeforeCommit {
            // A text of its own, such as a commit, has no second part that could be left out.
            return self.server.write_all(&self.held).await;
        }
        self.held.extend_from_slice(last.bytes());
        if cut == Cut::Delayed {
            return self.delay(from_server).await;
        }
        self.server.write_all(&self.held).await?;
        if cut == Cut::AfterStatement {
            return Ok(());
        }
        let mut reply = Vec::new();
        while let Some(message) = from_server.next(&mut self.server).await? {
            reply.extend_from_slice(message.bytes());
            if message.is_ready_for_query() {
                break;
            }
        }
        if let Cut::InsideReply(thousandths) = cut {
            let arrives = (reply.len() * thousandths / 1_000).clamp(1, reply.len().saturating_sub(1));
            self.client.write_all(&reply[..arrives]).await?;
        }
        Ok(())
    }
}

impl Connection {
    async fn delay(self, from_server: &mut Incoming) -> std::io::Result<()> {
        let Self { client, mut server, orders, held, .. } = self;
        drop(client);
        orders.deliver.notified().await;
        // Whatever comes of it: the server may have closed the connection long ago.
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
