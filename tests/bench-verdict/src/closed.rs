//! The worlds in a closed loop: the weights follow the verdict, which is asked every 30 seconds
//! about periods of 60, so that every stage begins in the middle of a minute.

use failover::verdict::{Counts, Criteria, JudgedStage, Period, PeriodKind, Verdict, judge};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::peers::{Peer, Wish};
use crate::rollout::hash;
use crate::scenario::{STAGES, evidence};
use crate::worlds::{Fault, Surroundings, World};

/// Minutes of a bake.
const BAKE: u32 = 5;
/// Minutes of a rollout that nothing holds up: every stage begins with one that holds both weights.
const PLANNED: u32 = (BAKE + 1) * 5;
/// Minutes after which a rollout is ended in any case, beyond those.
const OVERTIME: u32 = 90;
/// Minutes of live's past: a day, and two hours where that is as good.
const HISTORY: [(u32, usize); 2] = [(100, 1440), (u32::MAX, 120)];

/// What came of one rollout.
#[derive(Clone, Copy, Default)]
pub struct Outcome {
    pub rolled_back: bool,
    pub ended: bool,
    pub minutes: u32,
    /// Minute in which the fault began, from 1; 0 before.
    pub onset: u32,
    /// Expected number of users who failed or were slow because of the fault.
    pub harmed: f64,
    pub rechecks: u32,
}

impl Outcome {
    fn note(&mut self, active: bool, harmed: f64) {
        if active && self.onset == 0 {
            self.onset = self.minutes;
        }
        self.harmed += harmed;
    }
}

/// Runs a cell under one rule, `ours` where no peer is named.
pub fn run(
    world: &World,
    cell: (u32, f64),
    peer: Option<&str>,
    criteria: &Criteria,
    rollouts: u32,
    seed: u64,
) -> Vec<Outcome> {
    (0..rollouts)
        .map(|number| {
            // Every rule meets the same worlds; the counts part where the weights do.
            let key = format!("{}|{}|{}|{seed}|{number}", world.name, cell.0, cell.1);
            let rng = ChaCha8Rng::seed_from_u64(hash(&key));
            let around = Surroundings::new(world, cell, PLANNED, rng);
            match peer {
                None => ours(around, cell.0, criteria),
                Some(name) => theirs(around, Peer::named(name).expect("a name from the list")),
            }
        })
        .collect()
}

/// A run in the making.
struct Run {
    /// Weight of the standby as set now and before, in percent.
    percent: u8,
    earlier: u8,
    /// Whether the weights have just changed, within this minute.
    changed: bool,
    since_rise: u32,
}

impl Run {
    fn set(&mut self, percent: u8) {
        if percent != self.percent {
            (self.earlier, self.percent, self.changed) = (self.percent, percent, true);
            if self.percent > self.earlier {
                self.since_rise = 0;
            }
        }
    }
}

fn ours(mut around: Surroundings, traffic: u32, criteria: &Criteria) -> Outcome {
    let minutes = HISTORY.iter().find(|(most, _)| traffic < *most).map_or(60, |(_, minutes)| *minutes);
    let history = around.history(minutes);
    let beside = around.beside();
    // When a poll comes, as a share of the minute; the next one comes half a minute later.
    let phase = around.random() / 2.0;
    let (mut periods, mut mixed): (Vec<Period>, Vec<Period>) = (Vec::new(), Vec::new());
    let (mut stage, mut kind) = (0, PeriodKind::Shift);
    let mut run = Run { percent: STAGES[0], earlier: 0, changed: true, since_rise: 0 };
    let mut outcome = Outcome::default();
    while outcome.minutes < PLANNED + OVERTIME {
        outcome.minutes += 1;
        let (now, then) = (f64::from(run.percent) / 100.0, f64::from(run.earlier) / 100.0);
        let share = if run.changed { then * phase + now * (1.0 - phase) } else { now };
        let minute = around.minute(outcome.minutes, share, run.since_rise);
        outcome.note(minute.active, minute.harmed);
        let period = Period {
            standby_percent: run.percent,
            stage,
            kind,
            live: minute.live,
            standby: Counts { failures: minute.standby.failures + minute.standby_hung, ..minute.standby },
            balancer_failures: 0,
        };
        match (run.changed, run.percent > run.earlier) {
            (false, _) => periods.push(period),
            (true, true) => mixed.push(period),
            (true, false) => {}
        }
        run.changed = false;
        run.since_rise += 1;
        for _ in 0..2 {
            let now = JudgedStage { index: stage, standby_percent: run.percent, kind, bake_periods: BAKE };
            match (judge(criteria, &evidence(&history, &beside, &periods, &mixed, now)).verdict, kind) {
                (Verdict::Wait, _) => {}
                (Verdict::Advance, PeriodKind::Shift) if stage + 1 == STAGES.len() => {
                    outcome.ended = true;
                    return outcome;
                }
                (Verdict::Advance, PeriodKind::Shift) => {
                    stage += 1;
                    run.set(STAGES[stage]);
                }
                (Verdict::Advance, PeriodKind::Recheck) => {
                    kind = PeriodKind::Shift;
                    run.set(STAGES[stage]);
                }
                (Verdict::Recheck, _) => {
                    kind = PeriodKind::Recheck;
                    outcome.rechecks += 1;
                    run.set(criteria.recheck_percent);
                }
                (Verdict::RollBack | Verdict::Halt, _) => {
                    outcome.rolled_back = true;
                    return outcome;
                }
            }
        }
    }
    outcome
}

/// The other rules look once a minute, at whole minutes, at the weights of the plan.
fn theirs(mut around: Surroundings, mut rule: Peer) -> Outcome {
    let (mut stage, mut in_stage) = (0, 0);
    let mut outcome = Outcome::default();
    let mut since_rise = 0;
    while stage < STAGES.len() && outcome.minutes < PLANNED + OVERTIME {
        outcome.minutes += 1;
        let minute = around.minute(outcome.minutes, f64::from(STAGES[stage]) / 100.0, since_rise);
        outcome.note(minute.active, minute.harmed);
        in_stage += 1;
        since_rise += 1;
        match rule.poll(&minute, STAGES[stage], in_stage > BAKE) {
            Wish::RollBack => {
                outcome.rolled_back = true;
                break;
            }
            Wish::Stay => in_stage -= 1,
            Wish::Continue => {}
        }
        if in_stage > BAKE {
            (stage, in_stage, since_rise) = (stage + 1, 0, 0);
        }
    }
    outcome.ended = stage == STAGES.len();
    outcome
}

/// Percent of the rollouts that were rolled back, once the fault was there if there is one; the median
/// minutes it took; the mean number of users harmed; the percent that had not ended.
pub fn summary(world: &World, outcomes: &[Outcome]) -> (f64, Option<u32>, f64, f64) {
    let count = outcomes.len().max(1) as f64;
    let innocent = world.fault == Fault::None;
    let found: Vec<&Outcome> =
        outcomes.iter().filter(|o| o.rolled_back && (innocent || o.onset > 0)).collect();
    let mut minutes: Vec<u32> = found.iter().map(|o| o.minutes + 1 - o.onset.max(1)).collect();
    minutes.sort_unstable();
    let median = minutes.get(outcomes.len().div_ceil(2).max(1) - 1).copied();
    let open = outcomes.iter().filter(|o| !o.rolled_back && !o.ended).count() as f64;
    (
        100.0 * found.len() as f64 / count,
        median,
        outcomes.iter().map(|o| o.harmed).sum::<f64>() / count,
        100.0 * open / count,
    )
}

/// Prints the table of all worlds, or of those whose names hold one of the texts.
pub fn print(rollouts: u32, criteria: &Criteria, seed: u64, threads: usize, only: Option<&str>, peers: bool) {
    let names = if peers { &["A1", "A3", "A5", "B5", "C", "D"][..] } else { &[] };
    println!(
        "\n## Worlds in a closed loop\n\nRolled back % / median minutes / users harmed; {rollouts} rollouts a cell, seed {seed}.\n"
    );
    println!("| world | requests a minute, base | goal | ours | not ended % | {} |", names.join(" | "));
    println!("|{}", "---|".repeat(5 + names.len().max(1)));
    let jobs: Vec<(&World, (u32, f64))> = crate::worlds::WORLDS
        .iter()
        .filter(|w| only.is_none_or(|text| text.split(',').any(|part| w.name.contains(part))))
        .flat_map(|w| w.cells.iter().map(move |cell| (w, *cell)))
        .collect();
    let line = |(world, cell): (&World, (u32, f64))| {
        let shown = |peer| {
            let (rolled_back, median, harmed, open) =
                summary(world, &run(world, cell, peer, criteria, rollouts, seed));
            let median = median.map_or_else(|| "-".into(), |m| m.to_string());
            let harmed =
                if world.fault == Fault::None { String::new() } else { format!(" / {median} / {harmed:.0}") };
            (format!("{rolled_back:.1}{harmed}"), open)
        };
        let (ours, open) = shown(None);
        let theirs: Vec<String> = names.iter().map(|name| shown(Some(name)).0).collect();
        format!(
            "| {} | {}, {} % | {} | {ours} | {open:.1} | {} |",
            world.name,
            cell.0,
            cell.1 * 100.0,
            world.goal,
            theirs.join(" | ")
        )
    };
    for line in crate::in_threads(&jobs, threads, |job| line(*job)) {
        println!("{line}");
    }
}
