//! Makes a client from a URL: which parameters the URL may have, and what the store sets itself.

use std::time::Duration;

use mongodb::Client;
use mongodb::error::ErrorKind;
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, Tls, WriteConcern,
};
use url::form_urlencoded;

use super::error::Failure;
use super::format::Connections;
use crate::error::{Error, Result};
use crate::faults::planted;
use crate::options::{Durability, OpenOptions, unknown_parameter};

/// The database when the URL names none.
const DATABASE: &str = "streamkeep";
/// How long the driver looks for a primary before it fails. The store tries again until the deadline of the call, and
/// then its error has the cause.
const SELECTION: Duration = Duration::from_secs(1);
/// How long a connection may take to be made, and how long a server may take to answer its monitor.
const CONNECT: Duration = Duration::from_millis(1_250);
/// How often a server's state is checked. A server that falls silent is given up after this time and [`CONNECT`].
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The parameters of the driver, in lower case, which are passed to it.
const DRIVERS_OWN: [&str; 31] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "connecttimeoutms",
    "directconnection",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
];
/// Parameters that are allowed and ignored, because the store sets these options itself.
const SET_HERE: [&str; 4] = ["w", "wtimeoutms", "waitqueuetimeoutms", "uuidrepresentation"];

/// A client, and the database that the URL names.
pub(super) struct Connected {
    pub(super) client: Client,
    /// The options for the change stream's client.
    pub(super) options: ClientOptions,
    pub(super) database: String,
    pub(super) connections: Connections,
}

/// Makes a client. It does not connect yet, but the host of a `mongodb+srv` URL is looked up.
pub(super) async fn connect(
    location: &str,
    parameters: &[(String, String)],
    options: &OpenOptions,
) -> Result<Connected> {
    let client_options = client_options(location, parameters, options).await?;
    let database = client_options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let connections = Connections::default();
    let mut counted = client_options.clone();
    counted.cmap_event_handler = Some(connections.counter());
    let client = Client::with_options(counted).map_err(setup)?;
    Ok(Connected { client, options: client_options, database, connections })
}

async fn client_options(
    location: &str,
    parameters: &[(String, String)],
    options: &OpenOptions,
) -> Result<ClientOptions> {
    let named = |name: &str| parameters.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let url = drivers_url(location, parameters)?;
    let mut client = ClientOptions::parse(url).await.map_err(wrong_url)?;
    if !planted("mongodb-trusts-the-url") {
        client.read_concern = Some(ReadConcern::majority());
    }
    client.write_concern = Some(write_concern(options.durability));
    client.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    client.retry_reads = Some(true);
    client.retry_writes = Some(true);
    client.app_name.get_or_insert_with(|| "streamkeep".to_owned());
    client.connect_timeout.get_or_insert(CONNECT);
    client.heartbeat_freq.get_or_insert(HEARTBEAT);
    client.server_selection_timeout.get_or_insert(SELECTION.min(options.timeout / 2));
    if !named("maxpoolsize") {
        // One more than the store's work may use: a writer updates its time during a long statement (see `abandoned`).
        client.max_pool_size = Some(options.max_connections.saturating_add(1));
    }
    encrypt(&mut client, location, named("tls") || named("ssl"), options.insecure)?;
    Ok(client)
}

/// The write concern: on the disks of a majority, or weaker if the options ask for that.
pub(super) fn write_concern(durability: Durability) -> WriteConcern {
    match durability {
        Durability::Full => WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build(),
        Durability::Relaxed => WriteConcern::builder().w(Acknowledgment::Majority).build(),
    }
}

/// The URL for the driver, with only the driver's parameters.
fn drivers_url(location: &str, parameters: &[(String, String)]) -> Result<String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        let lower = name.to_ascii_lowercase();
        if SET_HERE.contains(&lower.as_str()) {
            continue;
        }
        if !DRIVERS_OWN.contains(&lower.as_str()) {
            return Err(unknown_parameter(name, parameters));
        }
        query.append_pair(name, value);
    }
    // The driver does not read a plus as a space.
    let query = query.finish().replace('+', "%20");
    let rest = location.split_once("://").map_or("", |(_, rest)| rest);
    let slash = if rest.contains('/') { "" } else { "/" };
    Ok(if query.is_empty() { format!("{location}{slash}") } else { format!("{location}{slash}?{query}") })
}

/// The driver's message could repeat a part of the URL, so it is not passed on.
fn wrong_url(error: mongodb::error::Error) -> Error {
    match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => Error::unavailable("the name in the mongodb+srv URL could not be looked up"),
        _ => Error::config("the mongodb URL is malformed, or one of its parameters has an invalid value"),
    }
}

fn setup(error: mongodb::error::Error) -> Error {
    Error::from(Failure::from(error))
}

/// Encrypts connections to other machines and verifies the host, unless the URL allows otherwise.
fn encrypt(client: &mut ClientOptions, location: &str, said: bool, insecure: bool) -> Result<()> {
    let local = !location.starts_with("mongodb+srv:") && client.hosts.iter().all(is_local);
    if local || insecure {
        return Ok(());
    }
    match &client.tls {
        Some(Tls::Disabled) if said => {
            Err(Error::config("a connection to another machine must be encrypted, unless the URL has insecure=true"))
        }
        Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true) => Err(Error::config(
            "the certificate of a server on another machine must be verified, unless the URL has insecure=true",
        )),
        Some(Tls::Enabled(_)) => Ok(()),
        _ => {
            client.tls = Some(Tls::Enabled(mongodb::options::TlsOptions::default()));
            Ok(())
        }
    }
}

fn is_local(address: &ServerAddress) -> bool {
    match address {
        ServerAddress::Tcp { host, .. } => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        // A Unix socket.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn options(url: &str) -> Result<ClientOptions> {
        let (location, query) = url.split_once('?').unwrap_or((url, ""));
        let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        client_options(location, &parameters, &OpenOptions::new(url)).await
    }

    async fn refusal(url: &str) -> String {
        options(url).await.err().map(|error| format!("{error} {error:?}")).unwrap_or_default()
    }

    #[tokio::test]
    async fn the_host_of_another_machine_is_verified() -> Result<()> {
        assert!(matches!(options("mongodb://db.example/x").await?.tls, Some(Tls::Enabled(_))));
        for weaker in
            ["tls=false", "ssl=false", "tls=true&tlsAllowInvalidCertificates=true", "tls=true&tlsInsecure=true"]
        {
            let refused = refusal(&format!("mongodb://u:geheim@db.example/x?{weaker}")).await;
            assert!(refused.contains("insecure=true") && !refused.contains("geheim"), "{weaker}: {refused}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn on_this_machine_a_connection_may_be_plain() -> Result<()> {
        for local in [
            "mongodb://localhost/x",
            "mongodb://127.0.0.1:27018",
            "mongodb://[::1]/x",
            "mongodb://%2Frun%2Fmongodb.sock/x",
        ] {
            assert!(!matches!(options(local).await?.tls, Some(Tls::Enabled(_))), "{local}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_the_store_relies_on_is_set_whatever_the_url_says() -> Result<()> {
        let url = "mongodb://localhost/x?w=1&journal=false&readPreference=secondary&readConcernLevel=local&retryWrites=false&replicaSet=rs0&appName=a%20b";
        let options = options(url).await?;
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        assert_eq!(options.write_concern, Some(write_concern(Durability::Full)));
        assert!(matches!(options.selection_criteria, Some(SelectionCriteria::ReadPreference(ReadPreference::Primary))));
        assert_eq!(
            (options.retry_writes, options.repl_set_name.as_deref(), options.app_name.as_deref()),
            (Some(true), Some("rs0"), Some("a b"))
        );
        Ok(())
    }

    #[tokio::test]
    async fn unknown_parameters_are_named_without_their_values() {
        let refused = refusal("mongodb://u:geheim@localhost/x?replicaSett=geheim").await;
        assert!(refused.contains("'replicaSett'") && !refused.contains("geheim"), "{refused}");
    }

    #[tokio::test]
    async fn a_malformed_url_is_not_repeated() {
        for wrong in [
            "mongodb://u:geheim@",
            "mongodb://u:geh@eim@localhost",
            "mongodb://u:geheim@localhost:port/",
            "mongodb://u:geheim@localhost/?maxPoolSize=geheim",
            "mongodb://u:geh?eim@localhost/x",
            "mongodb://u:1?geheim&x@localhost/x",
            "mongodb://u:1?appName=x&geheim=1@localhost/x",
            "mongodb://u:geheim/eim@localhost/x",
            "mongodb://u:geheim#eim@localhost/x",
            "mongodb://u:geheim:1@localhost/x",
            "mongodb://u@geheim:1@localhost/x",
            "mongodb://u:geheim%@localhost/x",
            "mongodb://u:geheim@localhost/a b",
        ] {
            let refused = refusal(wrong).await;
            assert!(refused.contains("malformed") && !refused.contains("geh"), "{wrong}: {refused}");
        }
    }
}
