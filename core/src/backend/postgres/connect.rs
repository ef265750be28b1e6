//! From a URL to connections: what may stand in it, and how every session is set up.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::error::Failure;
use super::names::{LockClass, REGISTRY, safe};
use crate::error::{Error, Result};
use crate::faults::planted;
use crate::store::{Durability, OpenOptions};

/// One server process, for ever: a pid alone may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    pub(super) started: String,
}

/// A connection with what is known of its other end.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) backend: Backend,
    /// The database's number, by which its locks are told from those of others.
    pub(super) database: u32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// A namespace as the registry knows it: another class or epoch is another log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) namespace: String,
    pub(super) class: LockClass,
    pub(super) epoch: Uuid,
}

/// Makes connections. Shows nothing of how: the options hold the password.
pub(super) struct Connector {
    options: PgConnectOptions,
    durability: Durability,
    /// Known once the store is open: what every later connection must find again.
    pub(super) identity: OnceLock<Identity>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Every statement of the store has the one index it was written for, and no plan made while a table was empty may outlive that; hence no sequential
/// scans, and one plan for all values, made once a connection: planning an append anew costs as much as running it. With these plans' inflated costs the compiler would
/// start for nothing, and parallel workers would turn a page's order round. Nothing is found by search path. A statement's time limit would cut a wait for a
/// synchronous standby short and report success.
const SETTINGS: &str = "set default_transaction_isolation = 'read committed'; set search_path = pg_catalog; set statement_timeout = 0; \
                        set idle_in_transaction_session_timeout = '5s'; set enable_seqscan = off; set enable_bitmapscan = off; set jit = off; \
                        set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0; set client_min_messages = warning";
/// What is weaker than a commit on disk is set to that; what is stronger stays.
const DURABLE: &str = "; select 1 from (select set_config('synchronous_commit', 'on', false) \
                       where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')) as s where false";
const ABOUT: &str = "; select pg_is_in_recovery(), a.pid, a.backend_start::text, a.datid::bigint from pg_stat_activity as a where a.pid = pg_backend_pid()";

impl Connector {
    pub(super) fn new(location: &str, parameters: &[(String, String)], options: &OpenOptions) -> Result<Self> {
        let connect = connect_options(location, parameters, options)?.disable_statement_logging();
        Ok(Self { options: connect, durability: options.durability, identity: OnceLock::new() })
    }

    /// For the listening connection, which stands outside the pool.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Opens a connection and sets its session up.
    pub(super) async fn connect(&self, deadline: Instant) -> std::result::Result<Session, Failure> {
        match timeout_at(deadline, self.establish()).await {
            Ok(session) => session.map_err(Failure::before_sending),
            Err(_) => Err(Failure::Unreached("the deadline passed".to_owned())),
        }
    }

    async fn establish(&self) -> std::result::Result<Session, Failure> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let durable = if self.durability == Durability::Full { DURABLE } else { "" };
        let rows = sqlx::raw_sql(safe(format!("{SETTINGS}{durable}{ABOUT}{}", self.ask_identity()))).fetch_all(&mut connection).await?;
        let about = rows.first().ok_or_else(|| Failure::Lost("the server does not show this session".to_owned()))?;
        if about.try_get::<bool, _>(0)? && !planted("postgres-reads-standby") {
            let message = "the server is in recovery; a standby shows neither the writers nor the true positions".to_owned();
            // Once the store is open this is a failover under way.
            return Err(if self.identity.get().is_some() { Failure::Unreached(message) } else { Failure::Setup(message) });
        }
        let backend = Backend { pid: about.try_get(1)?, started: about.try_get(2)? };
        let database = u32::try_from(about.try_get::<i64, _>(3)?).map_err(|_| Failure::Unreadable("a database's number".to_owned()))?;
        if let Some(identity) = self.identity.get() {
            let found = rows.get(1).map(|row| Ok::<_, sqlx::Error>((row.try_get::<i32, _>(0)?, row.try_get::<String, _>(1)?))).transpose()?;
            if found.is_none_or(|(class, epoch)| LockClass(class) != identity.class || epoch != identity.epoch.to_string()) {
                return Err(Failure::Setup(format!("namespace '{}' is another one than this store opened: open it again", identity.namespace)));
            }
        }
        end_with_client(&mut connection).await?;
        Ok(Session { connection, backend, database })
    }

    fn ask_identity(&self) -> String {
        let ask = |identity: &Identity| format!("; select class, epoch::text from {REGISTRY}.namespaces where name = '{}'", identity.namespace);
        self.identity.get().map(ask).unwrap_or_default()
    }
}

/// Asks the server to look now and then whether the client still lives while it works. Where the server cannot, a statement's own time limits end it.
async fn end_with_client(connection: &mut PgConnection) -> std::result::Result<(), Failure> {
    if connection.server_version_num().is_none_or(|version| version < 140_000) {
        return Ok(());
    }
    match sqlx::raw_sql("set client_connection_check_interval = '1s'").execute(&mut *connection).await.map_err(Failure::from) {
        Ok(_) | Err(Failure::Refused { .. }) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn connect_options(location: &str, parameters: &[(String, String)], options: &OpenOptions) -> Result<PgConnectOptions> {
    // The driver's own message could repeat what stands in the URL.
    let mut connect = PgConnectOptions::from_str(location).map_err(|_| Error::config("the postgres URL is malformed"))?;
    let mut mode = None;
    for (name, value) in parameters {
        let wrong = || Error::config(format!("parameter '{name}' of the URL has a value it cannot have"));
        connect = match name.as_str() {
            "host" if value.starts_with('/') => connect.socket(value),
            "host" => connect.host(value),
            "port" => connect.port(value.parse().map_err(|_| wrong())?),
            "user" => connect.username(value),
            "password" => connect.password(value),
            "dbname" => connect.database(value),
            "application_name" => connect.application_name(value),
            "sslrootcert" => connect.ssl_root_cert(Path::new(value)),
            "sslcert" => connect.ssl_client_cert(Path::new(value)),
            "sslkey" => connect.ssl_client_key(Path::new(value)),
            "sslmode" => {
                mode = Some(PgSslMode::from_str(value).map_err(|_| wrong())?);
                connect
            }
            _ => {
                crate::url::refuse_unknown(Some(&(name.clone(), String::new())))?;
                connect
            }
        };
    }
    if connect.get_application_name().is_none() {
        connect = connect.application_name("streamkeep");
    }
    let mode = ssl_mode(mode, is_local(&connect), options.insecure)?;
    Ok(mode.map_or(connect.clone(), |mode| connect.ssl_mode(mode)))
}

/// Off this machine a connection is encrypted and its host verified, or the URL says that it need not be.
fn ssl_mode(asked: Option<PgSslMode>, local: bool, insecure: bool) -> Result<Option<PgSslMode>> {
    match asked {
        _ if local || insecure => Ok(asked),
        None | Some(PgSslMode::VerifyFull) => Ok(Some(PgSslMode::VerifyFull)),
        Some(_) => Err(Error::config("off this machine sslmode must be verify-full, unless insecure=true says otherwise")),
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Says goodbye, so that the server need not find out.
pub(super) async fn part(session: Session, deadline: Instant) {
    // It is over either way.
    let _ = timeout_at(deadline, session.connection.close()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<PgConnectOptions> {
        let (location, query) = url.split_once('?').unwrap_or((url, ""));
        let parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        connect_options(location, &parameters, &OpenOptions::new(url))
    }

    #[test]
    fn off_this_machine_the_host_is_verified() -> Result<()> {
        assert!(matches!(options("postgres://db.example/x")?.get_ssl_mode(), PgSslMode::VerifyFull));
        for weaker in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let refused = options(&format!("postgres://u:geheim@db.example/x?sslmode={weaker}")).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("verify-full") && !refused.contains("geheim"), "{weaker}: {refused}");
        }
        Ok(())
    }

    #[test]
    fn on_this_machine_a_connection_may_be_plain() -> Result<()> {
        for local in ["postgres://localhost/x", "postgres://127.0.0.1/x", "postgres://[::1]/x", "postgres:///x?host=/run/postgresql"] {
            assert!(is_local(&options(&format!("{local}{}sslmode=disable", if local.contains('?') { '&' } else { '?' }))?), "{local}");
        }
        Ok(())
    }

    #[test]
    fn unknown_parameters_are_named_without_their_values() {
        let refused = options("postgres://localhost/x?sslmod=geheim").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("sslmod") && !refused.contains("geheim"), "{refused}");
    }
}
