//! The options of `open`.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::DEFAULT_TIMEOUT;
use crate::stream::check_namespace;

/// How durable an acknowledged append is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// An acknowledged append is on disk. The store makes the settings of its sessions durable, and refuses a server
    /// that is not durable by settings that no session can change.
    #[default]
    Full,
    /// A server with weaker settings is accepted. A crash can then lose acknowledged events.
    Relaxed,
}

/// A connection pooler between the store and a Postgres server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// PgBouncer or a similar pooler in transaction mode: each transaction can run in another session of the server.
    Transaction,
}

/// How to open a store. Each option can also be a parameter of the URL, with the same name; durations end in `_ms`
/// there.
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
    pub(crate) pooler: Option<Pooler>,
}

/// The schemes of a URL.
const SCHEMES: [&str; 6] = ["memory", "sqlite", "postgres", "postgresql", "mongodb", "mongodb+srv"];

/// The URL can have a password, so it is not shown.
impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("scheme", &self.scheme())
            .field("namespace", &self.namespace)
            .field("create", &self.create)
            .field("durability", &self.durability)
            .field("timeout", &self.timeout)
            .field("poll_interval", &self.poll_interval)
            .field("max_connections", &self.max_connections)
            .field("insecure", &self.insecure)
            .field("pooler", &self.pooler)
            .finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// Options for `memory:`, `memory:NAME`, `sqlite:PATH`, `postgres://…`, `mongodb://…` or `mongodb+srv://…`, all at
    /// their defaults.
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
            pooler: None,
        }
    }

    /// Sets the namespace, a separate log. The default is `default`. A name matches `[a-z][a-z0-9_]{0,39}`.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Sets whether opening creates what is missing. If not, opening never writes. The default is true.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets how durable an acknowledged append is. The default is `full`.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long an operation may take if it has no timeout of its own. The default is 30 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets after which time a subscription looks again without a notification. The default is 250 ms.
    #[must_use]
    pub const fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets the most connections of the pool. The default is 10; 1 is enough for everything. On SQLite the first open
    /// of a file decides, for all of its namespaces.
    #[must_use]
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets whether a connection to another machine may be unencrypted, or its host unverified. The default is false.
    #[must_use]
    pub const fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Names a transaction pooler in front of a Postgres server. The default is none. A pooler that is not named is
    /// refused with `config` at open. Behind a pooler, settings last for one transaction only, and writes of other
    /// processes are found by polling only. Other databases refuse the option with `config`.
    #[must_use]
    pub const fn pooler(mut self, pooler: Pooler) -> Self {
        self.pooler = Some(pooler);
        self
    }

    /// The scheme of the URL, if it is a known one: a malformed URL may begin with the user's name.
    fn scheme(&self) -> &str {
        let before = self.url.split_once(':').map(|(scheme, _)| scheme);
        before.filter(|scheme| SCHEMES.contains(scheme)).unwrap_or_default()
    }

    /// Sets an option by its name in a URL. Returns whether there is an option of that name.
    ///
    /// # Errors
    /// `config` if the option does not accept the value. The error does not show the value.
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
            "pooler" => match value {
                "transaction" => self.pooler = Some(Pooler::Transaction),
                _ => return Err(wrong("transaction")),
            },
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

/// An unknown parameter is an error, so that a typing mistake is noticed. Its value may be a secret. If a `?` in the
/// password is not escaped, the rest of the authority is read as parameters. An `@` among them is a sign of that, and
/// then none of them is shown.
pub(crate) fn unknown_parameter(name: &str, parameters: &[(String, String)]) -> Error {
    if parameters.iter().any(|(name, value)| name.contains('@') || value.contains('@')) {
        return Error::config("the URL is malformed: an '@' follows its first '?'")
            .with_hint("write special characters of the user name and password as %XX, for example %3F for '?'");
    }
    Error::config(format!("the URL has an unknown parameter '{name}'"))
}
