//! What a poll concludes from what was measured.
//!
//! A pure function of the plan, the timeline of the run and the samples. What a stage must show
//! decides which rule applies; whether the standby is as well as the live fleet is for
//! [`crate::verdict`] to say. What no count of requests can tell is looked at first: target health
//! and the operator's own alarms.

mod gates;
mod harm;

use std::borrow::Cow;
use std::iter;

use crate::model::samples::{Figures, FleetSamples, Odds, Sample, Samples, Span};
use crate::model::weights::Percent;
use crate::model::{Gate, Operation, Plan, PlannedApp, Progress, Role, Stage, StageRecord};
use crate::run::precedence::Voice;
use crate::verdict;
use crate::verdict::{Counts, Criteria, Evidence, Patience, Period, PeriodKind, StageEnding, Verdict};

/// CloudWatch may be late with a period. One without any data is given up after so many periods.
const LATE_PERIODS: i64 = 3;

/// A verdict with its reason and the figures behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct AppDecision {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for a person at three in the morning.
    pub reason: String,
    /// How the stage ended, if it did.
    pub ending: Option<StageEnding>,
    /// The figures.
    pub figures: Figures,
    /// Whether neither fleet has healthy targets, which is known of this moment only: see [`Progress::both_dead_since`].
    pub both_dead: bool,
    /// Whether the stage waits for what it must show, see [`Progress::unmet_since`].
    pub unmet: bool,
    /// Who says so.
    pub voice: Voice,
}

impl AppDecision {
    /// What the counts, or the stage, say.
    fn new(verdict: Verdict, reason: String, figures: Figures) -> Self {
        let voice = Voice::Verdict;
        Self { verdict, reason, ending: None, figures, both_dead: false, unmet: false, voice }
    }
}

/// Concludes a poll of the last stage of the run for one app, by what was measured of it. What follows
/// for several is for [`crate::run::lockstep`] to say.
pub fn decide(plan: &Plan, app: &PlannedApp, progress: &Progress, samples: &Samples) -> AppDecision {
    let Some((record, stage)) = progress.timeline.last().and_then(|r| Some((r, plan.stages.get(r.stage)?)))
    else {
        let reason = "no stage was set yet, so there is nothing to watch".into();
        return AppDecision::new(Verdict::RollBack, reason, Figures::default());
    };
    let poll = Poll::new((plan, app), stage, record, progress, samples);
    if let Some(dead) = poll.dead() {
        return dead;
    }
    match stage.gate {
        Gate::TargetsHealthy => poll.ready(),
        Gate::Drained => poll.drained(),
        Gate::HealthyStandby if plan.operation == Operation::Failback => poll.least_harm(poll.healthy()),
        Gate::HealthyStandby | Gate::HealthyLive => poll.ill_beside(poll.healthy()),
    }
}

/// One poll, with everything its rules look at.
struct Poll<'a> {
    plan: &'a Plan,
    app: &'a PlannedApp,
    stage: &'a Stage,
    record: &'a StageRecord,
    progress: &'a Progress,
    samples: &'a Samples,
    period: i64,
    /// Up to here everything that CloudWatch will say is taken to be said, in epoch seconds.
    known: i64,
    /// The periods that lie wholly within the stage and are known.
    span: Span,
    /// Seconds since the weights were set.
    watched: i64,
    figures: Figures,
}

impl<'a> Poll<'a> {
    fn new(
        (plan, app): (&'a Plan, &'a PlannedApp),
        stage: &'a Stage,
        record: &'a StageRecord,
        progress: &'a Progress,
        samples: &'a Samples,
    ) -> Self {
        let period = i64::from(plan.period_seconds.max(1));
        let now = samples.now.as_second();
        let last =
            [&samples.live, &samples.standby].into_iter().filter_map(|f| f.samples.last()).map(|s| s.at);
        let floor = now.div_euclid(period) * period;
        let known =
            last.max().map_or(i64::MIN, |at| at + period).max(floor - LATE_PERIODS * period).min(floor);
        // The period in which the weights changed is mixed and no part of the stage.
        let span = Span { from: first_whole(record, period), to: known };
        let run =
            Span { from: progress.timeline.first().map_or(known, |r| r.started_at.as_second()), to: known };
        let figures = Figures {
            live: span.sum(&samples.live),
            standby: span.sum(&samples.standby),
            balancer_errors: span.balancer_errors(samples),
            run_live: run.sum(&samples.live),
            run_standby: run.sum(&samples.standby),
            odds: None,
        };
        let watched = now.saturating_sub(record.started_at.as_second());
        Self { plan, app, stage, record, progress, samples, period, known, span, watched, figures }
    }

    fn decision(&self, verdict: Verdict, reason: impl Into<String>) -> AppDecision {
        AppDecision::new(verdict, reason.into(), self.figures.clone())
    }

    fn bake_is_over(&self) -> bool {
        self.watched >= i64::from(self.stage.bake_seconds)
    }

    fn targets(&self, live: bool) -> (bool, String) {
        let (fleet, figures) = if live {
            (&self.plan.live, self.figures.live)
        } else {
            (&self.plan.standby, self.figures.standby)
        };
        let (healthy, registered) = (figures.healthy_targets, figures.registered_targets);
        (healthy > 0, format!("{fleet} has {healthy} of {registered} targets healthy"))
    }

    fn healthy(&self) -> AppDecision {
        if let Some(alarm) = self.samples.alarms.first() {
            let reason = format!("the CloudWatch alarm {alarm} is in ALARM");
            return AppDecision { voice: Voice::Alarm, ..self.decision(Verdict::RollBack, reason) };
        }
        self.judged()
    }

    /// A fleet that gets traffic without having healthy targets needs no statistics.
    fn dead(&self) -> Option<AppDecision> {
        let says =
            |verdict, reason| Some(AppDecision { voice: Voice::Dead, ..self.decision(verdict, reason) });
        let standby_percent = self.plan.standby_share(&self.record.weights);
        let (live_well, live) = self.targets(true);
        let (standby_well, standby) = self.targets(false);
        let live_dead = !live_well && standby_percent < Percent::ALL;
        let standby_dead = !standby_well && standby_percent > Percent::NONE;
        match (live_dead, standby_dead) {
            (false, false) => return None,
            // Where the traffic then goes is for the rollback to decide.
            (true, _) if standby_well => return says(Verdict::RollBack, live),
            // Its traffic is on its way to the other one, where no other app has to be waited for.
            (_, true) if live_well && self.stage.receiver() == Role::Live && !self.plan.is_lockstep() => {
                let reason = format!("{standby}, so its traffic is taken away at once");
                return says(Verdict::Advance, reason);
            }
            (_, true) if live_well => return says(Verdict::RollBack, standby),
            _ => {}
        }
        let reason = format!("neither fleet has healthy targets: {standby}, {live}");
        let (criteria, since) = (&self.plan.criteria, self.progress.both_dead_since);
        let patience = Patience::with_both(criteria, since, self.samples.now);
        Some(AppDecision { both_dead: true, ..says(patience.verdict(criteria), reason)? })
    }

    fn of(&self, role: Role) -> &FleetSamples {
        match role {
            Role::Live => &self.samples.live,
            Role::Standby => &self.samples.standby,
        }
    }

    /// Those of the plan, without a recheck once as many were set as there may be: a poll may end one before
    /// a whole period of it is known, so they are not counted by periods.
    fn criteria(&self) -> Cow<'_, Criteria> {
        let criteria = &self.plan.criteria;
        let set = self.progress.timeline.iter().filter(|record| record.recheck).count();
        if set < criteria.max_rechecks as usize {
            return Cow::Borrowed(criteria);
        }
        Cow::Owned(Criteria { max_rechecks: 0, ..criteria.clone() })
    }

    /// Whether the fleet that gets more is as well as the other, by everything that was counted.
    fn judged(&self) -> AppDecision {
        let receiver = self.stage.receiver();
        let (history, balancer_history) = self.history();
        let beside = self.beside(receiver);
        let periods = self.periods();
        let bake_periods = self.stage.bake_seconds / self.plan.period_seconds.max(1);
        let judgement = verdict::judge(
            &self.criteria(),
            &Evidence {
                live: self.plan.fleet(receiver.other()),
                standby: self.plan.fleet(receiver),
                past_of: &self.plan.live,
                period_seconds: self.plan.period_seconds,
                history: &history,
                beside: &beside,
                balancer_history: &balancer_history,
                periods: &periods,
                mixed: &self.mixed(),
                stage: verdict::JudgedStage {
                    index: self.record.stage,
                    standby_percent: self.plan.share(receiver, &self.record.weights).get(),
                    kind: kind(self.record),
                    bake_periods,
                },
            },
        );
        // Whether a drained fleet is silent is asked more exactly.
        if judgement.verdict == Verdict::Advance
            && self.stage.gate != Gate::Drained
            && let Some(split) = self.not_in_the_traffic(&periods, bake_periods)
        {
            return split;
        }
        let odds =
            Odds { total: judgement.odds, metrics: judgement.metrics.to_vec(), careful: judgement.careful };
        let figures = Figures { odds: Some(odds), ..self.figures.clone() };
        let decision = AppDecision::new(judgement.verdict, judgement.reason, figures);
        AppDecision { ending: judgement.ending, ..decision }
    }

    /// Whether a period was over when the first weights of the run were set.
    fn is_before_the_run(&self, sample: &Sample) -> bool {
        let began = self.progress.timeline.first().map_or(self.known, |record| record.started_at.as_second());
        sample.at + self.period <= began
    }

    /// What the live fleet and the balancer did before the run, period by period. A period without
    /// requests says nothing and is left out.
    fn history(&self) -> (Vec<Counts>, Vec<u64>) {
        let before = self.samples.live.samples.iter().filter(|sample| self.is_before_the_run(sample));
        before.map(|sample| (sample.counts(), self.samples.balancer_errors_at(sample.at))).unzip()
    }

    /// What both fleets did in the periods before the run in which both had traffic, that of this role first.
    fn beside(&self, judged: Role) -> Vec<(Counts, Counts)> {
        let before = |sample: &&Sample| self.is_before_the_run(sample);
        let counts = |role: Role| self.of(role).samples.iter().filter(before).map(|s| (s.at, s.counts()));
        let mut other = counts(judged.other()).peekable();
        counts(judged)
            .filter_map(|(at, counts)| {
                while other.next_if(|(earlier, _)| *earlier < at).is_some() {}
                other.next_if(|(same, _)| *same == at).map(|(_, beside)| (counts, beside))
            })
            .collect()
    }

    /// What the traffic says of the weights, where it does not agree with them yet: a rule shows what
    /// was written, not what the balancer's nodes do. Waited for from when it began, and then rolled back.
    fn not_in_the_traffic(&self, periods: &[Period], bake_periods: u32) -> Option<AppDecision> {
        let last = periods.iter().rfind(|period| requests(period) > 0).filter(|period| !agrees(period))?;
        let name = self.plan.fleet(self.stage.receiver());
        let mut reason = format!(
            "the weights have not reached the traffic: desired {name} {} %, current {:.1} % of {} requests",
            last.standby_percent,
            100.0 * last.standby.requests as f64 / requests(last) as f64,
            requests(last)
        );
        let apart =
            periods.iter().rev().take_while(|period| requests(period) == 0 || !agrees(period)).count();
        let limit = u64::from(bake_periods) + u64::from(self.plan.criteria.longer_periods);
        if (apart as u64) < limit {
            return Some(self.decision(Verdict::Wait, reason));
        }
        reason = format!("{reason}, for {apart} periods in a row");
        Some(self.decision(Verdict::RollBack, reason))
    }

    /// Every known period that lies wholly within one stage, from the first one on in which the
    /// traffic agrees with the weights, if there is one: a change takes a while to spread.
    fn periods(&self) -> Vec<Period> {
        let mut periods = Vec::new();
        for record in &self.progress.timeline {
            let of_stage = self.periods_of(record);
            let spread = of_stage.iter().position(agrees).unwrap_or_default();
            periods.extend_from_slice(&of_stage[spread..]);
        }
        periods
    }

    /// The known periods in which the weight of the fleet that is judged rose.
    fn mixed(&self) -> Vec<Period> {
        let receiver = self.stage.receiver();
        let share = |record: &StageRecord| self.plan.share(receiver, &record.weights);
        let found = self.plan.share(receiver, &self.app.before);
        let before = iter::once(found).chain(self.progress.timeline.iter().map(share));
        before
            .zip(&self.progress.timeline)
            .filter(|(before, record)| *before < share(record))
            .map(|(_, record)| (record, first_whole(record, self.period)))
            .filter(|(_, next)| *next <= self.known)
            .map(|(record, next)| self.period_at(record, next - self.period))
            .collect()
    }

    fn period_at(&self, record: &StageRecord, at: i64) -> Period {
        let receiver = self.stage.receiver();
        Period {
            standby_percent: self.plan.share(receiver, &record.weights).get(),
            stage: record.stage,
            kind: kind(record),
            live: self.of(receiver.other()).counts_at(at),
            standby: self.of(receiver).counts_at(at),
            balancer_failures: self.samples.balancer_errors_at(at),
        }
    }

    fn periods_of(&self, record: &StageRecord) -> Vec<Period> {
        let end = record.ended_at.map_or(self.known, |end| end.as_second().min(self.known));
        let mut at = first_whole(record, self.period);
        let mut periods = Vec::new();
        while at + self.period <= end {
            periods.push(self.period_at(record, at));
            at += self.period;
        }
        periods
    }
}

fn kind(record: &StageRecord) -> PeriodKind {
    if record.recheck { PeriodKind::Recheck } else { PeriodKind::Shift }
}

fn requests(period: &Period) -> u64 {
    period.live.requests.saturating_add(period.standby.requests)
}

/// How many standard deviations of a binomial share are chance.
const CHANCE: f64 = 5.0;

/// What the share may be off besides chance: a request is counted when it is answered, which may be
/// in the period after the one it was sent in.
const SLACK: f64 = 0.01;

/// Whether the fleets' shares of the requests agree with the weights within what chance allows. No
/// requests contradict nothing.
fn agrees(period: &Period) -> bool {
    let requests = requests(period) as f64;
    if requests < 1.0 {
        return true;
    }
    let weight = f64::from(period.standby_percent) / 100.0;
    let chance = CHANCE * (weight * (1.0 - weight) / requests).sqrt();
    (period.standby.requests as f64 / requests - weight).abs() <= chance + SLACK
}

/// The start of the first period that lies wholly after the weights of a stage were set.
fn first_whole(record: &StageRecord, period: i64) -> i64 {
    let started = record.started_at.as_second();
    (started.div_euclid(period) + 1) * period
}

#[cfg(test)]
mod tests;
