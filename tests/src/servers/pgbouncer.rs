//! A PgBouncer before a Postgres server, for one case.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use url::Url;

use super::account::Account;
use super::programs::on_path;
use super::{START_LIMIT, StartError, on_a_free_port};

/// A running pooler. Dropping it stops it.
#[derive(Debug)]
pub struct PgBouncer {
    url: Url,
    process: Option<Child>,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts a pooler in a mode (`transaction`, `session`) before the server of a URL, with additional lines of
    /// configuration.
    ///
    /// # Errors
    /// `NotHere` when the machine has no PgBouncer; `Failed` when it does not start.
    pub fn before(server: &str, mode: &str, lines: &str) -> Result<Self, StartError> {
        let debians = Path::new("/usr/sbin/pgbouncer");
        let program = on_path("pgbouncer").or_else(|| debians.is_file().then(|| debians.to_owned()));
        let program = program.ok_or_else(|| StartError::NotHere("no pgbouncer here".to_owned()))?;
        let account = Account::unprivileged().map_err(StartError::NotHere)?;
        let failed = |error: &dyn std::fmt::Display| StartError::Failed(error.to_string());
        let folder = TempDir::with_prefix("streamkeep-pgbouncer-").map_err(|error| failed(&error))?;
        account.own(folder.path()).map_err(StartError::Failed)?;
        let mut url = Url::parse(server).map_err(|error| failed(&error))?;
        let mut process = None;
        on_a_free_port(|port| {
            let text = configuration(&url, mode, port, lines);
            let file = folder.path().join("pgbouncer.ini");
            fs::write(&file, text).map_err(|error| error.to_string())?;
            let mut command = account.command_that_ends_with_the_tests(&program);
            command.current_dir(folder.path()).arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command.stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
            let ready = await_ready(&mut child, port);
            if ready.is_err() {
                end(&mut child);
                return ready;
            }
            process = Some(child);
            url.set_port(Some(port)).map_err(|()| "the URL takes no port".to_owned())
        })
        .map_err(StartError::Failed)?;
        url.set_host(Some("127.0.0.1")).map_err(|error| failed(&error))?;
        Ok(Self { url, process, _folder: folder })
    }

    /// The server's URL through the pooler.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string()
    }
}

fn configuration(server: &Url, mode: &str, port: u16, lines: &str) -> String {
    let password = server.password().map(|password| format!(" password={password}")).unwrap_or_default();
    format!(
        "[databases]\n* = host={} port={} user={}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nmax_client_conn = 500\ndefault_pool_size = 20\n\
         ignore_startup_parameters = extra_float_digits\n{lines}\n",
        server.host_str().unwrap_or("127.0.0.1"),
        server.port().unwrap_or(5432),
        server.username(),
    )
}

fn await_ready(process: &mut Child, port: u16) -> Result<(), String> {
    let deadline = Instant::now() + START_LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if process.try_wait().is_ok_and(|ended| ended.is_some()) || Instant::now() > deadline {
            return Err("PgBouncer did not start".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn end(process: &mut Child) {
    // It has no data that could be lost.
    let _ = process.kill();
    let _ = process.wait();
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            end(&mut process);
        }
    }
}
