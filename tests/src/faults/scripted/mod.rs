//! MongoDB behind a proxy that answers what the test server cannot: lost change streams, primaries that step down,
//! labels on errors, unsuitable configurations.

mod commits;
mod concerns;
mod hints;
mod lookalikes;
mod opening;
mod primaries;
mod refusals;
mod silence;

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use streamkeep::{AppendOptions, Event, EventStore, ExpectedVersion, OpenOptions};

use super::cancel::{conclude, in_time};
use super::ground::Ground;
use super::history::{Answer, Expected, History};
use super::proxy::Proxy;
use super::writers::Draft;

pub fn trials() -> Vec<Trial> {
    [
        commits::trials(),
        concerns::trials(),
        hints::trials(),
        lookalikes::trials(),
        opening::trials(),
        primaries::trials(),
        refusals::trials(),
        silence::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A new database behind its own proxy.
#[derive(Debug)]
struct Proxied {
    ground: Ground,
    proxy: Arc<Proxy>,
    url: String,
}

impl Proxied {
    async fn new(ground: &Ground) -> Result<Self, Failed> {
        let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
        Ok(Self { ground: ground.clone(), proxy: Arc::new(proxy), url })
    }

    /// The same database behind another proxy.
    async fn behind_another_proxy(&self) -> Result<Self, Failed> {
        Self::new(&self.ground).await
    }

    fn options(&self) -> OpenOptions {
        OpenOptions::new(self.url.as_str())
    }

    async fn open(&self) -> Result<EventStore, Failed> {
        Ok(self.options().open().await?)
    }

    /// Checks that the history agrees with the log.
    async fn conclude(&self, what: &str, store: &EventStore, history: &History) -> Result<(), Failed> {
        self.proxy.script().clear();
        conclude(what, &self.ground, store, history, 0).await
    }
}

/// The collection of a command that a store sends to others as well.
fn place(command: &str) -> &'static str {
    if command == "update" { ".heads" } else { "" }
}

fn draft(stream: &str, expected: Expected) -> Draft {
    Draft { stream: stream.to_owned(), expected, events: (0..2).map(|_| Event::json_text("Happened", "{}")).collect() }
}

/// Appends, and checks that this is the first time.
async fn done(store: &EventStore, draft: &Draft, history: &mut History) -> Result<(), Failed> {
    let (attempt, repeated, wrong) = in_time("an append", draft.append(store)).await?;
    if !matches!(attempt.answer, Answer::Done { .. }) || repeated {
        return Err(format!("an append returned {:?}, repeated: {repeated}, {wrong:?}", attempt.answer).into());
    }
    history.attempts.push(attempt);
    Ok(())
}

fn expecting(draft: &Draft, timeout: std::time::Duration) -> AppendOptions {
    AppendOptions { expected: ExpectedVersion::from(draft.expected), timeout: Some(timeout) }
}
