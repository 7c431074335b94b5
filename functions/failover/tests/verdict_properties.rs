//! What must hold for any counts at all.

use failover::verdict::{
    Counts, Criteria, Evidence, JudgedStage, Judgement, OnBothUnhealthy, OnInsufficientData, Period,
    PeriodKind, Verdict, judge, proposed_bake,
};
use proptest::prelude::*;

/// Mostly what fleets really count, and the extremes.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..50_u64, 3 => 0..100_000_u64, 1 => Just(0), 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn counts() -> impl Strategy<Value = Counts> {
    (count(), count(), count(), count()).prop_map(|(requests, failures, slow, client_errors)| Counts {
        requests,
        failures,
        slow,
        client_errors,
    })
}

fn kind() -> impl Strategy<Value = PeriodKind> {
    prop_oneof![4 => Just(PeriodKind::Shift), 1 => Just(PeriodKind::Recheck)]
}

fn period() -> impl Strategy<Value = Period> {
    (any::<u8>(), 0..6_usize, kind(), counts(), counts(), count()).prop_map(
        |(standby_percent, stage, kind, live, standby, balancer_failures)| Period {
            standby_percent,
            stage,
            kind,
            live,
            standby,
            balancer_failures,
        },
    )
}

fn stage() -> impl Strategy<Value = JudgedStage> {
    (0..6_usize, any::<u8>(), kind(), any::<u32>()).prop_map(|(index, standby_percent, kind, bake)| {
        JudgedStage { index, standby_percent, kind, bake_periods: bake % 12 }
    })
}

/// Criteria that pass their own check, from one end of every range to the other.
fn criteria() -> impl Strategy<Value = Criteria> {
    (any::<[bool; 8]>(), 0..=2_u8, 1e-6..0.5_f64, 1.0..60.0_f64).prop_map(
        |(flags, extreme, alpha, dispersion)| {
            let mut criteria = Criteria { alpha, ..Criteria::default() };
            criteria.hold_odds = 1.0 + (1.0 / alpha - 1.0) * 0.5;
            criteria.failures.prior_dispersion = dispersion;
            if extreme == 1 {
                criteria.failures.margin_percent = 0.0;
                criteria.failures.floor_percent = 0.0;
                criteria.slow.drift_percent = 0.0;
                criteria.hits_percent = 90.0;
            }
            if extreme == 2 {
                criteria.failures.margin_percent = 1000.0;
                criteria.failures.accept_margin_percent = 10_000.0;
                criteria.failures.share_percent = 100.0;
                criteria.slow.share_percent = 0.0;
                criteria.client_errors.share_percent = 0.0;
                criteria.hits_percent = 0.0;
            }
            criteria.early_advance = flags[0];
            criteria.failures.limit_percent = flags[1].then_some(5.0);
            criteria.on_insufficient_data = match (flags[2], flags[3]) {
                (true, true) => OnInsufficientData::Wait,
                (true, false) => OnInsufficientData::RollBack,
                _ => OnInsufficientData::Advance,
            };
            criteria.on_both_unhealthy =
                if flags[4] { OnBothUnhealthy::Halt } else { OnBothUnhealthy::RollBack };
            criteria.history_periods = if flags[5] { 10 } else { 60 };
            criteria
        },
    )
}

fn check_finite(judgement: &Judgement) {
    let mut numbers = vec![judgement.odds];
    for metric in &judgement.metrics {
        numbers.extend([
            metric.odds,
            metric.concurrent_odds,
            metric.past_odds,
            metric.dispersion,
            metric.burst_variance,
        ]);
        assert!(metric.dispersion >= 1.0 && metric.burst_variance >= 0.0, "{metric:?}");
    }
    assert!(numbers.iter().all(|n| n.is_finite() && *n >= 0.0), "{judgement:?}");
    assert!(!judgement.reason.contains("NaN") && !judgement.reason.contains("inf"), "{}", judgement.reason);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_input_gives_a_finite_judgement(
        criteria in criteria(),
        history in prop::collection::vec(counts(), 0..90),
        balancer_history in prop::collection::vec(count(), 0..5),
        periods in prop::collection::vec(period(), 0..40),
        mixed in prop::collection::vec(period(), 0..4),
        stage in stage(),
    ) {
        prop_assert_eq!(criteria.check(), Ok(()));
        let evidence = Evidence {
            live: "prod1",
            standby: "prod2", past_of: "prod1", period_seconds: 60,
            history: &history,
            beside: &[], balancer_history: &balancer_history,
            periods: &periods,
            mixed: &mixed,
            stage,
        };
        let judgement = judge(&criteria, &evidence);
        check_finite(&judgement);
        prop_assert!(!judgement.reason.is_empty());
        prop_assert_eq!(judgement.careful, history.len() < criteria.history_periods as usize);
        // Nothing carried from poll to poll: the same evidence, the same judgement.
        prop_assert_eq!(judge(&criteria, &evidence), judgement);
    }

    #[test]
    fn a_probe_is_asked_for_only_with_everything_on_the_standby(
        history in prop::collection::vec(counts(), 0..70),
        periods in prop::collection::vec(period(), 0..30),
        mixed in prop::collection::vec(period(), 0..4),
        stage in stage(),
    ) {
        let evidence = Evidence {
            live: "prod1", standby: "prod2", past_of: "prod1", period_seconds: 60, history: &history, beside: &[], balancer_history: &[], periods: &periods, mixed: &mixed, stage,
        };
        let judgement = judge(&Criteria::default(), &evidence);
        if judgement.verdict == Verdict::Recheck {
            prop_assert!(stage.standby_percent >= 100 && stage.kind == PeriodKind::Shift);
        }
    }

    #[test]
    fn no_stage_is_left_before_its_bake_or_without_data(
        history in prop::collection::vec(counts(), 60..61),
        periods in prop::collection::vec(period(), 0..30),
        mixed in prop::collection::vec(period(), 0..4),
        stage in stage(),
    ) {
        let evidence = Evidence {
            live: "prod1", standby: "prod2", past_of: "prod1", period_seconds: 60, history: &history, beside: &[], balancer_history: &[], periods: &periods, mixed: &mixed, stage,
        };
        let judgement = judge(&Criteria::default(), &evidence);
        if judgement.verdict == Verdict::Advance && stage.kind == PeriodKind::Shift {
            let seen: Vec<_> =
                periods.iter().filter(|p| p.stage == stage.index && p.kind == PeriodKind::Shift).collect();
            prop_assert!(seen.len() >= stage.bake_periods.max(1) as usize);
            prop_assert!(stage.standby_percent == 0 || seen.iter().any(|p| p.standby.requests > 0));
        }
    }

    #[test]
    fn a_proposed_bake_is_sane(
        history in prop::collection::vec(counts(), 0..70),
        percent in any::<u8>(),
        fault in -10.0..200.0_f64,
    ) {
        let proposal = proposed_bake(&Criteria::default(), &history, percent, fault);
        prop_assert!(proposal.requests_per_period.is_finite());
        prop_assert_ne!(proposal.detect_periods, Some(0));
        prop_assert_ne!(proposal.accept_periods, Some(0));
    }
}
