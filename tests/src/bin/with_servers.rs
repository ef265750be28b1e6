//! Runs a command with test servers: `with-servers -- COMMAND…`.
//!
//! Starts a throw-away Postgres, unless `STREAMKEEP_TEST_POSTGRES_URL` names one already, sets that variable for the command, ends the
//! server after it and passes its exit code on. Where there is no Postgres, says so and runs the command without.

use std::process::{Command, ExitCode};

use streamkeep_tests::harness::POSTGRES_URL;
use streamkeep_tests::servers::{PostgresServer, StartError};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        eprintln!("usage: with-servers -- COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let mut command = Command::new(&program);
    command.args(words);
    let server = match server() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("with-servers: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(server) = &server {
        command.env(POSTGRES_URL, server.url());
    }
    let code = match command.status() {
        // Ended by a signal: there is no code to pass on.
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("with-servers: {}: {error}", program.display());
            ExitCode::from(127)
        }
    };
    drop(server);
    code
}

fn server() -> Result<Option<PostgresServer>, StartError> {
    if std::env::var_os(POSTGRES_URL).is_some() {
        return Ok(None);
    }
    match PostgresServer::start() {
        Ok(server) => Ok(Some(server)),
        Err(StartError::NotHere(reason)) => {
            eprintln!("with-servers: SKIPPED Postgres: {reason}");
            Ok(None)
        }
        Err(failed) => Err(failed),
    }
}
