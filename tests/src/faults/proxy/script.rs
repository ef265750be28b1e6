//! What a proxy before a MongoDB answers instead of the server, and which commands it has seen.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mongodb::bson::{Document, doc};
use tokio::sync::watch;

use super::super::wire::mongodb::Command;
use super::Cut;

/// What is done with a command.
#[derive(Clone)]
pub enum Deed {
    /// It is answered so, and the server never sees it.
    Answer(Document),
    /// The server does it, and its answer is changed so.
    Edit(Arc<dyn Fn(&mut Document) + Send + Sync>),
    /// The server ends the transaction instead, and this is the answer.
    Abort(Document),
    /// The connection is cut.
    Cut(Cut),
}

impl Deed {
    pub fn edit(change: impl Fn(&mut Document) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(change))
    }

    /// The server does it, and this is the answer.
    pub fn replace(answer: Document) -> Self {
        Self::edit(move |document| document.clone_from(&answer))
    }
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "Answer({answer})"),
            Self::Abort(answer) => write!(f, "Abort({answer})"),
            Self::Edit(_) => write!(f, "Edit"),
            Self::Cut(cut) => write!(f, "Cut({cut:?})"),
        }
    }
}

/// A refusal, as a server words it.
pub fn refusal(code: i32, labels: &[&str]) -> Document {
    let mut answer =
        doc! { "ok": 0.0, "errmsg": "so it says in the script", "code": code, "codeName": format!("Scripted{code}") };
    if !labels.is_empty() {
        answer.insert("errorLabels", labels.to_vec());
    }
    answer
}

/// A command that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub command: Command,
    /// Answered by the script, or cut.
    pub scripted: bool,
}

#[derive(Debug)]
struct Order {
    command: &'static str,
    /// The end of the collection's name.
    on: &'static str,
    times: u64,
    deed: Deed,
}

/// Orders by command, the oldest first, and what was seen.
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
    /// The next so many commands of that name, on a collection whose name ends so.
    pub fn order(&self, command: &'static str, on: &'static str, times: u64, deed: Deed) {
        self.orders().push(Order { command, on, times, deed });
    }

    /// Every command of that name, until [`Script::clear`].
    pub fn always(&self, command: &'static str, deed: Deed) {
        self.order(command, "", u64::MAX, deed);
    }

    /// No orders any more.
    pub fn clear(&self) {
        self.orders().clear();
    }

    /// Whether every order was carried out as often as it says.
    pub fn is_done(&self) -> bool {
        self.orders().is_empty()
    }

    /// Notes a command, and says what is to be done with it.
    pub(super) fn deed(&self, command: &Command) -> Option<Deed> {
        let deed = {
            let mut orders = self.orders();
            let place =
                orders.iter().position(|order| order.command == command.name && command.collection.ends_with(order.on));
            place.map(|place| {
                let order = &mut orders[place];
                order.times -= 1;
                if order.times == 0 { orders.remove(place).deed } else { order.deed.clone() }
            })
        };
        let seen = Seen { command: command.clone(), scripted: deed.is_some() };
        self.seen.send_modify(|all| all.push(seen));
        deed
    }

    /// What was seen since the last time this was asked.
    pub fn take(&self) -> Vec<Seen> {
        self.seen.send_replace(Vec::new())
    }

    /// How many commands of that name were seen.
    pub fn count(&self, command: &str) -> usize {
        self.seen.borrow().iter().filter(|seen| seen.command.name == command).count()
    }

    /// Ends when so many were seen as make this true.
    pub async fn until(&self, enough: impl Fn(&[Seen]) -> bool) {
        let _ = self.seen.subscribe().wait_for(|seen| enough(seen)).await;
    }

    fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
