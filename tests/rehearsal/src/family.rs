//! Processes that leave nobody behind.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// How long the dead may take to be gone: those that give way to all others need a turn for it on a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// The groups of all families that live.
static FAMILIES: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A process with all that it starts, in a process group of their own: whoever is at the keyboard
/// interrupts us and not them, and when this is dropped they are all killed.
#[derive(Debug)]
pub(crate) struct Family {
    child: Child,
    group: Pid,
}

impl Family {
    /// Starts the first of them.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("cannot start {command:?}; `make tools` installs it"))?;
        let id = child.id().context("a process that was not waited for has an id")?;
        let group = Pid::from_raw(i32::try_from(id)?).context("no process has the id 0")?;
        families().insert(group.as_raw_nonzero().get());
        Ok(Self { child, group })
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// If it cannot be started or read from.
    pub(crate) async fn output(command: &mut Command) -> Result<Output> {
        let mut family = Self::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (family.child.stdout.take(), family.child.stderr.take());
        let (mut out, mut err) = out.zip(err).context("both were asked for")?;
        futures_util::future::try_join(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr)).await?;
        Ok(Output { status: family.child.wait().await?, stdout, stderr })
    }

    /// Whether the first of them has ended.
    ///
    /// # Errors
    /// If that cannot be told.
    pub(crate) fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // One that is gone already cannot be killed, and need not be.
        let _ = kill_process_group(self.group, Signal::KILL);
        families().remove(&self.group.as_raw_nonzero().get());
        let deadline = Instant::now() + GONE_WITHIN;
        while self.child.try_wait().is_ok_and(|status| status.is_none())
            || test_kill_process_group(self.group).is_ok()
        {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Kills every family that lives, for a process that is about to end without dropping anything.
pub fn kill_all() {
    for group in families().iter().filter_map(|group| Pid::from_raw(*group)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn families() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    FAMILIES.lock().expect("nobody panics with it")
}
