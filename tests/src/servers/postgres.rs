//! A temporary Postgres server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::account::{Account, run};
use super::programs::postgres_folder;
use super::{START_LIMIT, StartError, on_a_free_port};

/// The role of every connection. The server listens on this machine only and needs no password.
const ROLE: &str = "streamkeep";

/// A running server with its data in a temporary folder. Dropping it stops the server and removes the data.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    programs: PathBuf,
    account: Account,
    port: u16,
    process: Option<Child>,
}

impl PostgresServer {
    /// Starts a server with the defaults for tests: durable, 200 connections, prepared transactions, ready for a
    /// standby.
    ///
    /// # Errors
    /// `NotHere` when the machine has no Postgres; `Failed` with the server's output.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(&[])
    }

    /// Starts a server with settings of postgresql.conf after the defaults.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, StartError> {
        let programs = postgres_folder().map_err(StartError::NotHere)?;
        let account = Account::unprivileged().map_err(StartError::NotHere)?;
        let mut server = Self::in_new_folder(programs, account).map_err(StartError::Failed)?;
        server
            .initialise(settings)
            .and_then(|()| on_a_free_port(|port| server.launch_on(port)))
            .map_err(StartError::Failed)?;
        Ok(server)
    }

    fn in_new_folder(programs: PathBuf, account: Account) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("streamkeep-postgres-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?;
        account.own(folder.path())?;
        Ok(Self { folder, programs, account, port: 0, process: None })
    }

    fn initialise(&self, settings: &[(&str, &str)]) -> Result<(), String> {
        let mut initdb = self.tool("initdb");
        initdb
            .args([
                "--username",
                ROLE,
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
                "-D",
            ])
            .arg(self.data());
        run(&mut initdb)?;
        let mut text = String::from(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nfsync = on\nfull_page_writes = on\n\
             max_prepared_transactions = 20\nwal_level = replica\nmax_wal_senders = 4\nshared_buffers = 64MB\nlog_min_messages = warning\n",
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        self.append_to("postgresql.conf", &text)
    }

    /// The server's URL, for a superuser in the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/postgres", self.port)
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server, as a crash does. Only the write-ahead log remains.
    ///
    /// # Errors
    /// The error of `pg_ctl`.
    pub fn stop_hard(&mut self) -> Result<(), String> {
        self.stop("immediate")
    }

    /// Shuts the server down cleanly: it rolls open transactions back and writes everything.
    ///
    /// # Errors
    /// The error of `pg_ctl`.
    pub fn stop_fast(&mut self) -> Result<(), String> {
        self.stop("fast")
    }

    fn stop(&mut self, mode: &str) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let stopped = run(self.tool("pg_ctl").args(["stop", "-w", "-m", mode, "-D"]).arg(self.data()));
        if stopped.is_err() {
            // The process must not outlive the tests.
            let _ = process.kill();
        }
        process.wait().map_err(|error| error.to_string())?;
        stopped.map(drop)
    }

    /// Starts the server again on the same port and data.
    ///
    /// # Errors
    /// The server's output.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.launch()
    }

    /// Stops the server cleanly and starts it again on the same port and data.
    ///
    /// # Errors
    /// The server's output.
    pub fn restart(&mut self) -> Result<(), String> {
        self.stop_fast()?;
        self.launch()
    }

    /// Starts a standby of this server, which can only be read.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn standby(&self) -> Result<Self, StartError> {
        if !self.programs.join("pg_basebackup").is_file() {
            return Err(StartError::NotHere("no pg_basebackup here to make a standby with".to_owned()));
        }
        let mut standby =
            Self::in_new_folder(self.programs.clone(), self.account.clone()).map_err(StartError::Failed)?;
        let copied = run(self
            .tool("pg_basebackup")
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync", "-d"])
            .arg(self.url())
            .arg("-D")
            .arg(standby.data()));
        copied.and_then(|_| on_a_free_port(|port| standby.launch_on(port))).map_err(StartError::Failed)?;
        Ok(standby)
    }

    fn launch_on(&mut self, port: u16) -> Result<(), String> {
        self.port = port;
        self.launch()
    }

    fn launch(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.folder.path().join("log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.account.command_that_ends_with_the_tests(&self.programs.join("postgres"));
        command.current_dir(self.folder.path()).arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let process =
            command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(|error| error.to_string())?;
        let id = process.id();
        self.process = Some(process);
        self.await_ready(id)
    }

    /// Waits until the server's pid file says that it accepts connections.
    fn await_ready(&mut self, process: u32) -> Result<(), String> {
        let (ready, deadline) = (self.data().join("postmaster.pid"), Instant::now() + START_LIMIT);
        loop {
            // Line 8 has the state, and line 1 shows that the file is not left from a crash.
            let file = fs::read_to_string(&ready).unwrap_or_default();
            let lines: Vec<&str> = file.lines().map(str::trim).collect();
            let stale = matches!(self.account, Account::Own | Account::Other { setpriv: true, .. })
                && lines.first() != Some(&process.to_string().as_str());
            if !stale && matches!(lines.get(7), Some(&("ready" | "standby"))) {
                return Ok(());
            }
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let _ = self.stop_hard();
                return Err(format!("the server did not start: {}", said.trim()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = self.account.command(&self.programs.join(name));
        command.current_dir(self.folder.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn append_to(&self, file: &str, text: &str) -> Result<(), String> {
        let path: &Path = &self.data().join(file);
        let before = fs::read_to_string(path).map_err(|error| error.to_string())?;
        fs::write(path, before + text).map_err(|error| error.to_string())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Its data is temporary, so it needs no clean shutdown.
        let _ = self.stop_hard();
    }
}

/// Whether the server at the URL answers now.
pub(super) async fn answers(url: &str) -> bool {
    match PgConnection::connect(url).await {
        Ok(mut connection) => connection.ping().await.is_ok(),
        Err(_) => false,
    }
}
