//! Benchmark of release decisions: how often, how soon and how wrongly a release is rolled back,
//! by the shipped verdict and by the rules of other deployers, on the same simulated traffic.
//!
//! ```text
//! cargo run --profile bench -p bench-verdict -- [options]
//!   --rollouts 400          rollouts in a cell with a fault
//!   --innocent 2000         rollouts in a cell without one; ten times as many for identical fleets
//!   --traffic 20,200,...    requests a minute
//!   --bases 0.0001,...      live's share of failures
//!   --bakes 5,2,10          polls a stage; the first one has every table
//!   --faults a,b            scenarios (all)
//!   --methods ours,A1,...   rules (all)
//!   --history 1440          minutes of live history before the rollout, at most
//!   --criteria '{...}'      criteria of the shipped verdict
//!   --seed 20240601
//!   --threads 2
//!   --json FILE             every cell, as JSON
//!   --worlds all            only the worlds in a closed loop, or those whose names hold one of these texts;
//!                           without the other rules where --methods is `ours`
//! ```
//! The same options always print the same figures, but for the timing in the last line.

mod closed;
mod peers;
mod proposal;
mod report;
mod rollout;
mod scenario;
mod timing;
mod worlds;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use failover::verdict::Criteria;

use crate::peers::Peer;
use crate::rollout::{Job, OURS, OURS_WITH_CHANGES, Row};
use crate::scenario::FAULTS;

/// What was asked for on the command line.
struct Options {
    rollouts: u32,
    innocent: u32,
    traffic: Vec<u32>,
    bases: Vec<f64>,
    bakes: Vec<u32>,
    faults: Vec<&'static str>,
    methods: Vec<&'static str>,
    history: usize,
    criteria: Criteria,
    seed: u64,
    threads: usize,
    json: Option<String>,
    worlds: Option<String>,
}

fn main() {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    if let Some(worlds) = &options.worlds {
        let only = Some(worlds.as_str()).filter(|w| *w != "all");
        let peers = options.methods.iter().any(|m| Peer::NAMES.contains(m));
        closed::print(options.rollouts, &options.criteria, options.seed, options.threads, only, peers);
        return;
    }
    let rows = run_all(&options);
    report::print(&options, &rows);
    proposal::print(&options);
    timing::print();
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows).expect("rows are plain data");
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("{path}: {error}");
            std::process::exit(1);
        }
    }
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            rollouts: 400,
            innocent: 2000,
            traffic: vec![20, 200, 2000, 20_000],
            bases: vec![0.0001, 0.001, 0.01],
            bakes: vec![5, 2, 10],
            faults: FAULTS.iter().map(|f| f.name).collect(),
            methods: [OURS, OURS_WITH_CHANGES].into_iter().chain(Peer::NAMES).collect(),
            history: 1440,
            criteria: Criteria::default(),
            seed: 20_240_601,
            threads: 2,
            json: None,
            worlds: None,
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option}: a value is missing"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{option} {value}: {error}");
            match option.as_str() {
                "--rollouts" => options.rollouts = value.parse().map_err(|e| wrong(&e))?,
                "--innocent" => options.innocent = value.parse().map_err(|e| wrong(&e))?,
                "--traffic" => options.traffic = list(&value).map_err(|e| wrong(&e))?,
                "--bases" => options.bases = list(&value).map_err(|e| wrong(&e))?,
                "--bakes" => options.bakes = list(&value).map_err(|e| wrong(&e))?,
                "--faults" => {
                    options.faults = names(&value, &options.faults).map_err(|e| wrong(&e))?;
                }
                "--methods" => {
                    options.methods = names(&value, &options.methods).map_err(|e| wrong(&e))?;
                }
                "--history" => options.history = value.parse().map_err(|e| wrong(&e))?,
                "--criteria" => {
                    options.criteria = serde_json::from_str(&value).map_err(|e| wrong(&e))?;
                    options.criteria.check()?;
                }
                "--seed" => options.seed = value.parse().map_err(|e| wrong(&e))?,
                "--threads" => options.threads = value.parse().map_err(|e| wrong(&e))?,
                "--worlds" => options.worlds = Some(value),
                "--json" => options.json = Some(value),
                _ => return Err(format!("{option}: not an option; see the head of this program")),
            }
        }
        if options.bakes.is_empty() || options.threads == 0 {
            return Err("--bakes and --threads need at least 1".into());
        }
        Ok(options)
    }

    /// Every cell, the first bake with all scenarios and the others without the innocent ones but
    /// the first.
    fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (nth, &bake) in self.bakes.iter().enumerate() {
            for fault in FAULTS.iter().filter(|f| self.faults.contains(&f.name)) {
                let identical = fault.name == "identical";
                if nth > 0 && fault.innocent && !identical {
                    continue;
                }
                for &base in &self.bases {
                    for &traffic in &self.traffic {
                        for &method in &self.methods {
                            let rollouts = match (fault.innocent, nth) {
                                (true, 0) if identical => self.innocent * 10,
                                (true, _) => self.innocent,
                                (false, 0) => self.rollouts,
                                (false, _) => self.rollouts.div_ceil(2),
                            };
                            jobs.push(Job { method, fault: fault.name, traffic, base, bake, rollouts });
                        }
                    }
                }
            }
        }
        jobs
    }
}

fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, T::Err> {
    text.split(',').map(str::parse).collect()
}

fn names(text: &str, known: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let find = |name: &str| known.iter().copied().find(|k| *k == name).ok_or_else(|| format!("no `{name}`"));
    text.split(',').map(find).collect()
}

/// Runs every cell.
fn run_all(options: &Options) -> Vec<Row> {
    let run = |job: &Job| rollout::run(job, &options.criteria, options.history, options.seed);
    in_threads(&options.jobs(), options.threads, run)
}

/// Does every job, the threads taking the next one as they become free; results in the jobs' order.
fn in_threads<J: Sync, R: Send>(jobs: &[J], threads: usize, run: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, job)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(index).map(|job| (index, job))
                } {
                    let result = run(job);
                    done.lock().expect("no thread panics with the lock").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics with the lock");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
