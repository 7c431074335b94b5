//! What a poll concludes from what was measured: advance, wait or roll back, with a reason.
//!
//! A pure function of the plan, the timeline of the run and the samples. It is worked out afresh
//! from the whole series at every poll, so a late datapoint corrects an earlier poll and a
//! repeated poll gives the same answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contract::{MustShow, Plan, StageRecord};
use crate::duration::Seconds;
use crate::plan::Health;

/// What a poll concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The stage has shown what it must; go on.
    Advance,
    /// Not yet, or not enough was seen to tell.
    Wait,
    /// Put the weights back.
    RollBack,
}

/// What a healthy stage means. Shares are in percent of requests, margins in percentage points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Criteria {
    /// Requests that the standby must have answered in a stage before its shares mean anything.
    pub minimum_requests: u64,
    /// Failed requests above this share are too many, whatever the live fleet does.
    pub maximum_failures: f64,
    /// How far the standby's share of failed requests may lie above the live fleet's.
    pub failure_margin: f64,
    /// A response that takes at least this many seconds is slow.
    pub slow_seconds: f64,
    /// Slow responses above this share are too many, whatever the live fleet does.
    pub maximum_slow: f64,
    /// How far the standby's share of slow responses may lie above the live fleet's.
    pub slow_margin: f64,
    /// How far the balancer's own 502, 503 and 504 may rise above their level before the run.
    pub balancer_margin: f64,
    /// How long a stage may go on after its bake while it has not shown what it must; three
    /// bakes where left out. Then the weights are put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<Seconds>,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            minimum_requests: 50,
            maximum_failures: 5.0,
            failure_margin: 1.0,
            slow_seconds: 1.0,
            maximum_slow: 25.0,
            slow_margin: 5.0,
            balancer_margin: 1.0,
            patience: None,
        }
    }
}

impl Criteria {
    /// Whether every field makes sense.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        for (field, share) in [
            ("maximumFailures", self.maximum_failures),
            ("failureMargin", self.failure_margin),
            ("maximumSlow", self.maximum_slow),
            ("slowMargin", self.slow_margin),
            ("balancerMargin", self.balancer_margin),
        ] {
            if !(0.0..=100.0).contains(&share) {
                return Err(format!("`criteria.{field}`: {share} is not a share from 0 to 100 percent"));
            }
        }
        if self.minimum_requests == 0 {
            return Err(
                "`criteria.minimumRequests`: 0 would let a stage pass without traffic; use at least 1".into(),
            );
        }
        if !(self.slow_seconds > 0.0 && self.slow_seconds <= 4000.0) {
            return Err(format!(
                "`criteria.slowSeconds`: {} is not a response time in seconds",
                self.slow_seconds
            ));
        }
        Ok(())
    }
}

/// Counts of one fleet in one `CloudWatch` period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When the period begins, in seconds since the epoch.
    pub at: i64,
    /// Requests for which the balancer chose a target of this fleet.
    pub requests: u64,
    /// Responses 500 to 599 of its targets.
    pub target_5xx: u64,
    /// Connections to its targets that were not established. These are attempts, so there can be
    /// more of them than requests.
    pub connection_errors: u64,
    /// Responses that took at least as long as `criteria.slowSeconds`.
    pub slow: u64,
}

/// What was measured of one fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetSamples {
    /// One entry for each period in which the fleet had requests, oldest first.
    pub samples: Vec<Sample>,
    /// Its targets now.
    pub health: Health,
}

/// What was measured, from well before the run until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// The time of the poll.
    pub now: Timestamp,
    /// The live fleet.
    pub live: FleetSamples,
    /// The standby.
    pub standby: FleetSamples,
    /// The balancer's own 502, 503 and 504: when a period begins, and how many.
    pub balancer_errors: Vec<(i64, u64)>,
}

/// Sums over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetFigures {
    /// Requests.
    pub requests: u64,
    /// Failed requests: target 5xx and connection errors, never more than the requests.
    pub failures: u64,
    /// Slow responses.
    pub slow: u64,
    /// Healthy targets now.
    pub healthy_targets: u32,
    /// Registered targets now.
    pub registered_targets: u32,
}

impl FleetFigures {
    fn percent(self, count: u64) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * count as f64 / self.requests as f64 }
    }
}

/// What a verdict rests on: the complete periods of the stage under watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figures {
    /// The live fleet.
    pub live: FleetFigures,
    /// The standby.
    pub standby: FleetFigures,
    /// The balancer's own 502, 503 and 504.
    pub balancer_errors: u64,
    /// The live fleet since the first stage was set.
    pub run_live: FleetFigures,
    /// The standby since the first stage was set.
    pub run_standby: FleetFigures,
}

impl Figures {
    /// The failures of the whole run in words, such as `0.02 % errors against 0.03 % on prod1`.
    pub fn compared(&self, live_name: &str) -> String {
        let (live, standby) = (self.run_live, self.run_standby);
        format!(
            "{:.2} % errors against {:.2} % on {live_name}",
            standby.percent(standby.failures),
            live.percent(live.failures)
        )
    }
}

/// A verdict with its reason and the figures behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for a person at three in the morning.
    pub reason: String,
    /// The figures.
    pub figures: Figures,
}

/// The span of time whose periods count, in seconds since the epoch: `[from, to)`.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn sum(self, fleet: &FleetSamples) -> FleetFigures {
        let mut figures = FleetFigures {
            healthy_targets: fleet.health.healthy,
            registered_targets: fleet.health.registered,
            ..FleetFigures::default()
        };
        for sample in fleet.samples.iter().filter(|s| (self.from..self.to).contains(&s.at)) {
            let failures = sample.target_5xx.saturating_add(sample.connection_errors).min(sample.requests);
            figures.requests = figures.requests.saturating_add(sample.requests);
            figures.failures = figures.failures.saturating_add(failures);
            figures.slow = figures.slow.saturating_add(sample.slow.min(sample.requests));
        }
        figures
    }

    fn balancer_errors(self, samples: &Samples) -> u64 {
        let counted = samples.balancer_errors.iter().filter(|(at, _)| (self.from..self.to).contains(at));
        counted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// Concludes a poll of the last stage of `timeline`.
pub fn decide(plan: &Plan, timeline: &[StageRecord], samples: &Samples) -> Decision {
    let Some((record, stage)) = timeline.last().zip(plan.stages.get(timeline.len().wrapping_sub(1))) else {
        return Decision {
            verdict: Verdict::RollBack,
            reason: "no stage was set yet, so there is nothing to watch".into(),
            figures: Figures::default(),
        };
    };
    let period = i64::from(plan.period_seconds.max(1));
    let started = record.started_at.as_second();
    let now = samples.now.as_second();
    // The first period of a stage is mixed with the stage before, and the newest one still grows
    // when it has just ended: both are left out.
    let span = Span { from: (started / period + 1) * period, to: (now / period - 1) * period };
    let run = Span { from: timeline[0].started_at.as_second(), to: span.to };
    let figures = Figures {
        live: span.sum(&samples.live),
        standby: span.sum(&samples.standby),
        balancer_errors: span.balancer_errors(samples),
        run_live: run.sum(&samples.live),
        run_standby: run.sum(&samples.standby),
    };
    let patience = plan.criteria.patience.map_or(u64::from(stage.bake_seconds) * 3, |p| u64::from(p.0));
    let watched = u64::try_from(now.saturating_sub(started)).unwrap_or(0);
    let bake_over = watched >= u64::from(stage.bake_seconds);
    let patience_over = watched >= u64::from(stage.bake_seconds) + patience;

    let poll = Poll { plan, samples, span, period, figures, bake_over };
    let (verdict, reason) = match stage.must_show {
        MustShow::ReadyStandby => poll.ready(),
        MustShow::SilentStandby => poll.silent(),
        MustShow::HealthyStandby => poll.healthy(stage.standby_percent.get()),
    };
    let (verdict, reason) = match verdict {
        Verdict::Wait if patience_over => (
            Verdict::RollBack,
            format!("{reason}; waited {} for it", Seconds(u32::try_from(watched).unwrap_or(u32::MAX))),
        ),
        other => (other, reason),
    };
    Decision { verdict, reason, figures }
}

/// One poll, with everything its rules look at.
struct Poll<'a> {
    plan: &'a Plan,
    samples: &'a Samples,
    span: Span,
    period: i64,
    figures: Figures,
    bake_over: bool,
}

impl Poll<'_> {
    fn ready(&self) -> (Verdict, String) {
        let (name, standby) = (&self.plan.standby.name, self.figures.standby);
        let targets = format!(
            "{name} has {} of {} targets healthy",
            standby.healthy_targets, standby.registered_targets
        );
        if standby.healthy_targets > 0 { (Verdict::Advance, targets) } else { (Verdict::Wait, targets) }
    }

    /// Silent means: in the last two periods the live fleet had requests and the standby had none.
    fn silent(&self) -> (Verdict, String) {
        let (live, standby) = (&self.plan.live.name, &self.plan.standby.name);
        if let Some(dead) = Self::dead(&self.plan.live.name, self.figures.live) {
            return (Verdict::Wait, dead);
        }
        let recent = Span { from: self.span.from.max(self.span.to - 2 * self.period), to: self.span.to };
        let loud = recent.sum(&self.samples.standby).requests;
        let heard = recent.sum(&self.samples.live).requests;
        let seconds = recent.to - recent.from;
        if seconds < 2 * self.period {
            (Verdict::Wait, format!("two whole periods are needed to call {standby} silent, not there yet"))
        } else if loud > 0 {
            (Verdict::Wait, format!("{standby} still had {loud} requests in the last {seconds} s"))
        } else if heard == 0 {
            (Verdict::Wait, format!("no requests at all in the last {seconds} s, so silence proves nothing"))
        } else if !self.bake_over {
            (
                Verdict::Wait,
                format!(
                    "{standby} is silent; {live} had {heard} requests in the last {seconds} s; the bake goes on"
                ),
            )
        } else {
            (Verdict::Advance, format!("{standby} is silent: 0 requests in {seconds} s, {heard} on {live}"))
        }
    }

    fn dead(name: &str, fleet: FleetFigures) -> Option<String> {
        (fleet.healthy_targets == 0)
            .then(|| format!("{name} has none of {} targets healthy", fleet.registered_targets))
    }

    fn healthy(&self, standby_percent: u8) -> (Verdict, String) {
        let criteria = &self.plan.criteria;
        let (live, standby) = (self.figures.live, self.figures.standby);
        let (live_name, standby_name) = (&self.plan.live.name, &self.plan.standby.name);
        if let Some(dead) = Self::dead(standby_name, standby) {
            return match Self::dead(live_name, live) {
                Some(also) => (Verdict::Wait, format!("both fleets: {dead}, {also}")),
                None => (Verdict::RollBack, dead),
            };
        }
        // At 100 % the live fleet has no requests to compare with; what it did earlier stands in.
        let baseline = if live.requests >= criteria.minimum_requests {
            live
        } else {
            Span { from: i64::MIN, to: self.span.to }.sum(&self.samples.live)
        };
        let breaches: Vec<Breach> = [
            ("failed", standby.failures, baseline.failures, criteria.maximum_failures, criteria.failure_margin),
            ("slow", standby.slow, baseline.slow, criteria.maximum_slow, criteria.slow_margin),
        ]
        .into_iter()
        .filter_map(|(what, on_standby, on_live, limit, margin)| {
            let here = standby.percent(on_standby);
            let there = baseline.percent(on_live);
            let compared = baseline.requests >= criteria.minimum_requests;
            let relative = compared && here > there + margin;
            let absolute = here > limit;
            (relative || absolute).then(|| Breach {
                // The live fleet is as sick when it breaks the same limit and is no better.
                both: compared && absolute && !relative,
                text: format!(
                    "{here:.1} % {what} on {standby_name} ({on_standby} of {}) against {there:.1} % on {live_name} \
                     ({on_live} of {}), allowed {margin} points more and at most {limit} %",
                    standby.requests, baseline.requests
                ),
            })
        })
        .collect();
        let enough = standby.requests >= criteria.minimum_requests;
        if enough && let Some(worst) = breaches.iter().find(|b| !b.both) {
            return (Verdict::RollBack, worst.text.clone());
        }
        if enough && let Some(both) = breaches.first() {
            return (Verdict::Wait, format!("both fleets: {}", both.text));
        }
        if let Some(reason) = self.balancer(standby_percent) {
            return (Verdict::RollBack, reason);
        }
        let seen = format!(
            "{standby_name}: {} requests, {:.1} % failed, {:.1} % slow; {live_name}: {} requests, {:.1} % failed, {:.1} % slow",
            standby.requests,
            standby.percent(standby.failures),
            standby.percent(standby.slow),
            live.requests,
            live.percent(live.failures),
            live.percent(live.slow),
        );
        match (enough, self.bake_over) {
            (true, true) => (Verdict::Advance, seen),
            (true, false) => (Verdict::Wait, format!("{seen}; the bake goes on")),
            (false, _) => (
                Verdict::Wait,
                format!(
                    "{} of at least {} requests seen on {standby_name}: too few to tell",
                    standby.requests, criteria.minimum_requests
                ),
            ),
        }
    }

    /// The balancer answers 502, 503 and 504 itself when a fleet resets, hangs or has no targets,
    /// and does not say for which fleet: so their share is held against the one before the run.
    fn balancer(&self, standby_percent: u8) -> Option<String> {
        let criteria = &self.plan.criteria;
        let started = self.plan.execution.started_at.as_second();
        let before = Span { from: i64::MIN, to: started / self.period * self.period };
        let share = |span: Span| {
            let requests = span.sum(&self.samples.live).requests + span.sum(&self.samples.standby).requests;
            let errors = span.balancer_errors(self.samples);
            (errors, requests, 100.0 * errors as f64 / (requests.max(errors).max(1)) as f64)
        };
        let (errors, requests, now) = share(self.span);
        let (_, _, level) = share(before);
        // At 10 % only a tenth of what the standby breaks shows up in the balancer's share.
        let allowed = level + criteria.balancer_margin * f64::from(standby_percent) / 100.0;
        (requests.max(errors) >= criteria.minimum_requests && now > allowed).then(|| {
            format!(
                "the balancer itself answered 502, 503 or 504 to {errors} of {requests} requests ({now:.1} %, \
                 {level:.1} % before the run), as it does when targets reset, hang or are gone"
            )
        })
    }
}

struct Breach {
    both: bool,
    text: String,
}
