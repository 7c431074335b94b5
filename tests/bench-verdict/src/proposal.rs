//! Whether a bake of the proposed length finds what it promises where traffic is thin.

use failover::verdict::{Counts, Criteria, JudgedStage, Period, PeriodKind, Verdict, judge, proposed_bake};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::Options;
use crate::scenario::{Effect, Fault, Noise, World, evidence};

/// Traffic that is thin, in requests a minute.
const THIN: u32 = 500;
/// Weights and faults, in percent, that a bake is proposed for.
const WEIGHTS: [u8; 2] = [10, 50];
const FAULTS: [u8; 3] = [100, 10, 2];
/// The longest proposal that is tried, in minutes.
const LONGEST: u32 = 480;
const ROLLOUTS: u32 = 40;
/// Looks within twice the proposal.
const LOOKS: u32 = 20;

/// Prints, for every thin cell, the proposal and what it found.
pub fn print(options: &Options) {
    let thin: Vec<u32> = options.traffic.iter().copied().filter(|t| *t <= THIN).collect();
    if thin.is_empty() {
        return;
    }
    println!("\n## Proposed bakes where traffic is thin\n");
    println!(
        "Minutes of one stage until a standby that fails in so many of its requests is found, as proposed;"
    );
    println!(
        "in brackets the share of {ROLLOUTS} rollouts in which it was found by then, and by twice then."
    );
    println!("Last, minutes until a standby that equals live is accepted.\n");
    println!(
        "| requests a minute | base | weight | 100 % fail | 10 % fail | 2 % fail | accepted |\n|---|---|---|---|---|---|---|"
    );
    for &base in &options.bases {
        for &traffic in &thin {
            for weight in WEIGHTS {
                let cells: Vec<String> =
                    FAULTS.iter().map(|fault| cell(options, traffic, base, weight, *fault)).collect();
                let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
                let past = past(options, &world(&healthy(), traffic, base, &mut rng), &mut rng);
                let accept = proposed_bake(&options.criteria, &past, weight, 100.0).accept_periods;
                let accept = accept.map_or_else(|| "never".into(), |p| p.to_string());
                println!("| {traffic} | {} % | {weight} | {} | {accept} |", base * 100.0, cells.join(" | "));
            }
        }
    }
}

const fn healthy() -> Fault {
    Fault { name: "healthy", effect: Effect::None, noise: Noise::Plain, innocent: true }
}

fn world<'a>(fault: &'a Fault, traffic: u32, base: f64, rng: &mut ChaCha8Rng) -> World<'a> {
    World::new(fault, f64::from(traffic), base, 1, rng)
}

fn past(options: &Options, world: &World, rng: &mut ChaCha8Rng) -> Vec<Counts> {
    world.history(options.history, rng)
}

fn cell(options: &Options, traffic: u32, base: f64, weight: u8, fault_percent: u8) -> String {
    let share = f64::from(fault_percent) / 100.0;
    let fault = Fault {
        name: "steady",
        effect: Effect::Failures(0.0, share.max(base)),
        noise: Noise::Plain,
        innocent: false,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let world = world(&fault, traffic, base, &mut rng);
    let proposed =
        proposed_bake(&options.criteria, &past(options, &world, &mut rng), weight, f64::from(fault_percent));
    let Some(length) = proposed.detect_periods else { return "never".into() };
    if length > LONGEST {
        return format!("{length}");
    }
    let found: Vec<Option<u32>> = (0..ROLLOUTS)
        .map(|_| found_at(&options.criteria, options, &world, weight, length, &mut rng))
        .collect();
    let by = |end: u32| {
        let count = found.iter().flatten().filter(|at| **at <= end).count();
        100.0 * count as f64 / f64::from(ROLLOUTS)
    };
    format!("{length} ({:.0} %, {:.0} %)", by(length), by(2 * length))
}

/// The minute in which the fault was found, at the latest at twice the bake.
fn found_at(
    criteria: &Criteria,
    options: &Options,
    world: &World,
    weight: u8,
    bake: u32,
    rng: &mut ChaCha8Rng,
) -> Option<u32> {
    let history = past(options, world, rng);
    let stage =
        JudgedStage { index: 0, standby_percent: weight, kind: PeriodKind::Shift, bake_periods: 2 * bake };
    let step = (2 * bake).div_ceil(LOOKS);
    let mut periods = Vec::new();
    for time in 1..=2 * bake {
        let minute = world.minute(time, 0, f64::from(weight) / 100.0, rng);
        periods.push(Period {
            standby_percent: weight,
            live: minute.live,
            standby: minute.standby,
            ..Period::default()
        });
        // Looking less often than it would costs the verdict a little time here.
        if time % step != 0 && time != bake {
            continue;
        }
        let evidence = evidence(&history, &[], &periods, &[], stage);
        if judge(criteria, &evidence).verdict == Verdict::RollBack {
            return Some(time);
        }
    }
    None
}
