//! The account that a server runs under: Postgres refuses to run as root.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::programs::on_path;

/// The account for servers and their tools.
#[derive(Clone, Debug)]
pub(super) enum Account {
    /// The account that runs the tests.
    Own,
    /// Another account, with the program that switches to it.
    Other { name: String, group: String, setpriv: bool },
}

impl Account {
    /// The account of the tests; for root an unprivileged one, `postgres` or `nobody`.
    pub(super) fn unprivileged() -> Result<Self, String> {
        if id(&["-u"])? != "0" {
            return Ok(Self::Own);
        }
        let name = ["postgres", "nobody"].into_iter().find(|name| id(&["-u", name]).is_ok());
        let name = name.ok_or("root cannot run the server, and there is no account 'postgres' or 'nobody'")?;
        let group = id(&["-gn", name])?;
        let setpriv = on_path("setpriv").is_some();
        if !setpriv && on_path("su").is_none() {
            return Err(
                "root cannot run the server, and there is no setpriv or su to switch to another account".to_owned()
            );
        }
        Ok(Self::Other { name: name.to_owned(), group, setpriv })
    }

    /// A command under this account.
    pub(super) fn command(&self, program: &Path) -> Command {
        self.command_until(program, false)
    }

    /// A command under this account that ends with the tests where the system supports that.
    pub(super) fn command_that_ends_with_the_tests(&self, program: &Path) -> Command {
        self.command_until(program, true)
    }

    fn command_until(&self, program: &Path, ends_with_tests: bool) -> Command {
        // INT is Postgres' fast shutdown.
        let mut command = match self {
            Self::Own if ends_with_tests && on_path("setpriv").is_some() => {
                let mut command = Command::new("setpriv");
                command.arg("--pdeathsig=INT").arg("--").arg(program);
                command
            }
            Self::Own => Command::new(program),
            Self::Other { name, group, setpriv: true } => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={name}")).arg(format!("--regid={group}")).arg("--init-groups");
                if ends_with_tests {
                    command.arg("--pdeathsig=INT");
                }
                command.arg("--").arg(program);
                command
            }
            Self::Other { name, .. } => {
                let mut command = Command::new("su");
                command.args(["-s", "/bin/sh", name, "-c", r#"exec "$0" "$@""#, "--"]).arg(program);
                command
            }
        };
        command.env("LC_ALL", "C");
        command
    }

    /// Gives a folder to this account.
    pub(super) fn own(&self, folder: &Path) -> Result<(), String> {
        let Self::Other { name, .. } = self else { return Ok(()) };
        run(Command::new("chown").arg(name).arg(folder)).map(drop)
    }
}

fn id(args: &[impl AsRef<OsStr>]) -> Result<String, String> {
    run(Command::new("id").args(args))
}

/// Runs a command to its end and returns its output, or its error output if it fails.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{} ended with {}: {}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&said).trim()
    ))
}
