//! Several processes that append to one log: the program starts itself again.
//!
//! A child opens the store, prints `ready`, and waits for a line. From then on its callers append for a fixed time, and
//! it prints how many appends were acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use streamkeep::{ExpectedVersion, OpenOptions};
use tokio::task::block_in_place;

use crate::face::event;
use crate::figures::Figure;
use crate::workload::Workload;

/// What a child prints when it can begin.
const READY: &str = "ready";

/// A child process and its output.
struct Caller {
    process: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Caller {
    fn start(url: &str, namespace: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([url, "--append-to", namespace]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let said = BufReader::new(process.stdout.take().context("a child's output")?);
        Ok(Self { process, said })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn begin(&mut self) -> Result<()> {
        Ok(self.process.stdin.as_mut().context("a child's input")?.write_all(b"go\n")?)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // A child that has ended is only waited for; if another one failed, it is killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All children on one namespace: appends per second.
pub(crate) fn together(url: &str, namespace: &str, workload: &Workload) -> Result<Figure> {
    block_in_place(|| {
        let mut callers =
            (0..workload.beside_raw.processes).map(|_| Caller::start(url, namespace)).collect::<Result<Vec<_>>>()?;
        for caller in &mut callers {
            let said = caller.line()?;
            ensure!(said == READY, "a child printed '{said}'");
        }
        callers.iter_mut().try_for_each(Caller::begin)?;
        let mut appends = 0;
        for caller in &mut callers {
            appends += caller.line()?.parse::<u32>().context("a child's number")?;
        }
        Ok(f64::from(appends) / Duration::from_millis(workload.beside_raw.processes_ms).as_secs_f64())
    })
}

/// Runs the child's part.
pub(crate) async fn append_to(url: &str, namespace: &str, workload: &'static Workload) -> Result<()> {
    let store = OpenOptions::new(url).namespace(namespace).open().await?;
    println!("{READY}");
    block_in_place(|| std::io::stdin().read_line(&mut String::new()))?;
    let end = Instant::now() + Duration::from_millis(workload.beside_raw.processes_ms);
    let callers = (0..workload.beside_raw.callers_per_process).map(|caller| {
        let (store, stream) =
            (store.clone(), format!("process-{}-{caller}-{}", std::process::id(), uuid::Uuid::now_v7()));
        tokio::spawn(async move {
            let mut version = 0;
            loop {
                store.append(&stream, [event(workload)], ExpectedVersion::Exact(version)).await?;
                // An append that is acknowledged too late is not counted.
                if Instant::now() >= end {
                    return Ok::<_, streamkeep::Error>(version);
                }
                version += 1;
            }
        })
    });
    let mut appends = 0;
    for caller in callers.collect::<Vec<_>>() {
        appends += caller.await??;
    }
    println!("{appends}");
    Ok(store.close().await?)
}
