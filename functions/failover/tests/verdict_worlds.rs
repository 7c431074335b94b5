//! What the verdict makes of worlds that are not as even as those of the other tests.

use failover::verdict::{
    Counts, Criteria, Evidence, JudgedStage, Judgement, Period, PeriodKind, Verdict, judge,
};

/// Weights by stage, each with a bake of 5 periods.
const STAGES: [u8; 5] = [10, 25, 50, 75, 100];
const BAKE: usize = 5;

fn counts(requests: u64, failures: u64) -> Counts {
    Counts { requests, failures, slow: requests / 20, client_errors: requests / 50 }
}

/// Judges a run through all stages, period by period, and gives the first verdict that is neither to
/// wait nor to advance, with the number of the period, from 1.
fn run(history: &[Counts], period: impl Fn(usize, u8) -> (Counts, Counts)) -> Option<(usize, Judgement)> {
    let mut periods = Vec::new();
    (0..STAGES.len() * BAKE).find_map(|at| {
        let (index, percent) = (at / BAKE, STAGES[at / BAKE]);
        let (live, standby) = period(at, percent);
        periods.push(Period { standby_percent: percent, stage: index, live, standby, ..Period::default() });
        let stage = JudgedStage { index, standby_percent: percent, kind: PeriodKind::Shift, bake_periods: 5 };
        let evidence = Evidence {
            live: "prod1",
            standby: "prod2",
            past_of: "prod1",
            period_seconds: 60,
            history,
            beside: &[],
            balancer_history: &[],
            periods: &periods,
            mixed: &[],
            stage,
        };
        let judgement = judge(&Criteria::default(), &evidence);
        let goes_on = matches!(judgement.verdict, Verdict::Wait | Verdict::Advance);
        (!goes_on).then_some((at + 1, judgement))
    })
}

/// Both fleets' shares of so many requests, with so many failures in 1,000.
fn split(requests: u64, percent: u8, live: u64, standby: u64) -> (Counts, Counts) {
    let on_standby = requests * u64::from(percent) / 100;
    let of = |requests: u64, failing: u64| counts(requests, (requests * failing).div_ceil(1000));
    (of(requests - on_standby, live), of(on_standby, standby))
}

/// Live's past of an hour, in which some minutes went wrong.
fn past(requests: u64, failures: u64, wrong: &[usize]) -> Vec<Counts> {
    (0..60)
        .map(|at| counts(requests, if wrong.contains(&at) { requests * 3 / 10 } else { failures }))
        .collect()
}

#[track_caller]
fn expect(found: Option<(usize, Judgement)>, latest: usize) {
    let (at, judgement) = found.expect("found");
    assert_eq!(judgement.verdict, Verdict::RollBack, "{}", judgement.reason);
    assert!(at <= latest, "period {at}: {}", judgement.reason);
}

#[test]
fn an_incident_in_the_past_hides_no_fault() {
    let incident = [27, 28, 29, 30, 31];
    expect(run(&past(300, 1, &incident), |_, percent| split(300, percent, 3, 33)), 25);
    expect(run(&past(3000, 9, &incident), |_, percent| split(3000, percent, 3, 33)), 6);
    // And it makes nobody guilty.
    assert!(run(&past(3000, 9, &incident), |_, percent| split(3000, percent, 3, 3)).is_none());
}

#[test]
fn a_bad_minute_an_hour_hides_no_fault() {
    expect(run(&past(5000, 1, &[31]), |_, percent| split(5000, percent, 0, 30)), 3);
}

/// While the incident goes on, both fleets are unwell, and nobody is blamed for it.
#[test]
fn an_incident_that_goes_on_is_not_the_standbys() {
    let ongoing: Vec<usize> = (50..60).collect();
    let fleets =
        |at, percent| if at < 10 { split(3000, percent, 300, 300) } else { split(3000, percent, 3, 3) };
    let found = run(&past(3000, 9, &ongoing), fleets);
    assert!(found.is_none(), "{}", found.unwrap().1.reason);
}

/// Twice as many slow requests for a few periods after each rise are what cold caches do; twice as many
/// all the time, or six times as many, are not.
#[test]
fn cold_caches_are_not_blamed_and_hide_nothing() {
    let slower = |at: usize, percent, times: u64, cold: usize| {
        let (live, mut standby) = split(3000, percent, 3, 3);
        standby.slow *= if at % BAKE < cold { times } else { 1 };
        (live, standby)
    };
    let history = past(3000, 9, &[]);
    assert!(run(&history, |at, percent| slower(at, percent, 2, 3)).is_none());
    expect(run(&history, |at, percent| slower(at, percent, 2, BAKE)), 15);
    expect(run(&history, |at, percent| slower(at, percent, 6, BAKE)), 3);
}

/// Of caches that are cold for all requests at first, four in ten answers are slow, and then fewer and fewer.
#[test]
fn caches_that_warm_up_are_not_blamed_however_cold_they_were() {
    let with = |slow: [u64; 3]| {
        move |at: usize, percent| {
            let (live, mut standby) = split(3000, percent, 3, 3);
            standby.slow = standby.requests * slow.get(at % BAKE).copied().unwrap_or(50) / 1000;
            (live, standby)
        }
    };
    let history = past(3000, 9, &[]);
    let found = run(&history, with([350, 220, 110]));
    assert!(found.is_none(), "{}", found.unwrap().1.reason);
    // They do not stay so.
    expect(run(&history, with([350, 350, 350])), 3);
}

/// A client that sends nothing but client errors, all to the standby, makes its requests too many for
/// its weight; a release that answers so does not.
#[test]
fn a_client_that_sticks_to_the_standby_is_not_the_release() {
    let history = past(3000, 9, &[]);
    let sticky = |at, percent| {
        let (live, mut standby) = split(3000, percent, 3, 3);
        let more = if at >= 2 { 90 } else { 0 };
        standby.requests += more;
        standby.client_errors += more;
        (live, standby)
    };
    assert!(
        run(&history[..], |at, percent| if percent < 100 {
            sticky(at, percent)
        } else {
            split(3000, percent, 3, 3)
        })
        .is_none()
    );
    let release = |_, percent| {
        let (live, mut standby) = split(3000, percent, 3, 3);
        standby.client_errors *= 5;
        (live, standby)
    };
    expect(run(&history, release), 5);
}

/// Thirty requests a period by day and one by night: two without any are nothing special.
#[test]
fn a_quiet_night_is_no_silence() {
    let quiet = |at: usize, percent| match percent {
        100 if at % BAKE < 2 => (counts(0, 0), counts(0, 0)),
        100 => (counts(0, 0), counts(1, 0)),
        _ => (counts(1, 0), counts(1, 0)),
    };
    assert!(run(&past(30, 0, &[]), quiet).is_none());
    // Thirty until now, and none at once.
    let gone = |_, percent| if percent < 100 { split(30, percent, 0, 0) } else { split(0, percent, 0, 0) };
    expect(run(&past(30, 0, &[]), gone), 22);
}

/// One bad minute in a past that has such minutes convicts nobody; two do.
#[test]
fn one_bad_minute_is_not_the_release_where_there_are_such() {
    let history = past(3000, 9, &[12, 40]);
    let bad = |minutes: usize| {
        move |at, percent| split(3000, percent, 3, if (2..2 + minutes).contains(&at) { 300 } else { 3 })
    };
    assert!(run(&history, bad(1)).is_none());
    expect(run(&history, bad(9)), 5);
}

/// At 100 % a twentieth fails, and the recheck has too few requests to show that: it does not clear.
#[test]
fn a_recheck_clears_only_what_it_could_have_shown() {
    let history = [past(30, 0, &[]), past(30, 0, &[])].concat();
    let criteria = Criteria::default();
    let period = |percent, kind, live, standby| Period {
        standby_percent: percent,
        stage: 0,
        kind,
        live,
        standby,
        ..Period::default()
    };
    let judged = |rechecked: usize, requests: u64| {
        let mut periods = vec![period(100, PeriodKind::Shift, counts(0, 0), counts(30, 2)); 10];
        let recheck = period(10, PeriodKind::Recheck, counts(9 * requests, 0), counts(requests, 0));
        periods.extend(std::iter::repeat_n(recheck, rechecked));
        let stage =
            JudgedStage { index: 0, standby_percent: 10, kind: PeriodKind::Recheck, bake_periods: 20 };
        let evidence = Evidence {
            live: "prod1",
            standby: "prod2",
            past_of: "prod1",
            period_seconds: 60,
            history: &history,
            beside: &[],
            balancer_history: &[],
            periods: &periods,
            mixed: &[],
            stage,
        };
        judge(&criteria, &evidence)
    };
    let few = judged(4, 3);
    assert_eq!(few.verdict, Verdict::Wait, "{}", few.reason);
    assert!(few.reason.contains("too few requests"), "{}", few.reason);
    let enough = judged(30, 3);
    assert_eq!(enough.verdict, Verdict::Advance, "{}", enough.reason);
    assert!(enough.reason.contains("clears"), "{}", enough.reason);
    assert!(judged(4, 300).reason.contains("clears"));
}

/// The reason says by how much the fleets differ.
#[test]
fn the_reason_says_how_large_the_difference_is() {
    let (_, judgement) = run(&past(3000, 9, &[]), |_, percent| split(3000, percent, 3, 33)).expect("found");
    let reason = judgement.reason;
    assert!(reason.contains("points more, as far as is known"), "{reason}");
}
