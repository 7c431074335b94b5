//! Rules that hold outside the test: a silent standby, absolute limits, a balancer that answers
//! for itself, and both fleets sick at once.

use super::counts::{Counts, Evidence, JudgedStage, Metric, Period, PeriodKind};
use super::criteria::Criteria;
use super::history::History;
use super::words::{number, percent, share};

/// Log odds against silence by chance: a million to one.
const SILENCE_LOG_ODDS: f64 = 13.815_510_557_964_274;

/// Requests that a limit must rest on.
const ENOUGH_REQUESTS: f64 = 10.0;

/// Periods over which a fleet is asked whether it is sick: one alone may be chance.
const SICK_PERIODS: usize = 3;

/// Periods in a row of which each shows the same by itself: caches are warm by then, and no burst lasts so long.
const EACH_PERIODS: u32 = 3;

/// So many events must have been live's in each of them, were it as ill: too few requests show nothing.
const EACH_DUE: f64 = 3.0;

/// Periods that say how much traffic there is at this time.
const LATELY_PERIODS: usize = 20;

/// Periods over which live is asked whether it is off.
const OFF_PERIODS: usize = 5;

/// How many standard deviations above its level the balancer's own count must be.
const BALANCER_DEVIATIONS: f64 = 6.0;

/// What it looks like where neither fleet has a request.
pub const NOBODY: &str = "neither fleet had one: nobody comes, or a rule that is asked first answers them, such as \
                          that of a maintenance page";

/// The first guard that wants a rollback, as the reason for it.
pub fn broken(criteria: &Criteria, evidence: &Evidence, history: &History) -> Option<String> {
    silent(criteria, evidence)
        .or_else(|| over_limit(criteria, evidence))
        .or_else(|| balancer(criteria, evidence, history))
}

/// The latest periods at the present weights.
fn latest<'a>(evidence: &'a Evidence, count: u32) -> Option<&'a [Period]> {
    let at_present =
        |p: &&Period| p.stage == evidence.stage.index && p.standby_percent == evidence.stage.standby_percent;
    let length = evidence.periods.iter().rev().take_while(at_present).count();
    let count = count as usize;
    (length >= count).then(|| &evidence.periods[evidence.periods.len() - count..])
}

fn add(counts: impl Iterator<Item = Counts>) -> Counts {
    counts.fold(Counts::default(), Counts::plus)
}

/// A group without registered targets gets no requests and counts no errors: the balancer answers
/// 503 itself. Silence is therefore no good sign.
fn silent(criteria: &Criteria, evidence: &Evidence) -> Option<String> {
    let weight = evidence.stage.standby_percent;
    let periods = latest(evidence, criteria.silent_periods).filter(|_| weight > 0)?;
    let standby = add(periods.iter().map(|p| p.standby)).requests as f64;
    let live = add(periods.iter().map(|p| p.live)).requests as f64;
    let count = periods.len();
    let due = if evidence.live_has_traffic() {
        (standby + live) * f64::from(weight) / 100.0
    } else {
        // With everything on the standby only what came lately tells how much is due, and traffic may
        // fall for good reasons: only total silence counts.
        if standby > 0.0 {
            return None;
        }
        lately(evidence, count) * count as f64
    };
    // Chernoff's bound on so few requests by chance.
    let chance = if standby > 0.0 { standby * (due / standby).ln() + standby - due } else { -due };
    let nobody = if standby + live > 0.0 { String::new() } else { format!("; {NOBODY}") };
    (standby < due * criteria.silent_percent / 100.0 && chance < -SILENCE_LOG_ODDS).then(|| {
        format!(
            "{} lacks traffic: {} requests in the last {count} periods where {} were due at weight {weight}{nobody}",
            evidence.standby,
            number(standby),
            number(due.round()),
        )
    })
}

/// Mean requests of both fleets in a period, in the run's last ones before the latest `count`, and in
/// those before the run while it has too few: the night's traffic is not the day's.
fn lately(evidence: &Evidence, count: usize) -> f64 {
    let earlier = evidence.periods.iter().rev().skip(count);
    let both = earlier.map(|p| p.live.requests.saturating_add(p.standby.requests));
    let last: Vec<u64> =
        both.chain(evidence.history.iter().rev().map(|c| c.requests)).take(LATELY_PERIODS).collect();
    last.iter().map(|requests| *requests as f64).sum::<f64>() / last.len().max(1) as f64
}

/// Limits that the operator set as such. Where live breaks the limit as well, the standby is not
/// to blame, and the rule for both fleets applies instead.
fn over_limit(criteria: &Criteria, evidence: &Evidence) -> Option<String> {
    let periods = latest(evidence, criteria.limit_periods)?;
    Metric::ALL.into_iter().find_map(|metric| {
        let limit = criteria.metric(metric).limit_percent?;
        let over = |c: Counts| c.events(metric) as f64 * 100.0 > limit * c.requests as f64;
        let standby = add(periods.iter().map(|p| p.standby));
        let live = add(periods.iter().map(|p| p.live));
        let broken = periods.iter().all(|p| over(p.standby)) && !over(live);
        (broken && standby.requests as f64 >= ENOUGH_REQUESTS).then(|| {
            format!(
                "{} on {} were over the limit of {limit} % in {} periods in a row: {}",
                metric.word(),
                evidence.standby,
                periods.len(),
                share(standby, metric)
            )
        })
    })
}

/// What of the balancer's own 502, 503 and 504 no fleet is charged with had no target to choose, or was for
/// other apps on the same balancer. It can have been for the standby only as far as the standby is short of
/// the requests that are due to it.
fn balancer(criteria: &Criteria, evidence: &Evidence, history: &History) -> Option<String> {
    let before = evidence.balancer_history;
    if before.is_empty() || evidence.stage.standby_percent == 0 {
        return None;
    }
    let periods = latest(evidence, criteria.limit_periods)?;
    let level = before.iter().map(|n| *n as f64).sum::<f64>() / before.len() as f64;
    let variance = before.iter().map(|n| (*n as f64 - level).powi(2)).sum::<f64>() / before.len() as f64;
    let limit = level + BALANCER_DEVIATIONS * variance.max(level).sqrt() + ENOUGH_REQUESTS;
    let broken = periods.iter().all(|p| {
        let own = (p.balancer_failures as f64).min(level + p.may_have_found_no_target());
        let all = p.live.requests as f64 + p.standby.requests as f64 + own;
        let live_is_fine = !history.is_off(Metric::Failures, p.live, 1.0);
        own > limit && own - level > all * criteria.balancer_percent / 100.0 && live_is_fine
    });
    broken.then(|| {
        let now = periods.iter().map(|p| p.balancer_failures as f64).sum::<f64>() / periods.len() as f64;
        format!(
            "the balancer itself answered {} requests a period with 502, 503 or 504 in the last {} periods, \
             against {} before the run, while {} is fine and {} is short of requests",
            number(now.round()),
            periods.len(),
            number(level.round()),
            evidence.live,
            evidence.standby
        )
    })
}

/// Whether live has lately had more events than its past explains: then the past cannot speak
/// against the standby.
pub fn live_is_off(evidence: &Evidence, history: &History, metric: Metric) -> bool {
    let start = evidence.periods.len().saturating_sub(OFF_PERIODS);
    let live = add(evidence.periods[start..].iter().map(|p| p.live));
    history.is_off(metric, live, 0.0)
}

/// Whether the standby is ill now in a way that needs no odds to be seen, beside what live was before the
/// run and, as far as it has requests, beside live now. Client errors are left out, as in [`both_unhealthy`].
pub fn plainly_ill(criteria: &Criteria, evidence: &Evidence, history: &History) -> Option<String> {
    let at_present = |p: &&Period| {
        p.stage == evidence.stage.index
            && p.standby_percent == evidence.stage.standby_percent
            && p.kind == evidence.stage.kind
    };
    let length = evidence.periods.iter().rev().take_while(at_present).count().min(SICK_PERIODS);
    let recent = &evidence.periods[evidence.periods.len() - length..];
    let (live, standby) = (add(recent.iter().map(|p| p.live)), add(recent.iter().map(|p| p.standby)));
    // A few requests of live do not show whether it is as ill.
    if evidence.stage.standby_percent < 100 && (live.requests as f64) < ENOUGH_REQUESTS {
        return None;
    }
    [Metric::Failures, Metric::Slow].into_iter().find_map(|metric| {
        let ill = is_ill_beside(criteria, history, metric, standby, live);
        let live_now =
            if live.requests == 0 { String::new() } else { format!(", {} now", share(live, metric)) };
        ill.then(|| {
            format!(
                "{} is degraded: {} {} against {} on {} before the run{live_now}",
                evidence.standby,
                metric.word(),
                share(standby, metric),
                percent(history.rate(metric)),
                evidence.past_of,
            )
        })
    })
}

/// Whether the standby is ill and live is not, by these counts.
fn is_ill_beside(
    criteria: &Criteria,
    history: &History,
    metric: Metric,
    standby: Counts,
    live: Counts,
) -> bool {
    let rate_now = live.events(metric) as f64 / live.requests.max(1) as f64;
    standby.requests as f64 >= ENOUGH_REQUESTS
        && history.is_sick(criteria, metric, standby)
        && !history.is_sick(criteria, metric, live)
        && standby.events(metric) as f64 > criteria.sick_factor * rate_now * standby.requests as f64
}

/// Whether each of the latest periods at the present weights shows by itself that the standby is ill and live is
/// not: that is no bad minute.
pub fn ill_each_period(criteria: &Criteria, evidence: &Evidence, history: &History, metric: Metric) -> bool {
    let shows = |p: &Period| {
        let rate = p.standby.events(metric) as f64 / p.standby.requests.max(1) as f64;
        p.live.requests as f64 * rate >= EACH_DUE
            && is_ill_beside(criteria, history, metric, p.standby, p.live)
    };
    latest(evidence, EACH_PERIODS).is_some_and(|periods| periods.iter().all(shows))
}

/// Whether the standby is plainly ill by the latest counts of both fleets before a run, each with its name.
pub fn ill_beside(
    criteria: &Criteria,
    (live, live_past): (&str, &[Counts]),
    (standby, standby_past): (&str, &[Counts]),
) -> Option<String> {
    let (before, now) = live_past.split_at(live_past.len().saturating_sub(SICK_PERIODS));
    let latest = &standby_past[standby_past.len().saturating_sub(SICK_PERIODS)..];
    let beside =
        |(live, standby): (&Counts, &Counts)| Period { live: *live, standby: *standby, ..Period::default() };
    let periods: Vec<Period> = now.iter().zip(latest).map(beside).collect();
    let stage = JudgedStage { index: 0, standby_percent: 0, kind: PeriodKind::Shift, bake_periods: 1 };
    let (history, mixed, beside, balancer_history) = (before, &[][..], &[][..], &[][..]);
    let periods = &periods;
    // How long it has lasted is not asked, so that the length of a period does not matter.
    let (past_of, period_seconds) = (live, 0);
    let evidence = Evidence {
        live,
        standby,
        past_of,
        period_seconds,
        history,
        beside,
        balancer_history,
        periods,
        mixed,
        stage,
    };
    plainly_ill(criteria, &evidence, &History::before(criteria, before))
}

/// Both fleets sick at the same time.
pub struct Both {
    /// Periods in a row up to now.
    pub periods: usize,
    /// The figures.
    pub figures: String,
}

/// Whether both fleets are unhealthy now, and for how long they have been. Client errors are left out:
/// a client can make both fleets answer 404.
pub fn both_unhealthy(criteria: &Criteria, evidence: &Evidence, history: &History) -> Option<Both> {
    [Metric::Failures, Metric::Slow].into_iter().find_map(|metric| {
        let sick_at = |end: usize| {
            let span = &evidence.periods[end.saturating_sub(SICK_PERIODS)..end];
            let live = add(span.iter().map(|p| p.live));
            let standby = add(span.iter().map(|p| p.standby));
            let both = history.is_sick(criteria, metric, live) && history.is_sick(criteria, metric, standby);
            both.then_some((live, standby))
        };
        let (live, standby) = sick_at(evidence.periods.len())?;
        let periods = (1..=evidence.periods.len()).rev().take_while(|end| sick_at(*end).is_some()).count();
        let figures = format!(
            "both fleets are unhealthy: {} {} on {} and {} on {}, against {} before the run",
            metric.word(),
            share(standby, metric),
            evidence.standby,
            share(live, metric),
            evidence.live,
            percent(history.rate(metric))
        );
        Some(Both { periods, figures })
    })
}
