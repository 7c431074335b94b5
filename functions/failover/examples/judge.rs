//! Replays rollouts through the verdict: JSON lines in, JSON lines out.
//!
//! ```text
//! cargo run --release -p failover --example judge < rollouts.jsonl > verdicts.jsonl
//! ```
//!
//! Each input line is one rollout:
//!
//! ```json
//! {
//!   "id": "2026-11-22 web",
//!   "live": "prod1", "standby": "prod2",
//!   "criteria": {},
//!   "stages": [ { "percent": 10, "bakePeriods": 5 }, { "percent": 100, "bakePeriods": 5 } ],
//!   "history": [ { "requests": 2000, "failures": 2, "slow": 100, "clientErrors": 40 } ],
//!   "polls": [
//!     { "live": { "requests": 1800, "failures": 2, "slow": 90, "clientErrors": 36 },
//!       "standby": { "requests": 200, "failures": 9, "slow": 10, "clientErrors": 4 } }
//!   ]
//! }
//! ```
//!
//! - `stages` is the plan: the standby's weight in percent, and for how many periods it is watched.
//! - `history` holds live's complete periods before the run, oldest first; `balancerHistory` the
//!   balancer's own 502, 503 and 504 in them. Both may be left out, and so may `id`, the fleets'
//!   names and `criteria` (see `Criteria` for its fields).
//! - `polls` holds one complete period each, oldest first. A count that is left out is 0. `stage`
//!   (from 0), `percent` and `kind` (`shift` or `recheck`) say what the weights were; left out, the
//!   run went through its plan without a pause. `balancerFailures` as in the history.
//!
//! Each poll gives one output line: `id`, `poll` (from 1), `stage`, `verdict` (`advance`, `wait`,
//! `rollBack`, `recheck`, `halt`), `reason`, `ending` (`accepted`, `insufficientData`, `suspect` or
//! null), `odds`, `metrics` and `careful`, as documented at `Judgement`. What the run did is taken
//! from the input: a verdict changes nothing in the polls after it. A line that cannot be read
//! ends the program with status 1 and the line's number.

use std::io::{BufRead, BufWriter, Write};

use failover::verdict::{Counts, Criteria, Evidence, JudgedStage, Judgement, Period, PeriodKind, judge};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rollout {
    #[serde(default)]
    id: serde_json::Value,
    #[serde(default = "live")]
    live: String,
    #[serde(default = "standby")]
    standby: String,
    #[serde(default)]
    criteria: Criteria,
    stages: Vec<Planned>,
    #[serde(default)]
    history: Vec<Counts>,
    #[serde(default)]
    balancer_history: Vec<u64>,
    polls: Vec<Poll>,
}

fn live() -> String {
    "live".into()
}

fn standby() -> String {
    "standby".into()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Planned {
    percent: u8,
    bake_periods: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Poll {
    live: Counts,
    standby: Counts,
    stage: Option<usize>,
    percent: Option<u8>,
    #[serde(default)]
    kind: PeriodKind,
    #[serde(default)]
    balancer_failures: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a serde_json::Value,
    poll: usize,
    stage: usize,
    #[serde(flatten)]
    judgement: Judgement,
}

fn main() {
    if let Err(message) = replay(std::io::stdin().lock(), BufWriter::new(std::io::stdout().lock())) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn replay(input: impl BufRead, mut output: impl Write) -> Result<(), String> {
    for (number, line) in input.lines().enumerate() {
        let wrong = |what: &dyn std::fmt::Display| format!("line {}: {what}", number + 1);
        let line = line.map_err(|e| wrong(&e))?;
        if line.trim().is_empty() {
            continue;
        }
        let rollout: Rollout = serde_json::from_str(&line).map_err(|e| wrong(&e))?;
        rollout.criteria.check().map_err(|e| wrong(&e))?;
        rollout.judge(&mut output).map_err(|e| wrong(&e))?;
    }
    output.flush().map_err(|e| e.to_string())
}

impl Rollout {
    fn judge(&self, output: &mut impl Write) -> Result<(), String> {
        let mut periods = Vec::with_capacity(self.polls.len());
        for (index, poll) in self.polls.iter().enumerate() {
            let stage = poll.stage.unwrap_or_else(|| self.planned_stage(index));
            let planned =
                self.stages.get(stage).ok_or_else(|| format!("poll {}: no stage {stage}", index + 1))?;
            let percent = poll.percent.unwrap_or(planned.percent);
            periods.push(Period {
                standby_percent: percent,
                stage,
                kind: poll.kind,
                live: poll.live,
                standby: poll.standby,
                balancer_failures: poll.balancer_failures,
            });
            let evidence = Evidence {
                live: &self.live,
                standby: &self.standby,
                past_of: &self.live,
                period_seconds: 60,
                history: &self.history,
                beside: &[],
                balancer_history: &self.balancer_history,
                periods: &periods,
                mixed: &[],
                stage: JudgedStage {
                    index: stage,
                    standby_percent: percent,
                    kind: poll.kind,
                    bake_periods: planned.bake_periods,
                },
            };
            let judgement = judge(&self.criteria, &evidence);
            let line = Line { id: &self.id, poll: index + 1, stage, judgement };
            serde_json::to_writer(&mut *output, &line).map_err(|e| e.to_string())?;
            writeln!(output).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// The stage that a poll falls in when every bake is as long as planned; the last one after that.
    fn planned_stage(&self, poll: usize) -> usize {
        let mut end = 0;
        let within = |stage: &Planned| {
            end += stage.bake_periods as usize;
            poll < end
        };
        self.stages.iter().position(within).unwrap_or(self.stages.len().saturating_sub(1))
    }
}
