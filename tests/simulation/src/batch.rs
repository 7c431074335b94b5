//! Many runs on all cores, and the table of what came of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::checks::Broken;
use crate::kinds::KINDS;
use crate::lie::Lie;
use crate::plot::{self, Incident, Plot};
use crate::run::{Report, Stage};

/// Stack of a thread that evaluates expressions, in bytes.
const STACK: usize = 32 << 20;

/// A run, and how long it took on this machine.
#[derive(Debug)]
pub struct Made {
    /// What came of it.
    pub report: Report,
    /// By the clock of this machine, whatever else it did.
    pub took: Duration,
}

/// Makes the runs of these seeds, which `draw` gives worlds, and hands each to `look` in no certain order until that has seen enough.
///
/// # Errors
/// Where nothing can be run; `make tools` installs what is missing.
pub fn run(
    from: u64,
    runs: u64,
    threads: usize,
    draw: impl Fn(u64) -> Plot + Sync,
    mut look: impl FnMut(Made) -> ControlFlow<()>,
) -> Result<(), String> {
    let (coming, over) = (AtomicU64::new(from), AtomicBool::new(false));
    let failed = Mutex::new(None);
    let (give, receive) = mpsc::sync_channel(threads * 2);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let give = give.clone();
            let (coming, over, failed, draw) = (&coming, &over, &failed, &draw);
            let work = move || {
                let stage = match Stage::new() {
                    Ok(stage) => stage,
                    Err(error) => {
                        *failed.lock().expect("nobody panics with it") = Some(error);
                        return;
                    }
                };
                while !over.load(Ordering::Relaxed) {
                    let seed = coming.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + runs || give.send(timed(&stage, draw(seed))).is_err() {
                        return;
                    }
                }
            };
            let spawned = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            spawned.expect("a thread");
        }
        drop(give);
        while let Ok(made) = receive.recv() {
            if look(made).is_break() {
                over.store(true, Ordering::Relaxed);
                // Whoever waits to hand on a run must not wait for ever.
                while receive.recv().is_ok() {}
            }
        }
    });
    failed.into_inner().expect("nobody panics with it").map_or(Ok(()), Err)
}

/// One run on a thread of its own.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// Where the run does.
pub fn alone<T: Send>(work: impl FnOnce(&Stage) -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let work = || Stage::new().map(|stage| work(&stage));
        let spawned = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        spawned.expect("a thread").join().expect("the run does not panic")
    })
}

#[expect(clippy::disallowed_methods, reason = "how long a run takes is no part of it")]
fn timed(stage: &Stage, plot: Plot) -> Made {
    let began = std::time::Instant::now();
    let report = stage.run(plot);
    Made { report, took: began.elapsed() }
}

/// How many runs of a kind it takes, from seed 0 on, until this does not hold with a fence down, and would with
/// it.
///
/// # Errors
/// Where there is no such kind.
pub fn until_found(
    stage: &Stage,
    lie: Lie,
    kind: &str,
    check: &str,
    most: u64,
) -> Result<Option<u64>, String> {
    for seed in 0..most {
        let breaks = |plot| stage.run(plot).broken.iter().any(|broken| broken.check == check);
        let plot = plot::draw_as(kind, seed)?;
        if breaks(Plot { lie: Some(lie), ..plot.clone() }) && !breaks(plot) {
            return Ok(Some(seed + 1));
        }
    }
    Ok(None)
}

/// The line that makes a run again.
pub fn again(kind: &str, seed: u64) -> String {
    if plot::draw(seed).kind == kind {
        return format!("make simulate SEED={seed}");
    }
    format!("make simulate SEED={seed} KIND='{kind}'")
}

/// What was seen of a kind of world.
#[derive(Debug, Default)]
struct Row {
    runs: usize,
    endings: BTreeMap<String, usize>,
    users: [u64; 2],
    changes: Vec<usize>,
    innocent: usize,
    broken: usize,
    slowest: Duration,
}

/// The table of kinds.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<&'static str, Row>,
    /// Everything that does not hold: the seed, the kind, and what.
    pub broken: Vec<(u64, &'static str, Broken)>,
    /// Runs.
    pub runs: usize,
    took: Duration,
}

impl Table {
    /// Adds a run.
    pub fn add(&mut self, made: &Made) {
        let Made { report, took } = made;
        let row = self.rows.entry(report.plot.kind).or_default();
        row.runs += 1;
        *row.endings.entry(report.ending.clone()).or_default() += 1;
        let asked = report.plot.incidents.iter().any(|(_, what)| *what == Incident::Ask("rollback"))
            || report.plot.hook.is_some();
        let back = report.ending == "RolledBack";
        row.innocent += usize::from(back && !report.plot.guilty && !asked);
        row.users[0] += report.users[0];
        row.users[1] += report.users[1];
        row.changes.push(report.changes.len());
        row.broken += usize::from(!report.broken.is_empty());
        row.slowest = row.slowest.max(*took);
        self.runs += 1;
        self.took += *took;
        let seed = report.plot.seed;
        self.broken.extend(report.broken.iter().map(|broken| (seed, report.plot.kind, broken.clone())));
    }

    /// As the page of the simulation shows it.
    pub fn markdown(&mut self) -> String {
        let mut text = String::from(
            "| kind of world | runs | endings | false rollbacks | requests that failed | weight changes: median, most \
             | do not hold | slowest run |\n|---|---|---|---|---|---|---|---|\n",
        );
        for (kind, guilty, _) in KINDS {
            let Some(row) = self.rows.get_mut(kind) else { continue };
            row.changes.sort_unstable();
            let endings: Vec<String> =
                row.endings.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
            let _ = writeln!(
                text,
                "| {kind} | {} | {} | {} | {:.2} % | {}, {} | {} | {:.2} s |",
                row.runs,
                endings.join(", "),
                if *guilty { String::new() } else { row.innocent.to_string() },
                row.users[1] as f64 / row.users[0].max(1) as f64 * 100.0,
                row.changes[row.changes.len() / 2],
                row.changes.last().copied().unwrap_or(0),
                row.broken,
                row.slowest.as_secs_f64(),
            );
        }
        let mean = self.took.as_secs_f64() / self.runs.max(1) as f64;
        let _ =
            writeln!(text, "\n{} runs, each {mean:.2} s by the clock of this machine on average.", self.runs);
        text
    }
}
