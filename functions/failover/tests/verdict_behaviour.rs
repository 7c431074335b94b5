//! What the verdict does in the situations that an operator meets.

use failover::verdict::{
    Counts, Criteria, Evidence, JudgedStage, Judgement, OnBothUnhealthy, OnInsufficientData, OnUndecided,
    Period, PeriodKind, StageEnding, Verdict, judge, proposed_bake,
};

/// A healthy fleet's share of so many requests.
fn healthy(requests: u64) -> Counts {
    Counts { requests, failures: requests / 1000, slow: requests / 20, client_errors: requests / 50 }
}

fn failing(requests: u64, failures: u64) -> Counts {
    Counts { failures, ..healthy(requests) }
}

/// A run in the making.
struct Run {
    criteria: Criteria,
    history: Vec<Counts>,
    balancer_history: Vec<u64>,
    periods: Vec<Period>,
    mixed: Vec<Period>,
    stage: JudgedStage,
    past_of: &'static str,
}

impl Run {
    /// 2,000 requests a period, at `percent`, with a bake of 5 periods.
    fn at(percent: u8) -> Self {
        Self {
            criteria: Criteria::default(),
            history: vec![healthy(2000); 60],
            balancer_history: vec![2; 60],
            periods: Vec::new(),
            mixed: Vec::new(),
            stage: JudgedStage {
                index: 0,
                standby_percent: percent,
                kind: PeriodKind::Shift,
                bake_periods: 5,
            },
            past_of: "prod1",
        }
    }

    fn stage(mut self, index: usize, percent: u8, kind: PeriodKind) -> Self {
        self.stage = JudgedStage { index, standby_percent: percent, kind, bake_periods: 5 };
        self
    }

    fn period(&self, live: Counts, standby: Counts) -> Period {
        Period {
            standby_percent: self.stage.standby_percent,
            stage: self.stage.index,
            kind: self.stage.kind,
            live,
            standby,
            balancer_failures: 2,
        }
    }

    fn periods(mut self, count: usize, live: Counts, standby: Counts) -> Self {
        let period = self.period(live, standby);
        self.periods.extend(std::iter::repeat_n(period, count));
        self
    }

    /// The period in which the present stage began.
    fn begun(mut self, live: Counts, standby: Counts) -> Self {
        self.mixed.push(self.period(live, standby));
        self
    }

    fn judge(&self) -> Judgement {
        judge(
            &self.criteria,
            &Evidence {
                live: "prod1",
                standby: "prod2",
                past_of: self.past_of,
                period_seconds: 60,
                history: &self.history,
                beside: &[],
                balancer_history: &self.balancer_history,
                periods: &self.periods,
                mixed: &self.mixed,
                stage: self.stage,
            },
        )
    }

    #[track_caller]
    fn expect(&self, verdict: Verdict, ending: Option<StageEnding>, words: &[&str]) {
        let judgement = self.judge();
        assert_eq!((judgement.verdict, judgement.ending), (verdict, ending), "{}", judgement.reason);
        for word in words {
            assert!(judgement.reason.contains(word), "no `{word}` in: {}", judgement.reason);
        }
    }
}

#[test]
fn a_good_release_waits_for_its_bake_and_advances() {
    let run = Run::at(10);
    run.expect(Verdict::Wait, None, &["0 of 5 periods"]);
    let run = run.periods(4, healthy(36_000), healthy(4000));
    run.expect(Verdict::Wait, None, &["4 of 5 periods", "no difference found"]);
    let run = run.periods(1, healthy(36_000), healthy(4000));
    run.expect(
        Verdict::Advance,
        Some(StageEnding::Accepted),
        &["failures: prod2 0.1 % (20 of 20,000)", "accepted"],
    );
}

#[test]
fn an_outage_is_rolled_back_within_one_period_with_the_figures() {
    let run = Run::at(10).periods(1, healthy(1800), failing(200, 200));
    let words =
        ["failures: prod2 100 % (200 of 200) against prod1 0.056 % (1 of 1,800)", "odds", "against prod2"];
    run.expect(Verdict::RollBack, Some(StageEnding::Suspect), &words);
}

#[test]
fn failing_from_the_first_request_is_enough_in_the_period_of_the_change() {
    for failures in [100, 15] {
        let run = Run::at(10).begun(healthy(1900), failing(100, failures));
        let words =
            ["failures in the period in which the weights changed: prod2", "of 100) against prod1 0.053 %"];
        run.expect(Verdict::RollBack, Some(StageEnding::Suspect), &words);
    }
}

#[test]
fn the_period_of_the_change_is_no_part_of_a_bake_and_proves_nothing_good() {
    let run = Run::at(10).begun(healthy(36_000), healthy(4000));
    run.expect(Verdict::Wait, None, &["0 of 5 periods"]);
    let run = run.periods(4, healthy(36_000), healthy(4000));
    run.expect(Verdict::Wait, None, &["4 of 5 periods"]);
}

#[test]
fn an_outage_of_both_that_lasts_for_a_part_of_the_change_is_not_the_standbys() {
    // Beside the standby's 20 requests live had 180, and as many failures as it had at any time.
    for (of_live, of_standby) in [(180, 20), (90, 10), (20, 4), (900, 20)] {
        let run = Run::at(10).begun(failing(1980, of_live), failing(20, of_standby));
        run.expect(Verdict::Wait, None, &[]);
    }
}

#[test]
fn what_live_did_before_the_change_does_not_make_a_later_fault_harder_to_see() {
    let of_live = failing(1800, 18);
    let bad = |run: Run| run.periods(1, of_live, failing(200, 60)).judge();
    let with = || {
        let mut run = Run::at(10);
        run.history = vec![failing(2000, 20); 60];
        run
    };
    let (without, with) = (bad(with()), bad(with().begun(failing(1990, 20), failing(10, 0))));
    assert_eq!((without.verdict, with.verdict), (Verdict::RollBack, Verdict::RollBack));
    // All that it costs is its own stake.
    assert!(with.odds > 0.8 * without.odds, "{} of {}", with.odds, without.odds);
}

#[test]
fn connection_errors_beyond_the_requests_count_once_a_request() {
    let run = Run::at(10).periods(1, healthy(1800), failing(200, 900));
    run.expect(Verdict::RollBack, Some(StageEnding::Suspect), &["100 % (200 of 200)"]);
}

/// Between what is proven good and what is rolled back traffic is not what is missing.
#[test]
fn too_few_requests_is_said_only_where_traffic_is_missing() {
    let unproven = |failures: u64| {
        let mut run = Run::at(50).periods(60, failing(10_000, 100), failing(10_000, failures));
        run.history = vec![failing(20_000, 200); 60];
        let judged = run.judge();
        let unproven = judged.verdict == Verdict::Advance && judged.ending != Some(StageEnding::Accepted);
        unproven.then_some(judged.reason)
    };
    let unproven: Vec<String> = (100..200).filter_map(unproven).collect();
    assert!(unproven.iter().any(|reason| reason.contains("and yet not proven good")), "{unproven:?}");
    assert!(!unproven.iter().any(|reason| reason.contains("too few requests")), "{unproven:?}");
}

#[test]
fn thin_traffic_advances_unproven_waits_or_rolls_back_as_asked() {
    let thin = || {
        let mut run = Run::at(10).periods(5, healthy(18), healthy(2));
        run.history = vec![healthy(20); 60];
        run
    };
    thin().expect(
        Verdict::Advance,
        Some(StageEnding::InsufficientData),
        &["too few requests to prove it good (needs "],
    );
    let mut run = thin();
    run.criteria.on_insufficient_data = OnInsufficientData::RollBack;
    run.expect(Verdict::RollBack, Some(StageEnding::InsufficientData), &["too few requests"]);
    run.criteria.on_insufficient_data = OnInsufficientData::Wait;
    run.expect(Verdict::Wait, None, &["0 of 30 periods of waiting"]);
    let run = run.periods(30, healthy(18), healthy(2));
    run.expect(Verdict::RollBack, Some(StageEnding::InsufficientData), &["did not change that"]);
}

#[test]
fn no_request_at_all_is_no_pass() {
    let mut run = Run::at(10).periods(5, healthy(18), healthy(0));
    run.history = vec![healthy(20); 60];
    run.expect(Verdict::Wait, None, &["no data is no pass"]);
    let run = run.periods(30, healthy(18), healthy(0));
    assert_eq!(run.judge().verdict, Verdict::RollBack);
}

#[test]
fn a_silent_standby_is_rolled_back() {
    let run = Run::at(10).periods(1, healthy(2000), healthy(0));
    assert_eq!(run.judge().verdict, Verdict::Wait);
    let words = ["prod2 lacks traffic: 0 requests in the last 2 periods where 400 were due"];
    run.periods(1, healthy(2000), healthy(0)).expect(Verdict::RollBack, Some(StageEnding::Suspect), &words);
    let words = ["prod2 lacks traffic", "4,000 were due"];
    Run::at(100).periods(2, healthy(0), healthy(0)).expect(
        Verdict::RollBack,
        Some(StageEnding::Suspect),
        &words,
    );
}

#[test]
fn both_fleets_sick_waits_and_never_advances() {
    let sick = |periods| {
        Run::at(50).periods(3, healthy(1000), healthy(1000)).periods(
            periods,
            failing(1000, 200),
            failing(1000, 200),
        )
    };
    for periods in 1..30 {
        sick(periods).expect(
            Verdict::Wait,
            None,
            if periods > 1 { &["both fleets are unhealthy"] } else { &[] },
        );
    }
    sick(31).expect(Verdict::RollBack, Some(StageEnding::Suspect), &["both fleets", "rolled back"]);
    let mut run = sick(31);
    run.criteria.on_both_unhealthy = OnBothUnhealthy::Halt;
    run.expect(
        Verdict::Halt,
        Some(StageEnding::Suspect),
        &["both fleets", "halted with the weights as they are"],
    );
    // Once they have recovered, the stage goes on.
    let run = sick(10).periods(4, healthy(1000), healthy(1000));
    assert_eq!(run.judge().verdict, Verdict::Advance, "{}", run.judge().reason);
}

#[test]
fn with_everything_on_the_standby_a_probe_tells_an_outage_of_both_from_a_fault() {
    let full = || {
        Run::at(50).periods(5, healthy(1000), healthy(1000)).stage(1, 100, PeriodKind::Shift).periods(
            1,
            healthy(0),
            failing(2000, 400),
        )
    };
    full().expect(
        Verdict::Recheck,
        None,
        &["prod2 is worse than prod1 was before the run", "weight 10 for 4 periods"],
    );

    let recheck = || full().stage(1, 10, PeriodKind::Recheck);
    recheck().expect(Verdict::Wait, None, &["recheck, 0 of 4 periods"]);
    let guilty = recheck().periods(1, healthy(1800), failing(200, 40));
    guilty.expect(Verdict::RollBack, Some(StageEnding::Suspect), &["prod2"]);

    let both = recheck().periods(4, failing(1800, 360), failing(200, 40));
    both.expect(Verdict::Wait, None, &["both fleets are unhealthy"]);
    let over = recheck().periods(4, healthy(1800), healthy(200));
    over.expect(Verdict::Advance, None, &["the recheck clears prod2"]);
    // Back in the stage, what was held against it beside the past is void.
    let back = over.stage(1, 100, PeriodKind::Shift);
    back.expect(Verdict::Wait, None, &["0 of 5 periods", "no difference found"]);
    let back = back.periods(5, healthy(0), healthy(2000));
    back.expect(Verdict::Advance, Some(StageEnding::InsufficientData), &["no difference found"]);
}

#[test]
fn probes_are_limited_and_after_them_a_standby_that_does_not_carry_the_load_goes_back() {
    let mut run = Run::at(50).periods(5, healthy(1000), healthy(1000));
    for _ in 0..2 {
        run = run.stage(1, 100, PeriodKind::Shift).periods(1, healthy(0), failing(2000, 400));
        assert_eq!(run.judge().verdict, Verdict::Recheck);
        run = run.stage(1, 10, PeriodKind::Recheck).periods(4, healthy(1800), healthy(200));
        assert_eq!(run.judge().verdict, Verdict::Advance);
    }
    run = run.stage(1, 100, PeriodKind::Shift).periods(1, healthy(0), failing(2000, 400));
    let words = ["failures: 20 % (400 of 2,000) at 100 %, 0 % (0 of 800) at 10 %", "does not carry the load"];
    run.expect(Verdict::RollBack, Some(StageEnding::Suspect), &words);
    // Without any recheck there is nothing that it could have been well at.
    let mut run = Run::at(100).periods(1, healthy(0), failing(2000, 400));
    run.criteria.max_rechecks = 0;
    run.expect(
        Verdict::RollBack,
        Some(StageEnding::Suspect),
        &["prod2 is worse than prod1 was before the run"],
    );
}

/// Too few requests for any odds, and yet nobody would go on.
#[test]
fn a_plainly_ill_standby_is_held_and_goes_back() {
    let ill = |periods| {
        let mut run = Run::at(10).periods(3, healthy(36), healthy(4));
        run.history = vec![healthy(40); 60];
        run.criteria.alpha = 1e-30;
        run.criteria.still_suspect = OnUndecided::Advance;
        run.periods(periods, healthy(36), failing(4, 2))
    };
    let words = [
        "prod2 is degraded: failures 50 % (6 of 12) against 0 % on prod1 before the run, 0 % (0 of 108) now",
    ];
    ill(3).expect(Verdict::Wait, None, &words);
    ill(12).expect(
        Verdict::RollBack,
        Some(StageEnding::Suspect),
        &["did not change in 10 periods of holding"],
    );
    // What live suffers from as well is not the standby's.
    let both = Run::at(10).periods(5, failing(36, 18), failing(4, 2));
    assert!(!both.judge().reason.contains("is ill"), "{}", both.judge().reason);
}

/// A drain onto a fleet of whose requests a few failed in three minutes of ten while it had two thirds of them.
fn drained(requests: u64, few: u64) -> Run {
    let mut run = Run::at(75);
    run.past_of = "prod2";
    run.history = (0..120).map(|at| failing(requests * 2 / 3, if at % 10 < 3 { few } else { 0 })).collect();
    run
}

/// However uneven failures were that were a hundredth of all requests at most, they explain no third of them.
#[test]
fn a_burst_explains_no_more_than_the_worst_period_of_the_past() {
    let run = |failures| drained(2000, 14).periods(2, failing(667, 0), failing(2000, failures));
    run(560).expect(Verdict::RollBack, Some(StageEnding::Suspect), &["prod2 does not carry the load"]);
    // What they do explain convicts nobody.
    let burst = run(20).judge();
    assert_eq!(burst.verdict, Verdict::Wait, "{}", burst.reason);
}

/// Few requests beside few: odds tell little yet, and anybody can see it.
#[test]
fn three_periods_that_each_show_an_illness_agree_with_the_past() {
    let run =
        |periods, live| drained(330, 10).periods(periods, failing(110, live), failing(330, 100)).judge();
    let reason = run(2, 0).reason;
    assert_eq!(run(2, 0).verdict, Verdict::Wait, "{reason}");
    assert!(!reason.contains("chance"), "{reason}");
    assert_eq!(run(3, 0).verdict, Verdict::RollBack, "{}", run(3, 0).reason);
    // What the other fleet has as well is none of its own.
    assert_eq!(run(3, 33).verdict, Verdict::Wait, "{}", run(3, 33).reason);
}

/// Both have a few failures in a hundred where there were none before, and live has few requests: it shows none
/// in these three periods by chance.
#[test]
fn too_few_requests_of_live_show_nothing_however_often() {
    let mut run = Run::at(75);
    run.history = vec![Counts { requests: 90, ..Counts::default() }; 120];
    let run = run.periods(2, failing(22, 0), failing(62, 1)).periods(3, failing(22, 0), failing(62, 3));
    assert_ne!(run.judge().verdict, Verdict::RollBack, "{}", run.judge().reason);
}

/// What is held against it is said as it is: that there were too few requests would be no excuse.
#[test]
fn two_failures_in_five_are_no_success_however_little_traffic_and_history_there_is() {
    let quiet = |failures| Counts { requests: 12, failures, ..Counts::default() };
    let mut run = Run::at(100);
    run.history = vec![quiet(0); 13];
    let run = run.periods(8, Counts::default(), quiet(5));
    let judged = run.judge();
    assert_eq!(judged.verdict, Verdict::Recheck, "{}", judged.reason);

    // With the other fleet beside it, and hardly a past: that one is fine as the run goes on.
    let mut run = Run::at(50);
    run.history = vec![quiet(0); 3];
    let run = run.periods(8, quiet(0), quiet(4));
    let judged = run.judge();
    assert_eq!(judged.verdict, Verdict::Wait, "{}", judged.reason);
    assert!(judged.reason.contains("degraded"), "{}", judged.reason);

    // What both have is no illness of one.
    let mut run = Run::at(50);
    run.history = vec![quiet(0); 3];
    let run = run.periods(8, quiet(4), quiet(4));
    assert!(!run.judge().reason.contains("prod2 is degraded"), "{}", run.judge().reason);
}

#[test]
fn a_suspect_with_everything_on_it_is_held_as_well() {
    let run = Run::at(100).periods(4, healthy(0), healthy(2000)).periods(1, healthy(0), failing(2000, 16));
    run.expect(Verdict::Wait, None, &["held for 0 of at most 10 periods"]);
}

#[test]
fn an_absolute_limit_needs_no_comparison_but_a_live_fleet_that_keeps_it() {
    let mut run = Run::at(10).periods(1, healthy(1800), failing(200, 0));
    run.criteria.client_errors.limit_percent = Some(3.0);
    let over = Counts { client_errors: 8, ..healthy(200) };
    let one = run.periods(1, healthy(1800), over);
    assert_eq!(one.judge().verdict, Verdict::Wait);
    let two = one.periods(1, healthy(1800), over);
    let words = ["client errors on prod2 were over the limit of 3 % in 2 periods in a row: 4 % (16 of 400)"];
    two.expect(Verdict::RollBack, Some(StageEnding::Suspect), &words);
    let live_too = Counts { client_errors: 72, ..healthy(1800) };
    let mut run = Run::at(10).periods(2, live_too, over);
    run.criteria.client_errors.limit_percent = Some(3.0);
    assert_eq!(run.judge().verdict, Verdict::Wait);
}

/// So many of the balancer's own errors in each period.
fn answered_by_the_balancer(mut run: Run, count: u64) -> Run {
    run.periods.iter_mut().for_each(|period| period.balancer_failures = count);
    run
}

#[test]
fn a_balancer_that_answers_for_itself_what_the_standby_is_short_of_rolls_back() {
    let mut run = answered_by_the_balancer(Run::at(10).periods(2, healthy(1800), healthy(50)), 150);
    run.expect(
        Verdict::RollBack,
        Some(StageEnding::Suspect),
        &["the balancer itself answered 150 requests a period", "prod2 is short of requests"],
    );
    run.balancer_history.clear();
    assert_eq!(run.judge().verdict, Verdict::Wait);
}

/// Another app on the same balancer is in trouble.
#[test]
fn errors_of_a_neighbour_neither_hide_nor_convict() {
    for (percent, live, standby) in [(10, 1800, 200), (50, 1000, 1000), (100, 0, 2000)] {
        for few in [0, standby / 30] {
            let innocent = Run::at(percent).periods(5, healthy(live), healthy(standby - few));
            let judged = answered_by_the_balancer(innocent, 5000).judge();
            assert_eq!(judged.verdict, Verdict::Advance, "{percent} %: {}", judged.reason);
        }
        let failing = Run::at(percent).periods(5, healthy(live), failing(standby, standby / 3));
        let judged = answered_by_the_balancer(failing, 5000).judge();
        let found = if percent < 100 { Verdict::RollBack } else { Verdict::Recheck };
        assert_eq!(judged.verdict, found, "{percent} %: {}", judged.reason);
        assert!(!judged.reason.contains("balancer"), "{}", judged.reason);
    }
}

#[test]
fn where_nobody_comes_the_reason_says_what_that_may_be() {
    let none = Counts::default();
    let run = Run::at(10).periods(5, none, none);
    run.expect(Verdict::Wait, None, &["no request in this stage", "maintenance page"]);
    let alone = Run::at(100).periods(2, none, none);
    alone.expect(Verdict::RollBack, Some(StageEnding::Suspect), &["prod2 lacks traffic", "maintenance page"]);
    let one_sided = Run::at(10).periods(5, healthy(1), none).judge();
    assert!(!one_sided.reason.contains("maintenance"), "{}", one_sided.reason);
}

/// Enough failures to doubt, too few to convict.
#[test]
fn a_suspect_stage_is_held_and_then_ends_as_asked() {
    let mut run =
        Run::at(10).periods(4, healthy(1800), healthy(200)).periods(1, healthy(1800), failing(200, 5));
    run.expect(Verdict::Wait, None, &["held for 0 of at most 10 periods", "against prod2"]);
    run.criteria.hold_periods = 0;
    run.expect(Verdict::Advance, Some(StageEnding::Suspect), &["still suspect after 0 periods of holding"]);
    run.criteria.still_suspect = OnUndecided::RollBack;
    run.expect(Verdict::RollBack, Some(StageEnding::Suspect), &["still suspect"]);
}

#[test]
fn less_history_is_said_and_allows_for_more_bad_luck() {
    let mut run = Run::at(10).periods(1, healthy(18_000), failing(2000, 7));
    let full = run.judge();
    run.history.truncate(12);
    let careful = run.judge();
    assert!(careful.careful && !full.careful);
    assert!(careful.reason.contains("only 12 periods of history instead of 60"), "{}", careful.reason);
    assert!(careful.metrics[0].burst_variance > full.metrics[0].burst_variance);
    assert!(careful.odds < full.odds);
}

#[test]
fn a_late_datapoint_corrects_the_verdict() {
    let mut run = Run::at(10).periods(3, healthy(1800), healthy(200));
    assert_eq!(run.judge().verdict, Verdict::Wait);
    run.periods[0].standby.failures = 200;
    assert_eq!(run.judge().verdict, Verdict::RollBack);
}

#[test]
fn a_bake_is_proposed_that_finds_the_fault() {
    let criteria = Criteria::default();
    let thin = proposed_bake(&criteria, &vec![healthy(20); 60], 10, 50.0);
    let thick = proposed_bake(&criteria, &vec![healthy(2000); 60], 10, 50.0);
    assert!((thin.requests_per_period - 2.0).abs() < 1e-9);
    assert_eq!(thick.detect_periods, Some(1));
    assert!(thin.detect_periods > thick.detect_periods && thin.accept_periods > thick.accept_periods);
    assert_eq!(proposed_bake(&criteria, &[], 10, 50.0).detect_periods, None);
    assert_eq!(proposed_bake(&criteria, &vec![healthy(20); 60], 10, 0.0).detect_periods, None);
}

#[test]
fn criteria_default_by_metric_and_refuse_what_makes_no_sense() {
    let read = |text: &str| serde_json::from_str::<Criteria>(text);
    let criteria = read(r#"{"slow": {"marginPercent": 22}, "alpha": 0.01}"#).unwrap();
    assert!(
        (criteria.slow.margin_percent - 22.0).abs() < 1e-12
            && (criteria.slow.share_percent - 30.0).abs() < 1e-12
    );
    assert!((criteria.alpha - 0.01).abs() < 1e-12);
    assert_eq!(read("{}").unwrap(), Criteria::default());
    assert_eq!(read(&serde_json::to_string(&criteria).unwrap()).unwrap(), criteria);
    assert!(read(r#"{"margn": 1}"#).unwrap_err().to_string().contains("margn"));
    for (text, field) in [
        (r#"{"alpha": 0}"#, "`criteria.alpha`"),
        (r#"{"alpha": 0.5}"#, "`criteria.holdOdds`"),
        (r#"{"failures": {"marginPercent": -1}}"#, "`criteria.failures.marginPercent`"),
        (r#"{"failures": {"marginPercent": 60}}"#, "`criteria.failures.acceptMarginPercent`"),
        (r#"{"slow": {"floorPercent": 1}}"#, "`criteria.slow.acceptFloorPercent`"),
        (r#"{"clientErrors": {"sharePercent": 20}}"#, "add up to 110"),
        (r#"{"recheckPeriods": 0}"#, "`criteria.recheckPeriods`"),
        (r#"{"bothUnhealthyFor": "0s"}"#, "`criteria.bothUnhealthyFor`"),
        (r#"{"historyPeriods": 1}"#, "`criteria.historyPeriods`"),
        (r#"{"clientErrors": {"limitPercent": 101}}"#, "`criteria.clientErrors.limitPercent`"),
    ] {
        let message = read(text).unwrap().check().expect_err(text);
        assert!(message.contains(field), "{text}: {message}");
    }
}
