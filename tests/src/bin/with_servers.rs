//! Runs a command with test servers: `with-servers -- COMMAND…`.
//!
//! Starts a temporary Postgres and a temporary MongoDB, unless `STREAMKEEP_TEST_POSTGRES_URL` or
//! `STREAMKEEP_TEST_MONGODB_URL` is set, sets these variables for the command, stops the servers after it and returns
//! its exit code. If a server is not installed, it says so and runs the command without.

use std::process::{Command, ExitCode};

use streamkeep_tests::harness::BACKENDS;
use streamkeep_tests::servers::{Server, StartError};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).skip_while(|word| word == "--");
    let Some(program) = words.next() else {
        eprintln!("usage: with-servers -- COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let mut command = Command::new(&program);
    command.args(words);
    let mut servers = Vec::new();
    for backend in BACKENDS {
        let Some(variable) = backend.url_variable().filter(|variable| std::env::var_os(variable).is_none()) else {
            continue;
        };
        match Server::start(backend) {
            Ok(server) => {
                command.env(variable, server.url());
                servers.push(server);
            }
            Err(StartError::NotHere(reason)) => eprintln!("with-servers: SKIPPED {backend}: {reason}"),
            Err(StartError::Failed(error)) => {
                eprintln!("with-servers: {backend}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let code = match command.status() {
        // A signal ended the command, so there is no exit code.
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("with-servers: {}: {error}", program.display());
            ExitCode::from(127)
        }
    };
    drop(servers);
    code
}
