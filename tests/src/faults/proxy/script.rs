//! The script of a proxy before a MongoDB: what it answers instead of the server, and which commands it has seen.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::bson::{Document, doc};
use tokio::sync::watch;

use super::super::wire::mongodb::Command;
use super::Cut;

/// What the proxy does with a command.
#[derive(Clone)]
pub enum Action {
    /// The proxy answers with this, and the server does not get the command.
    Answer(Document),
    /// The server runs the command, and the proxy changes its answer.
    Edit(Arc<dyn Fn(&mut Document) + Send + Sync>),
    /// The server aborts the transaction instead, and the proxy answers with this.
    Abort(Document),
    /// The server commits the transaction instead.
    Commit,
    /// The proxy cuts the connection.
    Cut(Cut),
}

impl Action {
    pub fn edit(change: impl Fn(&mut Document) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(change))
    }

    /// The server runs the command, and the proxy answers with this.
    pub fn replace(answer: Document) -> Self {
        Self::edit(move |document| document.clone_from(&answer))
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "Answer({answer})"),
            Self::Abort(answer) => write!(f, "Abort({answer})"),
            Self::Commit => write!(f, "Commit"),
            Self::Edit(_) => write!(f, "Edit"),
            Self::Cut(cut) => write!(f, "Cut({cut:?})"),
        }
    }
}

/// A refusal in the format of a server's answer.
pub fn refusal(code: i32, labels: &[&str]) -> Document {
    let mut answer =
        doc! { "ok": 0.0, "errmsg": "refused by the script", "code": code, "codeName": format!("Scripted{code}") };
    if !labels.is_empty() {
        answer.insert("errorLabels", labels.to_vec());
    }
    answer
}

/// A command that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub command: Command,
    /// The script answered it or cut its connection.
    pub scripted: bool,
}

#[derive(Debug)]
struct Order {
    command: &'static str,
    /// The end of the collection's name must be this.
    on: &'static str,
    times: u64,
    action: Action,
}

/// The orders, the oldest first, and the commands that were seen.
#[derive(Debug)]
pub struct Script {
    orders: Mutex<Vec<Order>>,
    seen: watch::Sender<Vec<Seen>>,
}

impl Default for Script {
    fn default() -> Self {
        Self { orders: Mutex::default(), seen: watch::Sender::new(Vec::new()) }
    }
}

impl Script {
    /// Gives an order for the next `times` commands of a name, on a collection whose name ends with `on`.
    pub fn order(&self, command: &'static str, on: &'static str, times: u64, action: Action) {
        self.orders().push(Order { command, on, times, action });
    }

    /// Gives an order for every command of a name, until [`Script::clear`].
    pub fn always(&self, command: &'static str, action: Action) {
        self.order(command, "", u64::MAX, action);
    }

    /// Removes every order.
    pub fn clear(&self) {
        self.orders().clear();
    }

    /// Whether every order was carried out `times` times.
    pub fn is_done(&self) -> bool {
        self.orders().is_empty()
    }

    /// Records a command and returns what to do with it.
    pub(super) fn action(&self, command: &Command) -> Option<Action> {
        let action = {
            let mut orders = self.orders();
            let place =
                orders.iter().position(|order| order.command == command.name && command.collection.ends_with(order.on));
            place.map(|place| {
                let order = &mut orders[place];
                order.times -= 1;
                if order.times == 0 { orders.remove(place).action } else { order.action.clone() }
            })
        };
        let seen = Seen { command: command.clone(), scripted: action.is_some() };
        self.seen.send_modify(|all| all.push(seen));
        action
    }

    /// The commands that were seen since the last call.
    pub fn take(&self) -> Vec<Seen> {
        self.seen.send_replace(Vec::new())
    }

    /// How many commands of a name were seen.
    pub fn count(&self, command: &str) -> usize {
        self.seen.borrow().iter().filter(|seen| seen.command.name == command).count()
    }

    /// Ends when the commands that were seen are enough.
    pub async fn until(&self, enough: impl Fn(&[Seen]) -> bool) {
        let _ = self.seen.subscribe().wait_for(|seen| enough(seen)).await;
    }

    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
