//! Opening: options, and what they become.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::DEFAULT_TIMEOUT;
use crate::stream::check_namespace;

/// How far an acknowledged append can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means on disk. A server set to anything weaker is refused.
    #[default]
    Full,
    /// A server set to less is accepted: a crash may take acknowledged events.
    Relaxed,
}

/// How to open a store. Every option can stand in the URL under the same name.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
/// let store = streamkeep::OpenOptions::new("memory:").namespace("tenant_a").open().await?;
/// assert_eq!(store.head().await?, 0);
/// # store.close().await }
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) create: bool,
    pub(crate) durability: Durability,
    pub(crate) timeout: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) max_connections: u32,
    pub(crate) insecure: bool,
}

/// The URL may carry a password: it is not shown.
impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("scheme", &self.url.split(':').next().unwrap_or_default())
            .field("namespace", &self.namespace)
            .field("create", &self.create)
            .field("durability", &self.durability)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .field("max_connections", &self.max_connections)
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// Options for `memory:`, `memory:NAME`, `sqlite:PATH`, `postgres://…`, `mongodb://…` or `mongodb+srv://…`, each at its default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            namespace: "default".to_owned(),
            create: true,
            durability: Durability::Full,
            timeout: DEFAULT_TIMEOUT,
            poll_interval: Duration::from_millis(250),
            max_connections: 10,
            insecure: false,
        }
    }

    /// The namespace: a log of its own; `default` unless given, named `[a-z][a-z0-9_]{0,39}`.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Whether what is missing is created; if not, opening never writes. True unless given.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How far an acknowledged append can be trusted; fully unless given.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long an operation may take unless it says otherwise; 30 s by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a subscription waits before it looks again without a notification; 250 ms by default.
    #[must_use]
    pub const fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// The most connections of the store's pool; 10 by default, 1 is enough for everything.
    #[must_use]
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Whether a connection off this machine may go unencrypted or to an unverified host; no by default.
    #[must_use]
    pub const fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets an option by its name, as a URL does. Answers whether there is one of that name.
    ///
    /// # Errors
    /// `config` when the value is not one the option takes. The value is not repeated.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        let wrong = |form: &str| Error::config(format!("option '{name}' must be {form}"));
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong("true or false")),
        };
        let millis = || value.parse().map(Duration::from_millis).map_err(|_| wrong("a number of milliseconds"));
        match name {
            "namespace" => self.namespace = value.to_owned(),
            "create" => self.create = flag()?,
            "insecure" => self.insecure = flag()?,
            "timeout_ms" => self.timeout = millis()?,
            "poll_interval_ms" => self.poll_interval = millis()?,
            "max_connections" => self.max_connections = value.parse().map_err(|_| wrong("a number of connections"))?,
            "durability" => {
                self.durability = match value {
                    "full" => Durability::Full,
                    "relaxed" => Durability::Relaxed,
                    _ => return Err(wrong("full or relaxed")),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_namespace(&self.namespace)?;
        if self.max_connections == 0 || self.timeout.is_zero() || self.poll_interval.is_zero() {
            return Err(Error::config("max_connections, timeout and poll_interval must not be 0"));
        }
        Ok(())
    }
}
