//! MongoDB's side of the proxy: it cuts at the insert of an append or at its commit, and follows a script for any
//! command.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use mongodb::bson::{Document, doc};
use tokio::io::AsyncWriteExt;

use super::super::wire::Incoming;
use super::super::wire::mongodb::{Command, Either, Message};
use super::{Action, Cut, Link};

/// The sessions of every transaction that went through a proxy of this process.
static SESSIONS: Mutex<Vec<Document>> = Mutex::new(Vec::new());

/// Ends the transactions that a failed case left open on the server, where they would block the next case for a minute.
pub async fn end_sessions(client: &mongodb::Client) -> mongodb::error::Result<()> {
    let sessions = std::mem::take(&mut *SESSIONS.lock().unwrap_or_else(PoisonError::into_inner));
    if sessions.is_empty() {
        // An empty list would end the sessions of all other cases.
        return Ok(());
    }
    client.database("admin").run_command(doc! { "killSessions": sessions }).await.map(drop)
}

type Change = Arc<dyn Fn(&mut Document) + Send + Sync>;

#[derive(Debug)]
pub struct Connection {
    link: Link,
    /// How to change the answers that have not arrived yet, by the number of their request.
    changes: HashMap<u32, Changed>,
}

struct Changed(Change);

impl std::fmt::Debug for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changed")
    }
}

impl Connection {
    pub fn new(link: Link) -> Self {
        Self { link, changes: HashMap::new() }
    }

    pub async fn run(mut self) -> io::Result<()> {
        let (mut from_client, mut from_server) = (Incoming::new(Either), Incoming::new(Either));
        loop {
            let (client, server) = (&mut self.link.client, &mut self.link.server);
            tokio::select! {
                message = from_client.next(client) => {
                    let Some(message) = message? else { return Ok(()) };
                    if self.link.is_silent() {
                        continue;
                    }
                    let Some(action) = message.command()?.and_then(|command| self.action(&command)) else {
                        self.link.server.write_all(message.bytes()).await?;
                        continue;
                    };
                    match action {
                        Action::Cut(cut) => return self.cut(cut, &message, &mut from_server).await,
                        action => self.play(action, &message).await?,
                    }
                }
                message = from_server.next(server) => {
                    let Some(message) = message? else { return Ok(()) };
                    if !self.link.is_silent() {
                        let message = self.changed(message)?;
                        self.link.client.write_all(message.bytes()).await?;
                    }
                }
            }
        }
    }

    /// The action of the script, or the cut that is armed.
    fn action(&self, command: &Command) -> Option<Action> {
        if let (true, Ok(session)) = (command.body.contains_key("startTransaction"), command.body.get_document("lsid"))
        {
            SESSIONS.lock().unwrap_or_else(PoisonError::into_inner).push(session.clone());
        }
        let scripted = self.link.orders.script.action(command);
        scripted.or_else(|| {
            let mut armed = self.link.armed();
            let due = armed.is_some_and(|cut| self.is_place(cut, command));
            if due { armed.take().map(Action::Cut) } else { None }
        })
    }

    /// Whether a command is the place of a cut: the insert, or the commit, which can come without an insert. A cut that
    /// fits both is made at each of them alternately.
    fn is_place(&self, cut: Cut, command: &Command) -> bool {
        let turn = self.link.orders.cuts.load(Ordering::SeqCst) % 2 == 1;
        let at_insert = match cut {
            Cut::BeforeStatement => true,
            Cut::BeforeCommit | Cut::Delayed => false,
            Cut::AfterStatement | Cut::BeforeReply | Cut::InsideReply(_) => turn,
        };
        command.name == "commitTransaction" || (at_insert && command.name == "insert" && command.in_transaction())
    }

    async fn play(&mut self, action: Action, message: &Message) -> io::Result<()> {
        match action {
            Action::Answer(answer) => {
                return self.link.client.write_all(Message::answer(message.request(), &answer)?.bytes()).await;
            }
            Action::Edit(change) => {
                self.changes.insert(message.request(), Changed(change));
                self.link.server.write_all(message.bytes()).await?;
            }
            Action::Abort(answer) => {
                let change: Change = Arc::new(move |document| document.clone_from(&answer));
                self.changes.insert(message.request(), Changed(change));
                let Some(command) = message.command()? else { return Ok(()) };
                self.link.server.write_all(message.with(&end("abortTransaction", &command))?.bytes()).await?;
            }
            Action::Commit => {
                let Some(command) = message.command()? else { return Ok(()) };
                self.link.server.write_all(message.with(&end("commitTransaction", &command))?.bytes()).await?;
            }
            Action::Cut(_) => {}
        }
        Ok(())
    }

    fn changed(&mut self, message: Message) -> io::Result<Message> {
        let Some(Changed(change)) = self.changes.remove(&message.answers()) else { return Ok(message) };
        let Some(mut document) = message.document()? else { return Ok(message) };
        change(&mut document);
        message.with(&document)
    }

    async fn cut(mut self, cut: Cut, message: &Message, from_server: &mut Incoming<Either>) -> io::Result<()> {
        self.link.orders.cuts.fetch_add(1, Ordering::SeqCst);
        match cut {
            Cut::BeforeStatement | Cut::BeforeCommit => return Ok(()),
            Cut::Delayed => return self.delay(message, from_server).await,
            Cut::AfterStatement | Cut::BeforeReply | Cut::InsideReply(_) => {
                self.link.server.write_all(message.bytes()).await?
            }
        }
        if cut == Cut::AfterStatement {
            return Ok(());
        }
        let Some(reply) = from_server.next(&mut self.link.server).await? else { return Ok(()) };
        if let Cut::InsideReply(thousandths) = cut {
            self.link.answer_partly(reply.bytes(), thousandths).await?;
        }
        Ok(())
    }

    async fn delay(self, message: &Message, from_server: &mut Incoming<Either>) -> io::Result<()> {
        let Link { client, mut server, orders, .. } = self.link;
        drop(client);
        orders.deliver.notified().await;
        // The result does not matter: the server may have closed the connection long ago.
        let _ = server.write_all(message.bytes()).await;
        let _ = from_server.next(&mut server).await;
        orders.delivered.notify_one();
        Ok(())
    }
}

/// The commit or abort of a command's transaction, as its client would send it.
fn end(how: &str, command: &Command) -> Document {
    let mut end = Document::new();
    end.insert(how, 1);
    for name in ["lsid", "txnNumber", "autocommit", "$clusterTime"] {
        if let Some(value) = command.body.get(name) {
            end.insert(name, value.clone());
        }
    }
    end.insert("$db", "admin");
    end
}
