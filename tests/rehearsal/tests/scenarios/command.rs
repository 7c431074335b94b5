//! `rehearse` as a command: what it prints, and what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rehearsal::Ground;
use rehearsal::play::Report;
use scenario::Ending;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// The command under test.
const REHEARSE: &str = env!("CARGO_BIN_EXE_rehearse");

/// A shift with a stage of a minute, which is long enough to be interrupted.
const LONG: &str = "{ description: long, users: { rate: 20 }, runs: [{ operation: shift, ends: shifted, \
                    input: { stages: [50, 100], bake: 1m }, weights: { prod1: 0, prod2: 100 } }] }";

/// A drain, which is over in seconds.
const SHORT: &str = "{ description: short, users: { rate: 40 }, runs: [{ operation: drain, ends: ENDING, \
                     input: { bake: 2s }, weights: { prod1: 100, prod2: 0 } }] }";

/// How long anything may take before it counts as stuck. Beside other scenarios that deploy, what deploys here waits for
/// minutes: it gives way to all that answers.
const STUCK_AFTER: Duration = Duration::from_mins(10);

/// A scenario in a folder of its own, which is also where the command keeps what it keeps.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(scenario: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("failover-command-").tempdir()?;
        std::fs::create_dir(folder.path().join("kept"))?;
        std::fs::write(folder.path().join("scenario.yaml"), scenario)?;
        Ok(Self { folder })
    }

    fn scenario(&self) -> PathBuf {
        self.folder.path().join("scenario.yaml")
    }

    /// Where the command keeps what it keeps.
    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("TMPDIR", self.kept()).env("TERM", "xterm").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn output(&self, json: bool) -> Result<Output> {
        let mut command = self.command(REHEARSE);
        command.arg(self.scenario()).args(json.then_some("--json"));
        Ok(timeout(STUCK_AFTER, command.output()).await??)
    }

    /// Checks that neither a process nor a file is left, nor a server at one of the addresses shown.
    fn check_nothing_left(&self, shown: &str) -> Result<()> {
        let processes = processes_with(&self.kept())?;
        ensure!(processes.is_empty(), "still running: {processes:?}");
        let files: Vec<_> = std::fs::read_dir(self.kept())?.collect::<Result<_, _>>()?;
        ensure!(files.is_empty(), "left behind: {files:?}");
        for address in addresses(shown) {
            ensure!(std::net::TcpStream::connect(address).is_err(), "{address} still answers");
        }
        Ok(())
    }
}

pub async fn a_result_for_machines_comes_alone(_: &Ground) -> Result<()> {
    let bench = Bench::new(&SHORT.replace("ENDING", "drained"))?;
    let output = bench.output(true).await?;
    let (result, shown) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{shown}");
    // Unknown fields and missing ones would be refused.
    let report: Report = serde_json::from_str(&result).with_context(|| result.clone())?;
    ensure!(report.problems.is_empty() && report.ending == Ending::Drained, "{result}");
    ensure!(report.requests.sent > 0 && report.requests.failed == 0, "{result}");
    ensure!(report.calls.get("GetMetricData").is_some_and(|calls| *calls > 1), "{result}");
    ensure!(report.from_fault.is_none(), "{result}");
    // Plain lines where there is no terminal.
    ensure!(shown.contains("prod2 is drained") && !shown.contains('\u{1b}'), "{shown}");
    bench.check_nothing_left(&shown)
}

pub async fn a_scenario_that_does_not_hold_fails(_: &Ground) -> Result<()> {
    let bench = Bench::new(&SHORT.replace("ENDING", "shifted"))?;
    let output = bench.output(false).await?;
    let shown = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1), "{:?}: {shown}", output.status);
    ensure!(shown.contains("drain: ended in drained instead of shifted"), "{shown}");
    let unknown = Bench::new("{ description: d, runs: [], limit: 1 }")?;
    let refused = String::from_utf8(unknown.output(false).await?.stderr)?;
    ensure!(refused.contains("unknown field `limit`"), "{refused}");
    Ok(())
}

/// Interrupted as by `kill` while it deploys and while it runs, and by the keys in a terminal; each
/// one starts as soon as the one before has ended.
pub async fn an_interrupt_leaves_nothing_behind(_: &Ground) -> Result<()> {
    let bench = Bench::new(LONG)?;
    for told in ["Failover deployments", "  set "] {
        let mut command = bench.command(REHEARSE).arg(bench.scenario()).spawn()?;
        let shown = until(command.stdout.take(), told).await?;
        // The local AWS is up within this time, and the stack is not.
        sleep(Duration::from_secs(2)).await;
        let id = command.id().context("it runs")?.to_string();
        ensure!(std::process::Command::new("kill").args(["-INT", &id]).status()?.success());
        let status = timeout(STUCK_AFTER, command.wait()).await??;
        ensure!(status.code() == Some(130), "{status:?}");
        bench.check_nothing_left(&shown)?;
    }
    let typed = format!("'{REHEARSE}' '{}'", bench.scenario().display());
    let mut script = bench.command("script").args(["-qefc", &typed, "/dev/null"]).spawn()?;
    let mut keys = script.stdin.take().context("keys")?;
    // The picture of the run: which stage it is at.
    let shown = until(script.stdout.take(), "▶ 50 %  · 100 %").await?;
    ensure!(addresses(&shown).len() == 2, "{shown}");
    keys.write_all(b"\x03").await?;
    let status = timeout(STUCK_AFTER, script.wait()).await??;
    ensure!(status.code() == Some(130), "{status:?}");
    bench.check_nothing_left(&shown)
}

/// Reads what is shown until this is among it.
async fn until(shown: Option<impl AsyncRead + Unpin + Send + 'static>, told: &str) -> Result<String> {
    let mut shown = shown.context("what it shows")?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&bytes).contains(told) {
        match timeout(STUCK_AFTER, shown.read(&mut chunk)).await?? {
            0 => bail!("it ended without {told:?}: {}", String::from_utf8_lossy(&bytes)),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
    // Somebody has to go on reading, or it would wait for that.
    tokio::spawn(async move { tokio::io::copy(&mut shown, &mut tokio::io::sink()).await });
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The addresses of the servers that it has started, as far as they were shown.
fn addresses(shown: &str) -> Vec<&str> {
    shown.split("http://").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect()
}

/// The processes that were started with this folder in their environment.
fn processes_with(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
        if String::from_utf8_lossy(&environment).contains(&folder) {
            found.push(std::fs::read_to_string(path.join("cmdline")).unwrap_or_default());
        }
    }
    Ok(found)
}
