//! From the bets to a verdict and the reason for it.

mod load;

use super::counts::{Evidence, Metric, PeriodKind};
use super::criteria::{Criteria, OnInsufficientData, OnUndecided};
use super::factor::{log_sum, wealth};
use super::guards::{NOBODY, both_unhealthy, broken, ill_each_period, live_is_off, plainly_ill};
use super::history::History;
use super::interval::{difference, in_words};
use super::patience::Patience;
use super::recheck::clears;
use super::wealth::{Holding, Ledger, scaled};
use super::words::{odds, periods, share};
use super::{Judgement, MetricJudgement, StageEnding, Verdict};
use crate::duration::Seconds;

/// Periods of a stage below which it is never left early.
const EARLY_PERIODS: usize = 2;

/// That none of so many requests came by chance happens once in a thousand times. Where fewer were
/// due, a first one is waited for twice as long.
const ENOUGH_DUE: f64 = 7.0;

/// All that a decision is made from. Wealths as natural logarithms.
struct Bench<'a> {
    criteria: &'a Criteria,
    evidence: &'a Evidence<'a>,
    /// The window as it was before the run.
    history: &'a History,
    cash: f64,
    holdings: [Holding; 3],
    total: f64,
    /// The comparison with live in the same period, over all metrics.
    concurrent: f64,
    /// The comparison with live's past, over all metrics.
    past: f64,
    accepted: bool,
    leading: Metric,
}

/// A verdict with the ending of the stage and the reason, still without the figures of the test.
struct Decision(Verdict, Option<StageEnding>, String);

/// Judges the evidence. `criteria` should have passed [`Criteria::check`]; the counts may be
/// anything.
pub fn judge(criteria: &Criteria, evidence: &Evidence) -> Judgement {
    let mut history = History::before(criteria, evidence.history);
    let mut window = history.clone();
    let ledger = Ledger::play(criteria, evidence, &mut window);
    history.make_surer(&window);
    let bench = Bench::new(criteria, evidence, &history, &ledger);
    let decision = bench.decide();
    let load = bench.load(&decision);
    let Decision(verdict, ending, mut reason) = decision;
    reason.extend(load);
    let reason = if history.is_careful() {
        let seen = periods(evidence.history.len());
        let wanted = criteria.history_periods;
        format!("{reason}; only {seen} of history instead of {wanted}, so more bad luck is allowed for")
    } else {
        reason
    };
    let metrics = Metric::ALL.map(|metric| {
        let dispersion = history.dispersion(metric);
        let holding = bench.holdings[metric as usize];
        MetricJudgement {
            metric,
            odds: wealth(log_sum(bench.cash, holding.all)),
            concurrent_odds: wealth(log_sum(bench.cash, holding.concurrent)),
            past_odds: wealth(log_sum(bench.cash, holding.past)),
            dispersion: dispersion.clusters,
            burst_variance: dispersion.bursts,
        }
    });
    Judgement { verdict, reason, ending, odds: wealth(bench.total), metrics, careful: history.is_careful() }
}

impl<'a> Bench<'a> {
    fn new(criteria: &'a Criteria, evidence: &'a Evidence, history: &'a History, ledger: &Ledger) -> Self {
        let cash = ledger.log_cash();
        let holdings = Metric::ALL.map(|metric| ledger.holding(criteria, metric));
        // Client errors that the recheck did not show are those of some client, not of the load.
        let rechecked = evidence.rechecks() > 0;
        let sum = |part: fn(&Holding) -> f64, clients: bool| {
            let metrics = Metric::ALL.into_iter().filter(|m| clients || *m != Metric::ClientErrors);
            metrics.fold(cash, |sum, metric| {
                let metric_share = criteria.metric(metric).share_percent / 100.0;
                log_sum(sum, scaled(part(&holdings[metric as usize]), metric_share))
            })
        };
        let held = |metric: Metric| {
            scaled(holdings[metric as usize].all, criteria.metric(metric).share_percent / 100.0)
        };
        let leading = Metric::ALL
            .into_iter()
            .fold(Metric::Failures, |best, metric| if held(metric) > held(best) { metric } else { best });
        // With everything on the standby nothing new can be accepted; what the run showed counts.
        let whole_run = !evidence.live_has_traffic();
        let accepted = ledger.log_acceptance(whole_run) >= (1.0 / criteria.beta).ln();
        let (total, concurrent, past) =
            (sum(|h| h.all, true), sum(|h| h.concurrent, true), sum(|h| h.past, !rechecked));
        Self { criteria, evidence, history, cash, holdings, total, concurrent, past, accepted, leading }
    }

    fn decide(&self) -> Decision {
        let (criteria, evidence) = (self.criteria, self.evidence);
        if let Some(reason) = broken(criteria, evidence, self.history) {
            return Decision(Verdict::RollBack, Some(StageEnding::Suspect), reason);
        }
        if self.is_guilty() {
            let reason = format!("{}: {}", self.figures(self.leading), self.against());
            return Decision(Verdict::RollBack, Some(StageEnding::Suspect), reason);
        }
        if let Some(decision) = self.both() {
            return decision;
        }
        match evidence.stage.kind {
            PeriodKind::Recheck => self.recheck(),
            PeriodKind::Shift => self.at_full_weight().unwrap_or_else(|| self.stage()),
        }
    }

    /// Enough against the standby, and the comparison with live agrees as long as there is one: by its odds,
    /// or because anybody can see it, period after period. The past alone never convicts: an outage of
    /// something that both fleets need looks the same.
    fn is_guilty(&self) -> bool {
        let needed = self.criteria.roll_back_odds().ln();
        // A fleet that has always been worse than the other one has not become so by what it got.
        if self.judges_its_own_past() && self.past < needed {
            return false;
        }
        // With everything on the standby, or live off as well, the comparison with live must do
        // without the past.
        if !self.evidence.live_has_traffic() || live_is_off(self.evidence, self.history, self.leading) {
            return self.concurrent >= needed;
        }
        let leading = self.holdings[self.leading as usize].concurrent;
        let agrees = || log_sum(self.cash, leading) >= self.criteria.key_odds.ln();
        let shows = || ill_each_period(self.criteria, self.evidence, self.history, self.leading);
        self.total >= needed && (agrees() || shows())
    }

    fn both(&self) -> Option<Decision> {
        let both = both_unhealthy(self.criteria, self.evidence, self.history)?;
        let limit = self.criteria.both_unhealthy_for;
        let patience = Patience::of_periods(both.periods, self.evidence.period_seconds, limit);
        let (verdict, lasted) = (patience.verdict(self.criteria), Seconds(patience.lasted()));
        if verdict == Verdict::Wait {
            let reason = format!("{}; {lasted} of at most {limit}", both.figures);
            return Some(Decision(verdict, None, reason));
        }
        let end =
            if verdict == Verdict::Halt { "halted with the weights as they are" } else { "rolled back" };
        let reason = format!("{}; that has lasted {lasted}, so the run is {end}", both.figures);
        Some(Decision(verdict, Some(StageEnding::Suspect), reason))
    }

    /// The bets on the past have grown while the standby carries everything: set it back a little
    /// and compare. Ill again after that, as often as it may be done, it does not carry the load.
    fn at_full_weight(&self) -> Option<Decision> {
        let needed = self.criteria.roll_back_odds();
        if self.evidence.live_has_traffic() || self.past < self.criteria.recheck_odds.min(needed).ln() {
            return None;
        }
        let worse = format!(
            "{} is worse than {} was before the run, odds {}",
            self.evidence.standby,
            if self.judges_its_own_past() { "it" } else { self.evidence.past_of },
            odds(wealth(self.past))
        );
        self.begin_recheck(&worse).or_else(|| (self.past >= needed.ln()).then(|| self.overloaded(&worse)))
    }

    fn begin_recheck(&self, why: &str) -> Option<Decision> {
        let criteria = self.criteria;
        (self.evidence.rechecks() < criteria.max_rechecks as usize).then(|| {
            let reason = format!(
                "{why}: set back to weight {} for {} to compare them",
                criteria.recheck_percent,
                periods(criteria.recheck_periods as usize)
            );
            Decision(Verdict::Recheck, None, reason)
        })
    }

    fn recheck(&self) -> Decision {
        let (seen, wanted) = (self.evidence.recheck_periods(), self.criteria.recheck_periods as usize);
        let figures = self.figures(self.leading);
        if seen < wanted {
            return Decision(
                Verdict::Wait,
                None,
                format!("recheck, {seen} of {}: {figures}", periods(wanted)),
            );
        }
        if let Some(decision) = self.ill() {
            return decision;
        }
        if clears(self.criteria, self.evidence, self.history) {
            let reason =
                format!("the recheck clears {}: {figures}; back to the stage", self.evidence.standby);
            return Decision(Verdict::Advance, None, reason);
        }
        let reason = format!(
            "{figures}: too few requests at this weight to show what was seen at 100 % of {}",
            self.evidence.standby
        );
        let longest = wanted + self.criteria.longer_periods as usize;
        if seen < longest {
            return Decision(
                Verdict::Wait,
                None,
                format!("recheck, {seen} of at most {}: {reason}", periods(longest)),
            );
        }
        match self.criteria.on_insufficient_data {
            OnInsufficientData::Advance => {
                Decision(Verdict::Advance, None, format!("{reason}; back to the stage, not cleared"))
            }
            OnInsufficientData::Wait | OnInsufficientData::RollBack => {
                Decision(Verdict::RollBack, Some(StageEnding::InsufficientData), reason)
            }
        }
    }

    fn stage(&self) -> Decision {
        let (criteria, evidence) = (self.criteria, self.evidence);
        let seen = evidence.stage_periods().count();
        let bake = evidence.stage.bake_periods.max(1) as usize;
        let suspect = self.total >= criteria.hold_odds.ln();
        let figures = self.figures(if suspect { self.leading } else { Metric::Failures });
        let early = criteria.early_advance && !self.history.is_careful() && evidence.live_has_traffic();
        if seen < bake {
            let ill = plainly_ill(criteria, evidence, self.history).is_some();
            if early && seen >= EARLY_PERIODS && self.accepted && !suspect && !ill {
                let reason = format!("{figures}: accepted after {seen} of {}", periods(bake));
                return Decision(Verdict::Advance, Some(StageEnding::Accepted), reason);
            }
            let reason =
                format!("{seen} of {} of this stage seen: {figures}; {}", periods(bake), self.against());
            return Decision(Verdict::Wait, None, reason);
        }
        let over = seen - bake;
        if let Some(decision) = self.ill() {
            return decision;
        }
        // With everything on the standby, waiting tells more only beside the past.
        if suspect && (evidence.live_has_traffic() || self.past >= criteria.hold_odds.ln()) {
            return self.hold(over, &figures);
        }
        let requests = evidence.stage_periods().fold(0_u64, |sum, p| sum.saturating_add(p.standby.requests));
        if evidence.stage.standby_percent > 0 && requests == 0 {
            let anybody = evidence.stage_periods().any(|p| p.live.requests > 0);
            let nobody = if anybody { String::new() } else { format!("; {NOBODY}") };
            let reason = format!(
                "{} has had no request in this stage, and no data is no pass{nobody}",
                evidence.standby
            );
            let times = if anybody && self.due() < ENOUGH_DUE { 2 } else { 1 };
            return self.wait_longer(over, times, &reason);
        }
        if self.accepted && !suspect {
            let reason = format!("{figures}: accepted, no worse than the margin");
            return Decision(Verdict::Advance, Some(StageEnding::Accepted), reason);
        }
        if suspect {
            let reason =
                format!("{figures}: {}, and no request is left that could tell more", self.against());
            return Decision(Verdict::Advance, Some(StageEnding::Suspect), reason);
        }
        let (ending, but) = match self.too_few_requests(seen) {
            Some(counts) => {
                (StageEnding::InsufficientData, format!("too few requests to prove it good {counts}"))
            }
            None => (
                StageEnding::Suspect,
                "and yet not proven good by twice the requests that one as good needs for it".into(),
            ),
        };
        let reason = format!("{figures}: {}; {but}", self.against());
        match criteria.on_insufficient_data {
            // The last stage has nothing to compare with and would wait in vain.
            OnInsufficientData::Wait if evidence.live_has_traffic() => self.wait_longer(over, 1, &reason),
            OnInsufficientData::RollBack if evidence.live_has_traffic() => {
                Decision(Verdict::RollBack, Some(ending), reason)
            }
            _ => Decision(Verdict::Advance, Some(ending), reason),
        }
    }

    /// A standby that anybody can see is ill is not gone on with, whatever the odds: where everything is
    /// on it, it is compared once more, and else waited for, as long as a suspect is.
    fn ill(&self) -> Option<Decision> {
        let limit = self.criteria.hold_periods as usize;
        let ill = plainly_ill(self.criteria, self.evidence, self.history)?;
        let alone = !self.evidence.live_has_traffic();
        if let Some(recheck) = alone.then(|| self.begin_recheck(&ill)).flatten() {
            return Some(recheck);
        }
        // Only periods in a row count: a stage may have been held before for other reasons.
        let before = |end: usize| Evidence { periods: &self.evidence.periods[..end], ..*self.evidence };
        let ill_at = |end: &usize| plainly_ill(self.criteria, &before(*end), self.history).is_some();
        let lasted = (1..=self.evidence.periods.len()).rev().take_while(ill_at).count();
        if lasted < limit {
            let reason = format!("{ill}; {lasted} of at most {}", periods(limit));
            return Some(Decision(Verdict::Wait, None, reason));
        }
        if alone {
            return Some(self.overloaded(&ill));
        }
        let reason = format!("{ill}; that did not change in {} of holding", periods(limit));
        Some(Decision(Verdict::RollBack, Some(StageEnding::Suspect), reason))
    }

    fn hold(&self, over: usize, figures: &str) -> Decision {
        let limit = self.criteria.hold_periods as usize;
        if over < limit {
            let reason =
                format!("{figures}: {}; held for {over} of at most {}", self.against(), periods(limit));
            return Decision(Verdict::Wait, None, reason);
        }
        let verdict = match self.criteria.still_suspect {
            OnUndecided::Advance => Verdict::Advance,
            OnUndecided::RollBack => Verdict::RollBack,
        };
        let reason =
            format!("{figures}: still suspect after {} of holding, {}", periods(limit), self.against());
        Decision(verdict, Some(StageEnding::Suspect), reason)
    }

    /// Requests that were due to the standby in this stage, beside those that live had.
    fn due(&self) -> f64 {
        let percent = self.evidence.stage.standby_percent;
        let live = self.evidence.stage_periods().fold(0_u64, |sum, p| sum.saturating_add(p.live.requests));
        live as f64 * f64::from(percent) / f64::from(100_u8.saturating_sub(percent).max(1))
    }

    fn wait_longer(&self, over: usize, times: usize, reason: &str) -> Decision {
        let limit = times * self.criteria.longer_periods as usize;
        if over < limit {
            let reason = format!("{reason}; {over} of {} of waiting", periods(limit));
            return Decision(Verdict::Wait, None, reason);
        }
        let reason = format!("{reason}; {} of waiting did not change that", periods(limit));
        Decision(Verdict::RollBack, Some(StageEnding::InsufficientData), reason)
    }

    /// Both fleets' shares of one metric in this stage or recheck; while it has no period of its own, in the
    /// one in which it began, or else in the run.
    fn figures(&self, metric: Metric) -> String {
        let evidence = self.evidence;
        let (live, standby, began) = evidence.shown();
        let mut beside = evidence.live;
        let against = if live.requests == 0 {
            beside = evidence.past_of;
            format!("{} before the run", super::words::percent(self.history.rate(metric)))
        } else {
            share(live, metric)
        };
        // In the period of a change, live's events were not all beside the standby's.
        let interval = (!began)
            .then(|| difference(standby, live, metric, self.history.dispersion(metric).clusters))
            .flatten()
            .map_or_else(String::new, |interval| format!("; {}", in_words(interval)));
        let when = if began { " in the period in which the weights changed" } else { "" };
        format!(
            "{}{when}: {} {} against {} {against}{interval}",
            metric.word(),
            evidence.standby,
            share(standby, metric),
            beside
        )
    }

    /// How much is held against the standby.
    fn against(&self) -> String {
        let held = wealth(self.total);
        if self.total < 0.0 {
            return "no difference found".into();
        }
        if self.total < self.criteria.hold_odds.ln() {
            return format!(
                "odds {} against {}, which may well be chance",
                odds(held),
                self.evidence.standby
            );
        }
        format!(
            "odds {} against {} (a rollback needs {})",
            odds(held),
            self.evidence.standby,
            odds(self.criteria.roll_back_odds())
        )
    }
}
