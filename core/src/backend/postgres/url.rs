//! Turns a URL into connection options, as libpq reads URLs. No error shows the URL's user, password or host.

use std::path::Path;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::passfile::{self, Login};
use super::secret::Secret;
use crate::error::{Error, Result};
use crate::options::{OpenOptions, unknown_parameter};

/// Where a database is and how to connect to it.
pub(super) struct Target {
    pub(super) options: PgConnectOptions,
    pub(super) secret: Secret,
}

/// Reads the part of a URL before its `?`, then its parameters, which override it.
pub(super) fn target(address: &str, parameters: &[(String, String)], options: &OpenOptions) -> Result<Target> {
    let mut address = Address::read(address).ok_or_else(|| {
        Error::config("the postgres URL is malformed").with_hint(
            "write special characters of the user name and password as %XX, for example %3F for '?'; name one host",
        )
    })?;
    for (name, value) in parameters {
        if !address.set(name, value)? {
            return Err(unknown_parameter(name, parameters));
        }
    }
    address.target(options.insecure)
}

/// The parts of a URL; `None` where it says nothing.
#[derive(Default)]
struct Address {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    passfile: Option<String>,
    application_name: Option<String>,
    root_certificate: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    ssl_mode: Option<PgSslMode>,
}

impl Address {
    /// Reads `postgres://[user[:password]@][host][:port][/database]`; `None` if the URL is malformed.
    fn read(address: &str) -> Option<Self> {
        let (_, rest) = address.split_once("://")?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // An `@` or `#` here means that a special character of the user name or password was not escaped.
        if rest.contains('#') || database.contains('@') {
            return None;
        }
        let (login, endpoint) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = match endpoint.strip_prefix('[') {
            Some(ipv6) => ipv6.split_once(']')?,
            None => endpoint.split_at(endpoint.find(':').unwrap_or(endpoint.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            digits => Some(digits?.parse().ok()?),
        };
        // libpq tries several hosts in turn; the store connects to one.
        if host.contains(',') {
            return None;
        }
        Some(Self {
            user: decoded(user)?,
            password: decoded(password)?,
            host: decoded(host)?,
            port,
            database: decoded(database)?,
            ..Self::default()
        })
    }

    /// Applies a parameter. Returns false if none has that name.
    fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        let wrong = || Error::config(format!("parameter '{name}' of the URL has an invalid value"));
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        match name {
            // libpq tries several hosts in turn; the store connects to one.
            "host" if value.contains(',') => return Err(wrong()),
            "host" => self.host = text,
            "port" => self.port = text.map(|port| port.parse().map_err(|_| wrong())).transpose()?,
            "user" => self.user = text,
            "password" => self.password = text,
            "passfile" => self.passfile = text,
            "dbname" => self.database = text,
            "application_name" => self.application_name = text,
            "sslrootcert" => self.root_certificate = text,
            "sslcert" => self.certificate = text,
            "sslkey" => self.key = text,
            "sslmode" => {
                self.ssl_mode = text.map(|mode| PgSslMode::from_str(&mode).map_err(|_| wrong())).transpose()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn target(self, insecure: bool) -> Result<Target> {
        // A transaction pooler refuses `extra_float_digits`, and no statement of the store reads a float as text.
        let mut connect = PgConnectOptions::new_without_pgpass().extra_float_digits(None).disable_statement_logging();
        connect = match self.host.as_deref() {
            Some(folder) if folder.starts_with('/') => connect.socket(folder),
            Some(host) => connect.host(host),
            None => connect,
        };
        connect = with(connect, self.port, PgConnectOptions::port);
        connect = with(connect, self.user.as_deref(), PgConnectOptions::username);
        connect = with(connect, self.database.as_deref(), PgConnectOptions::database);
        connect = with(connect, self.root_certificate.as_deref().map(Path::new), PgConnectOptions::ssl_root_cert);
        connect = with(connect, self.certificate.as_deref().map(Path::new), PgConnectOptions::ssl_client_cert);
        connect = with(connect, self.key.as_deref().map(Path::new), PgConnectOptions::ssl_client_key);
        let name = self.application_name.or_else(|| connect.get_application_name().map(str::to_owned));
        connect = connect.application_name(name.as_deref().unwrap_or("streamkeep"));
        let mode = ssl_mode(self.ssl_mode, is_local(&connect), insecure)?;
        connect = with(connect, mode, PgConnectOptions::ssl_mode);
        let password = self
            .password
            .or_else(|| std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()))
            .or_else(|| passfile::password(self.passfile.as_deref(), &login(&connect)));
        connect = with(connect, password.as_deref(), PgConnectOptions::password);
        Ok(Target { options: connect, secret: Secret::new(password) })
    }
}

fn with<T>(
    connect: PgConnectOptions,
    value: Option<T>,
    set: impl FnOnce(PgConnectOptions, T) -> PgConnectOptions,
) -> PgConnectOptions {
    match value {
        Some(value) => set(connect, value),
        None => connect,
    }
}

/// The login to look up in the password file, as the connection will use it.
fn login(connect: &PgConnectOptions) -> Login<'_> {
    let folder = connect.get_socket().and_then(|folder| folder.to_str());
    let user = connect.get_username();
    Login {
        host: folder.unwrap_or_else(|| connect.get_host()),
        port: connect.get_port(),
        database: connect.get_database().unwrap_or(user),
        user,
    }
}

/// Decodes a part of the URL: `Some(None)` if it is empty, `None` if it is malformed.
#[allow(clippy::option_option, reason = "an absent part is not a malformed one")]
fn decoded(text: &str) -> Option<Option<String>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' { 16 * hex(rest.next())? + hex(rest.next())? } else { byte };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(Some(text).filter(|text| !text.is_empty()))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A connection to another machine is encrypted and its host verified, unless the URL says `insecure=true`.
fn ssl_mode(asked: Option<PgSslMode>, local: bool, insecure: bool) -> Result<Option<PgSslMode>> {
    match asked {
        _ if local || insecure => Ok(asked),
        None | Some(PgSslMode::VerifyFull) => Ok(Some(PgSslMode::VerifyFull)),
        Some(_) => {
            Err(Error::config("to another machine sslmode must be verify-full, unless the URL says insecure=true"))
        }
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<PgConnectOptions> {
        let (location, query) = url.split_once('?').unwrap_or((url, ""));
        let parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        target(location, &parameters, &OpenOptions::new(url)).map(|target| target.options)
    }

    fn refusal(url: &str) -> String {
        options(url).err().map(|error| format!("{error} {error:?}")).unwrap_or_default()
    }

    #[test]
    fn on_another_machine_the_host_is_verified() -> Result<()> {
        assert!(matches!(options("postgres://db.example/x")?.get_ssl_mode(), PgSslMode::VerifyFull));
        for weaker in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let refused = refusal(&format!("postgres://u:geheim@db.example/x?sslmode={weaker}"));
            assert!(refused.contains("verify-full") && !refused.contains("geheim"), "{weaker}: {refused}");
        }
        Ok(())
    }

    #[test]
    fn on_this_machine_a_connection_may_be_plain() -> Result<()> {
        for local in [
            "postgres://localhost/x",
            "postgres://127.0.0.1/x",
            "postgres://[::1]/x",
            "postgres:///x?host=/run/postgresql",
        ] {
            let mode = if local.contains('?') { "&sslmode=disable" } else { "?sslmode=disable" };
            assert!(is_local(&options(&format!("{local}{mode}"))?), "{local}");
        }
        Ok(())
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() -> Result<()> {
        let folder = Some(Path::new("/srv/sockets"));
        for url in [
            "postgres://amy@/orders?host=/srv/sockets&port=5433",
            "postgres://amy:geheim@/orders?host=/srv/sockets&port=5433",
            "postgres://amy@%2Fsrv%2Fsockets:5433/orders",
            "postgresql:///?host=/srv/sockets&port=5433&user=amy&dbname=orders",
            "postgres://bob@db.example:1/other?host=/srv/sockets&port=5433&user=amy&dbname=orders",
        ] {
            let read = options(url)?;
            assert_eq!(read.get_socket().map(|path| path.as_path()), folder, "{url}");
            assert_eq!((read.get_username(), read.get_port()), ("amy", 5433), "{url}");
            assert_eq!(read.get_database(), Some("orders"), "{url}");
        }
        let read = options("postgres://a%40b:c%2Fd@[::1]:5433/o%3Fs")?;
        assert_eq!((read.get_username(), read.get_host(), read.get_port()), ("a@b", "::1", 5433));
        assert_eq!(read.get_database(), Some("o?s"));
        Ok(())
    }

    #[test]
    fn a_parameter_without_a_value_is_the_default() -> Result<()> {
        let read = options("postgres://amy@localhost/orders?port=&sslmode=&application_name=&passfile=")?;
        assert_eq!((read.get_host(), read.get_username()), ("localhost", "amy"));
        assert_eq!(read.get_application_name(), Some("streamkeep"));
        Ok(())
    }

    #[test]
    fn a_list_of_hosts_is_refused_wherever_it_stands() {
        for url in ["postgres://geheim,other/x", "postgres:///x?host=geheim,other"] {
            let refused = refusal(url);
            assert!(refused.contains("config") && !refused.contains("geheim"), "{url}: {refused}");
        }
    }

    #[test]
    fn nothing_of_a_malformed_url_is_shown() {
        for wrong in [
            "postgres:amy:geheim@localhost/x",
            "postgres://amy:geheim",
            "postgres://amy:geheim/geheim@localhost/x",
            "postgres://amy:1/geheim@localhost/x",
            "postgres://amy:1#geheim@localhost/x",
            "postgres://amy:1?geheim@localhost/x",
            "postgres://amy:1?geheim=1&a@localhost/x",
            "postgres://amy:geheim?x@localhost/x",
            "postgres://amy:%geheim@localhost/x",
            "postgres://amy:geheim@[::1/x",
            "postgres://amy:geheim@localhost:port/x",
            "postgres://amy:geheim@localhost,other/x",
            "postgres://amy:%00geheim@localhost/x",
        ] {
            let refused = refusal(wrong);
            assert!(refused.contains("malformed"), "{wrong}: {refused}");
            assert!(!["amy", "geheim", "localhost"].iter().any(|part| refused.contains(part)), "{wrong}: {refused}");
        }
    }

    #[test]
    fn unknown_parameters_are_named_without_their_values() {
        let refused = refusal("postgres://localhost/x?sslmod=geheim");
        assert!(refused.contains("sslmod") && !refused.contains("geheim"), "{refused}");
    }
}
