//! One rollout under one rule, and a cell of many.

use failover::verdict::{Counts, Criteria, JudgedStage, Period, PeriodKind, Verdict, judge};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::peers::{Peer, Wish};
use crate::scenario::{FAULTS, Fault, STAGES, World, evidence};

/// Our own rule's name in the tables.
pub const OURS: &str = "ours";

/// The same, where every stage begins in the middle of a minute, which it is shown as well. The
/// other rules are compared with it in whole minutes only.
pub const OURS_WITH_CHANGES: &str = "ours+changes";

/// Minutes after which a rollout is ended in any case, beyond its bakes.
const OVERTIME: u32 = 60;

/// One cell of the benchmark.
#[derive(Clone, Serialize)]
pub struct Job {
    pub method: &'static str,
    pub fault: &'static str,
    /// Requests a minute.
    pub traffic: u32,
    /// Live's share of failures.
    pub base: f64,
    /// Polls a stage.
    pub bake: u32,
    pub rollouts: u32,
}

/// What came of a cell's rollouts. Shares between 0 and 1.
#[derive(Clone, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub job: Job,
    /// Rolled back after the fault had begun.
    pub detected: f64,
    /// Rolled back without a fault, or before it.
    pub falsely: f64,
    /// Median polls from the fault to the rollback; none where fewer than half are found.
    pub median_polls: Option<u32>,
    /// Median polls until the fault was found *or* the standby was set back for a recheck.
    pub median_relief: Option<u32>,
    /// Mean number of users who failed or were slow because of the fault.
    pub harmed: f64,
    /// Mean length of the rollouts that were not rolled back, in minutes.
    pub minutes: f64,
    /// Share of rollouts with a recheck.
    pub probed: f64,
}

struct Outcome {
    rolled_back: bool,
    minutes: u32,
    onset: u32,
    recheck: u32,
    harmed: f64,
}

/// Runs a cell. The generator depends on the cell alone, so that a cell can be run by itself.
pub fn run(job: &Job, criteria: &Criteria, history: usize, seed: u64) -> Row {
    let key = format!("{}|{}|{}|{}|{seed}", job.fault, job.traffic, job.base, job.bake);
    let mut rng = ChaCha8Rng::seed_from_u64(hash(&key));
    let fault = FAULTS.iter().find(|f| f.name == job.fault).expect("jobs are made from the list of faults");
    let outcomes: Vec<Outcome> = (0..job.rollouts)
        .map(|_| {
            let world = World::new(fault, f64::from(job.traffic), job.base, 5 * job.bake, &mut rng);
            match job.method {
                OURS => ours(&world, criteria, history, job.bake, false, &mut rng),
                OURS_WITH_CHANGES => ours(&world, criteria, history, job.bake, true, &mut rng),
                _ => peer(&world, job, &mut rng),
            }
        })
        .collect();
    summarise(job, fault, &outcomes)
}

/// FNV-1a, so that seeds do not depend on the standard library's hasher.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn ours(
    world: &World,
    criteria: &Criteria,
    history: usize,
    bake: u32,
    changes: bool,
    rng: &mut ChaCha8Rng,
) -> Outcome {
    // As much as the verdict will look at, with a little to spare.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of minutes")]
    let enough = (1.1 * criteria.history_requests as f64 / world.traffic).ceil() as usize;
    let history: Vec<Counts> = world.history(enough.max(criteria.history_periods as usize).min(history), rng);
    let (mut periods, mut mixed): (Vec<Period>, Vec<Period>) = (Vec::new(), Vec::new());
    let (mut stage, mut kind) = (0, PeriodKind::Shift);
    let mut outcome = Outcome { rolled_back: false, minutes: 0, onset: 0, recheck: 0, harmed: 0.0 };
    while stage < STAGES.len() && outcome.minutes < 5 * bake + OVERTIME {
        outcome.minutes += 1;
        let percent = if kind == PeriodKind::Recheck { criteria.recheck_percent } else { STAGES[stage] };
        let begins = changes && mixed.len() == stage;
        let mut share = f64::from(percent) / 100.0;
        if begins {
            let before = stage.checked_sub(1).map_or(0.0, |earlier| f64::from(STAGES[earlier]) / 100.0);
            share = before + (share - before) * rng.random::<f64>();
        }
        let minute = world.minute(outcome.minutes, stage, share, rng);
        outcome.note(minute.active, minute.harmed);
        let seen = if begins { &mut mixed } else { &mut periods };
        seen.push(Period {
            standby_percent: percent,
            stage,
            kind,
            live: minute.live,
            standby: minute.standby,
            balancer_failures: 0,
        });
        let now = JudgedStage { index: stage, standby_percent: percent, kind, bake_periods: bake };
        let evidence = evidence(&history, &[], &periods, &mixed, now);
        match (judge(criteria, &evidence).verdict, kind) {
            (Verdict::Advance, PeriodKind::Shift) => stage += 1,
            (Verdict::Advance, PeriodKind::Recheck) => kind = PeriodKind::Shift,
            (Verdict::Wait, _) => {}
            (Verdict::Recheck, _) => {
                kind = PeriodKind::Recheck;
                if outcome.recheck == 0 {
                    outcome.recheck = outcome.minutes;
                }
            }
            (Verdict::RollBack | Verdict::Halt, _) => {
                outcome.rolled_back = true;
                break;
            }
        }
    }
    outcome
}

fn peer(world: &World, job: &Job, rng: &mut ChaCha8Rng) -> Outcome {
    let mut rule = Peer::named(job.method).expect("jobs are made from the list of rules");
    let (mut stage, mut in_stage) = (0, 0);
    let mut outcome = Outcome { rolled_back: false, minutes: 0, onset: 0, recheck: 0, harmed: 0.0 };
    while stage < STAGES.len() && outcome.minutes < 5 * job.bake + OVERTIME {
        outcome.minutes += 1;
        let minute = world.minute(outcome.minutes, stage, f64::from(STAGES[stage]) / 100.0, rng);
        outcome.note(minute.active, minute.harmed);
        in_stage += 1;
        match rule.poll(&minute, STAGES[stage], in_stage >= job.bake) {
            Wish::RollBack => {
                outcome.rolled_back = true;
                break;
            }
            Wish::Stay => in_stage -= 1,
            Wish::Continue => {}
        }
        if in_stage >= job.bake {
            (stage, in_stage) = (stage + 1, 0);
        }
    }
    outcome
}

impl Outcome {
    fn note(&mut self, active: bool, harmed: f64) {
        if active && self.onset == 0 {
            self.onset = self.minutes;
        }
        self.harmed += harmed;
    }
}

fn summarise(job: &Job, fault: &Fault, outcomes: &[Outcome]) -> Row {
    let count = outcomes.len().max(1) as f64;
    let found = |o: &&Outcome| o.rolled_back && o.onset > 0 && !fault.innocent;
    let median = |mut polls: Vec<u32>| {
        polls.sort_unstable();
        polls.get(outcomes.len().div_ceil(2) - 1).copied()
    };
    let polls = outcomes.iter().filter(found).map(|o| o.minutes - o.onset + 1).collect();
    let relief = outcomes
        .iter()
        .filter(found)
        .map(|o| if o.recheck >= o.onset { o.recheck } else { o.minutes } - o.onset + 1)
        .collect();
    let passed: Vec<f64> = outcomes.iter().filter(|o| !o.rolled_back).map(|o| f64::from(o.minutes)).collect();
    Row {
        job: job.clone(),
        detected: outcomes.iter().filter(found).count() as f64 / count,
        falsely: outcomes.iter().filter(|o| o.rolled_back && (fault.innocent || o.onset == 0)).count() as f64
            / count,
        median_polls: median(polls),
        median_relief: median(relief),
        harmed: outcomes.iter().map(|o| o.harmed).sum::<f64>() / count,
        minutes: passed.iter().sum::<f64>() / passed.len().max(1) as f64,
        probed: outcomes.iter().filter(|o| o.recheck > 0).count() as f64 / count,
    }
}
