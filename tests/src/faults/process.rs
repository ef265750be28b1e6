//! Parts of a case that run in other processes, each of which is this program.
#![cfg_attr(not(streamkeep_faults), allow(dead_code, reason = "only failpoints need a process to themselves"))]

use std::future::Future;
use std::process::Stdio;

use libtest_mimic::{Completion, Failed, Trial};
use streamkeep_tests::harness::Backend;
use tokio::process::Command;

use super::ground::{Ground, case};
use super::history::History;
use super::storm::Part;

/// The variable with the part of a child process, as JSON. The child writes its history to its standard output.
const PART: &str = "STREAMKEEP_STORM_PART";

/// Plays the part that this process was started for, if there is one.
pub fn play() -> Option<Result<(), Failed>> {
    let part = std::env::var(PART).ok()?;
    let play = || {
        let part: Part = serde_json::from_str(&part)?;
        let history = super::ground::runtime()?.block_on(part.run())?;
        Ok(serde_json::to_writer(std::io::stdout().lock(), &history)?)
    };
    Some(play())
}

/// Plays a part in a new process.
pub async fn run(part: Part) -> Result<History, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env(PART, serde_json::to_string(&part)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = command.output().await?;
    if !output.status.success() {
        return Err(format!(
            "a process of the storm ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Set in a process that runs one case alone.
const ALONE: &str = "STREAMKEEP_ALONE";

/// A case in a new process, which is this program for this case alone.
pub fn in_own_process<F, W>(name: &str, kind: Backend, work: W) -> Trial
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
    W: Fn(Ground) -> F + Send + 'static,
{
    if std::env::var_os(ALONE).is_some() {
        return case(name, kind, work);
    }
    let name = format!("{name} [{kind}]");
    Trial::ignorable_test(name.clone(), move || {
        if let Some(reason) = kind.missing() {
            return Ok(Completion::ignored_with(reason));
        }
        let result = run_case(&name, kind, &[(ALONE, "1")])?;
        print!("{}", result.figures());
        if result.passed { Ok(Completion::Completed) } else { Err(result.output.into()) }
    })
}

/// A case for each failpoint, in a new process. The case gets the failpoint's name.
#[cfg(streamkeep_faults)]
pub fn at_each_point<F, W>(
    name: &str,
    points: &'static [(Backend, &'static str)],
    work: W,
) -> impl Iterator<Item = Trial> + use<F, W>
where
    F: Future<Output = Result<(), Failed>> + Send + 'static,
    W: Fn(Ground, &'static str) -> F + Copy + Send + 'static,
{
    let name = name.to_owned();
    points.iter().map(move |(kind, point)| {
        in_own_process(&format!("failpoints::{name}_at_{point}"), *kind, move |ground| work(ground, point))
    })
}

/// How a case ended in its process.
#[derive(Debug)]
pub struct CaseResult {
    pub passed: bool,
    /// The case itself failed, not the program around it.
    pub failed: bool,
    pub output: String,
}

impl CaseResult {
    /// The lines that the case printed.
    fn figures(&self) -> String {
        let own = |line: &&str| !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test ");
        self.output.lines().filter(own).flat_map(|line| [line, "\n"]).collect()
    }
}

/// Runs one case by its name in a new process, on the same server.
pub fn run_case(name: &str, kind: Backend, environment: &[(&str, &str)]) -> Result<CaseResult, Failed> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["--exact", name, "--test-threads", "1"]).envs(environment.iter().copied()).stdin(Stdio::null());
    if let Some(variable) = kind.url_variable() {
        command.env(variable, super::ground::server(kind));
    }
    let output = command.output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let one = text.contains("running 1 test");
    Ok(CaseResult {
        passed: one && output.status.success() && text.contains("1 passed"),
        failed: one && text.contains("1 failed"),
        output: text,
    })
}
