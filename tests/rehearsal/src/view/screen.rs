//! What is known of a rehearsal, and the lines that show it. Pure: time comes from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use failover::model::samples::{Figures, FleetFigures};
use failover::model::{Plan, StageRecord, Weights};

use super::clock;
use crate::play::Happening;
use crate::traffic::Tally;
use scenario::FLEETS;

/// Characters of a bar.
const BAR: usize = 30;

/// Everything that the picture shows.
#[derive(Debug, Default)]
pub struct Screen {
    /// The execution that runs.
    run: Option<Shown>,
}

/// One execution.
#[derive(Debug)]
struct Shown {
    operation: String,
    began: Duration,
    plan: Option<Plan>,
    stage: Option<StageRecord>,
    stage_began: Duration,
    seen: Tally,
    polled: Option<(String, String, BTreeMap<String, Figures>)>,
}

impl Screen {
    /// Takes in what happened `at` this time of the rehearsal, and returns the lines that tell it.
    pub fn see(&mut self, happening: &Happening<'_>, at: Duration) -> Vec<String> {
        match happening {
            Happening::UsersCome(seconds) => {
                vec![told("users", &format!("come for {seconds} before the first run"))]
            }
            Happening::Did(action) => vec![told("", &action.to_string())],
            Happening::Started(input) => {
                let operation = input["operation"].as_str().unwrap_or_default().to_owned();
                let line = told(&operation, &format!("start an execution with {input}"));
                self.run = Some(Shown::new(operation, at));
                vec![line]
            }
            Happening::Ended(ending, says) => {
                self.run = None;
                vec![told(ending, says)]
            }
            within => self.run.as_mut().map(|run| run.see(within, at)).unwrap_or_default(),
        }
    }

    /// The picture at this time of the rehearsal; empty between the runs.
    pub fn lines(&self, at: Duration) -> Vec<String> {
        self.run.as_ref().map(|run| run.lines(at)).unwrap_or_default()
    }
}

impl Shown {
    fn new(operation: String, began: Duration) -> Self {
        let (plan, stage, seen, polled) = (None, None, Tally::default(), None);
        Self { operation, began, plan, stage, stage_began: began, seen, polled }
    }

    fn see(&mut self, happening: &Happening<'_>, at: Duration) -> Vec<String> {
        match happening {
            Happening::Planned(plan) => self.plan = Some((*plan).clone()),
            Happening::Set(stage) => {
                let line = told("  set", &weights(&stage.weights));
                (self.stage, self.stage_began, self.seen) = (Some((*stage).clone()), at, Tally::default());
                return vec![line];
            }
            Happening::Polled { verdict, reason, figures } => {
                self.polled = Some(((*verdict).into(), (*reason).into(), (*figures).clone()));
                let lines = [told(&format!("  {verdict}"), reason), told("", &self.measured())];
                return lines.into();
            }
            Happening::Seen(tally) => self.seen = *tally,
            _ => {}
        }
        Vec::new()
    }

    fn lines(&self, at: Duration) -> Vec<String> {
        let took = clock(at.saturating_sub(self.began));
        let mut lines = vec![String::new(), row(&self.operation, &format!("for {took}"))];
        let Some(plan) = &self.plan else { return lines };
        lines.push(row("stages", &self.stages(plan)));
        let Some(stage) = &self.stage else { return lines };
        lines.push(row("bake", &self.bake(plan, stage, at)));
        lines.push(row("weights", &format!("set {}", weights(&stage.weights))));
        lines.push(row("", &self.measured()));
        let Some((verdict, reason, figures)) = &self.polled else { return lines };
        for figures in figures.values() {
            lines.push(row(&format!("{}, live", plan.live), &fleet(figures.live)));
            lines.push(row(&plan.standby, &fleet(figures.standby)));
            if let Some(odds) = &figures.odds {
                let needed = 1.0 / plan.criteria.alpha;
                // Odds multiply, so that equal steps of the bar are equal factors.
                let way = odds.total.max(1.0).ln() / needed.ln();
                let text = format!("{} odds {:.1} to 1, a rollback needs {needed:.0}", bar(way), odds.total);
                lines.push(row(&format!("against {}", plan.standby), &text));
            }
        }
        lines.push(row(verdict, reason));
        lines
    }

    /// Every stage, the ones that are over and the one that is on marked.
    fn stages(&self, plan: &Plan) -> String {
        let current = self.stage.as_ref().map(|stage| stage.stage);
        let shown = plan.stages.iter().enumerate().map(|(index, stage)| {
            let mark = match current {
                Some(current) if index < current => "✓",
                Some(current) if index == current => "▶",
                _ => "·",
            };
            format!("{mark} {} %", stage.standby_percent.get())
        });
        let recheck = if self.stage.as_ref().is_some_and(|stage| stage.recheck) {
            ["recheck".to_owned()].into()
        } else {
            Vec::new()
        };
        shown.chain(recheck).collect::<Vec<_>>().join("  ")
    }

    /// How much of the bake is over.
    fn bake(&self, plan: &Plan, stage: &StageRecord, at: Duration) -> String {
        let whole = plan.stages.get(stage.stage).map_or(0, |planned| planned.bake_seconds);
        let over = at.saturating_sub(self.stage_began).as_secs_f64();
        let left = f64::from(whole) - over;
        let text =
            if left > 0.0 { format!("{left:.0} s left of {whole} s") } else { format!("{whole} s are over") };
        format!("{} {text}", bar(over / f64::from(whole.max(1))))
    }

    /// What the users saw since the weights were set.
    fn measured(&self) -> String {
        let (share, seen) = (self.seen.percent_of_second(), self.seen);
        format!(
            "measured {} {:.1} %, {} {share:.1} % of {} requests, {} failed",
            FLEETS[0],
            100.0 - share,
            FLEETS[1],
            seen.requests,
            seen.failed
        )
    }
}

/// A line that stays.
fn told(what: &str, text: &str) -> String {
    format!("{what:<10} {text}")
}

/// A line of the picture.
fn row(what: &str, text: &str) -> String {
    format!("{what:<15} {text}")
}

/// Such as `████░░░░`, for a share between 0 and 1.
fn bar(share: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and BAR")]
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

/// Such as `prod1 10 %, prod2 90 %`.
fn weights(weights: &Weights) -> String {
    failover::model::weights::split(weights)
}

fn fleet(figures: FleetFigures) -> String {
    let percent = |count: u64| 100.0 * count as f64 / figures.requests.max(1) as f64;
    format!(
        "{} requests, {:.1} % failed, {:.1} % slow, {} of {} targets healthy",
        figures.requests,
        percent(figures.failures),
        percent(figures.slow),
        figures.healthy_targets,
        figures.registered_targets
    )
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use failover::model::samples::Odds;
    use serde_json::{Value, json};

    use super::*;

    fn plan() -> Plan {
        let stage =
            |percent: u8| json!({ "standbyPercent": percent, "bakeSeconds": 10, "gate": "healthyStandby" });
        let plan = json!({
            "version": 1, "app": "web", "operation": "shift",
            "execution": { "arn": "arn", "startedAt": "2026-11-22T03:00:00Z" },
            "live": "prod1", "standby": "prod2", "loadBalancerArn": "arn", "routes": [],
            "apps": [{
                "name": "web", "liveGroup": "prod1", "standbyGroup": "prod2",
                "before": { "prod1": 100, "prod2": 0 }, "slowSeconds": 0.5, "hungSeconds": 2.0,
            }],
            "stages": [stage(10), stage(50), stage(100)],
            "mayWrite": [10, 50, 100], "propagationSeconds": 2, "pollSeconds": 1, "periodSeconds": 1,
            "criteria": {}, "checks": [],
        });
        serde_json::from_value(plan).unwrap()
    }

    fn stage(index: usize, recheck: bool) -> StageRecord {
        let record = json!({
            "stage": index, "recheck": recheck, "weights": { "prod1": 50, "prod2": 50 },
            "startedAt": jiff::Timestamp::from_str("2026-11-22T03:00:00Z").unwrap(),
        });
        serde_json::from_value(record).unwrap()
    }

    fn figures() -> BTreeMap<String, Figures> {
        let live =
            FleetFigures { requests: 400, failures: 2, slow: 4, healthy_targets: 2, registered_targets: 2 };
        let standby = FleetFigures { requests: 200, failures: 20, healthy_targets: 1, ..live };
        let odds = Odds { total: 4.47, metrics: Vec::new(), careful: false };
        [("web".to_owned(), Figures { live, standby, odds: Some(odds), ..Figures::default() })].into()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_run_is_shown_as_far_as_it_is_known() {
        let mut screen = Screen::default();
        assert_eq!(screen.lines(seconds(1)), [""; 0]);
        let input: Value = json!({ "operation": "shift" });
        let told = screen.see(&Happening::Started(&input), seconds(5));
        assert_eq!(told, [r#"shift      start an execution with {"operation":"shift"}"#]);
        assert_eq!(screen.lines(seconds(66)), ["", "shift           for 01:01"]);
        assert_eq!(screen.see(&Happening::Planned(&plan()), seconds(6)), [""; 0]);
        assert_eq!(screen.lines(seconds(6))[2], "stages          · 10 %  · 50 %  · 100 %");
        let told = screen.see(&Happening::Set(&stage(1, false)), seconds(10));
        assert_eq!(told, ["  set      prod1 50 %, prod2 50 %"]);
        let tally = Tally { requests: 600, failed: 3, by_fleet: [297, 300] };
        screen.see(&Happening::Seen(tally), seconds(11));
        let told = screen.see(
            &Happening::Polled {
                verdict: "wait",
                reason: "odds 4.5 to 1 against prod2",
                figures: &figures(),
            },
            seconds(12),
        );
        assert_eq!(
            told,
            [
                "  wait     odds 4.5 to 1 against prod2",
                "           measured prod1 49.7 %, prod2 50.3 % of 600 requests, 3 failed",
            ]
        );
        assert_eq!(
            screen.lines(seconds(15)),
            [
                "",
                "shift           for 00:10",
                "stages          ✓ 10 %  ▶ 50 %  · 100 %",
                "bake            ███████████████░░░░░░░░░░░░░░░ 5 s left of 10 s",
                "weights         set prod1 50 %, prod2 50 %",
                "                measured prod1 49.7 %, prod2 50.3 % of 600 requests, 3 failed",
                "prod1, live     400 requests, 0.5 % failed, 1.0 % slow, 2 of 2 targets healthy",
                "prod2           200 requests, 10.0 % failed, 2.0 % slow, 1 of 2 targets healthy",
                "against prod2   ███████████████░░░░░░░░░░░░░░░ odds 4.5 to 1, a rollback needs 20",
                "wait            odds 4.5 to 1 against prod2",
            ]
        );
        assert_eq!(
            screen.lines(seconds(25))[3],
            "bake            ██████████████████████████████ 10 s are over"
        );
        let told = screen.see(&Happening::Ended("RolledBack", "web: rolled back"), seconds(30));
        assert_eq!(told, ["RolledBack web: rolled back"]);
        assert_eq!(screen.lines(seconds(31)), [""; 0]);
    }

    #[test]
    fn a_probe_is_named_and_starts_to_count_anew() {
        let mut screen = Screen::default();
        screen.see(&Happening::Started(&json!({ "operation": "shift" })), seconds(0));
        screen.see(&Happening::Planned(&plan()), seconds(0));
        screen.see(&Happening::Set(&stage(2, false)), seconds(0));
        screen.see(&Happening::Seen(Tally { requests: 9, failed: 9, by_fleet: [0, 9] }), seconds(1));
        screen.see(&Happening::Set(&stage(2, true)), seconds(10));
        let lines = screen.lines(seconds(10));
        assert_eq!(lines[2], "stages          ✓ 10 %  ✓ 50 %  ▶ 100 %  recheck");
        assert!(lines[5].ends_with("of 0 requests, 0 failed"), "{}", lines[5]);
    }
}
