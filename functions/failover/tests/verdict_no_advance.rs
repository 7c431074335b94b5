//! A run never goes on against the evidence, whatever the counts were before.

use failover::verdict::{
    Counts, Criteria, Evidence, JudgedStage, Judgement, Period, PeriodKind, Verdict, judge,
};
use proptest::prelude::*;

/// Of so many requests, this share in percent fails.
fn failing(requests: u64, percent: u64) -> Counts {
    Counts { requests, failures: requests * percent / 100, ..Counts::default() }
}

/// What happens to a run for some periods: how many, the stage, whether it is a recheck, and what live and
/// the standby fail of their requests, in percent.
type Spell = (usize, usize, bool, u64, u64);

fn spell() -> impl Strategy<Value = Spell> {
    let percent = || prop_oneof![3 => Just(0), 2 => 0..5_u64, 2 => 0..=100_u64];
    // Long enough to outlast every patience, and mostly in the last stage, where there are rechecks.
    let stage = prop_oneof![1 => 0..5_usize, 3 => Just(4)];
    (1..25_usize, stage, prop::bool::weighted(0.4), percent(), percent())
}

const SHARES: [u8; 5] = [10, 25, 50, 75, 100];

/// Periods of so many requests. A recheck is one at 10 %, and interrupts nothing but the last stage.
fn periods(mut spells: Vec<Spell>, hundreds: u64) -> Vec<Period> {
    spells.sort_by_key(|spell| spell.1);
    let of_spell = |(count, stage, recheck, live, standby): Spell| {
        let recheck = recheck && stage == 4;
        let standby_percent = if recheck { 10 } else { SHARES[stage] };
        let requests = |percent: u8| u64::from(percent) * hundreds;
        let kind = if recheck { PeriodKind::Recheck } else { PeriodKind::Shift };
        let live = failing(requests(100 - standby_percent), live);
        let standby = failing(requests(standby_percent), standby);
        std::iter::repeat_n(
            Period { standby_percent, stage, kind, live, standby, balancer_failures: 0 },
            count,
        )
    };
    spells.into_iter().flat_map(of_spell).collect()
}

/// The standby has been cleared by every recheck that there may be, and fails so many percent all the same once
/// it has everything: too few to be plainly ill.
fn cleared_and_ill(count: usize, ill: u64, hundreds: u64) -> Vec<Period> {
    let cleared = [(2, 4, false, 0, 0), (4, 4, true, 0, 0)];
    periods([&cleared[..], &cleared, &[(count, 4, false, 0, ill)]].concat(), hundreds)
}

/// Judged as the run that is at its last period, with a bake of so many.
fn judged(
    hundreds: u64,
    periods: &[Period],
    mixed: &[Period],
    bake_periods: u32,
) -> (JudgedStage, Judgement) {
    let last = periods.last().unwrap();
    let stage = JudgedStage {
        index: last.stage,
        standby_percent: last.standby_percent,
        kind: last.kind,
        bake_periods,
    };
    let history = [failing(100 * hundreds, 0); 60];
    let evidence = Evidence {
        live: "prod1",
        standby: "prod2",
        past_of: "prod1",
        period_seconds: 60,
        history: &history,
        beside: &[],
        balancer_history: &[],
        periods,
        mixed,
        stage,
    };
    (stage, judge(&Criteria::default(), &evidence))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// With everything on the standby the odds are all that there is; before that, both of their parts
    /// have to agree, since what both fleets suffer from speaks against the past alone.
    #[test]
    fn not_at_the_odds_of_a_rollback(
        spells in prop::collection::vec(spell(), 1..8),
        changes in prop::collection::vec(spell(), 0..3),
        cleared in prop::option::of((5..40_usize, 1..4_u64)),
        hundreds in 1..30_u64,
        bake in 1..6_u32,
    ) {
        let (mut periods, mixed) = (periods(spells, hundreds), periods(changes, hundreds));
        periods.extend(cleared.into_iter().flat_map(|(count, ill)| cleared_and_ill(count, ill, hundreds)));
        let (stage, judgement) = judged(hundreds, &periods, &mixed, bake);
        if judgement.verdict == Verdict::Advance && stage.kind == PeriodKind::Shift {
            let agree = stage.standby_percent == 100
                || judgement.metrics.iter().all(|m| m.past_odds >= 20.0 && m.concurrent_odds >= 20.0);
            prop_assert!(judgement.odds < 20.0 || !agree, "{judgement:?}");
            let excused = judgement.reason.contains("too few requests");
            prop_assert!(judgement.odds < 2.0 || !excused, "{judgement:?}");
        }
    }

    /// Half of the standby's requests fail, and none of live's: before, and now.
    #[test]
    fn not_with_a_standby_that_is_plainly_ill(
        spells in prop::collection::vec(spell(), 0..8),
        changes in prop::collection::vec(spell(), 0..3),
        stage in 0..5_usize,
        recheck in any::<bool>(),
        (count, ill) in (3..40_usize, 50..=100_u64),
        hundreds in 1..30_u64,
        bake in 1..6_u32,
    ) {
        let mut spells: Vec<Spell> = spells.into_iter().filter(|spell| spell.1 <= stage).collect();
        spells.sort_by_key(|spell| spell.1);
        spells.push((count, stage, recheck, 0, ill));
        let (periods, mixed) = (periods(spells, hundreds), periods(changes, hundreds));
        let (_, judgement) = judged(hundreds, &periods, &mixed, bake);
        prop_assert_ne!(judgement.verdict, Verdict::Advance, "{}", judgement.reason);
    }

    /// An outage of both is not the standby's as long as it can be seen that it is one.
    #[test]
    fn and_what_both_suffer_from_rolls_back_nothing(
        well in 0..20_usize,
        stage in 0..5_usize,
        count in 1..30_usize,
        ill in 0..=100_u64,
        // So many that no share of a fleet is rounded: both fail exactly alike.
        twenties in 1..30_u64,
        bake in 1..6_u32,
    ) {
        let hundreds = 20 * twenties;
        // In the last stage it is the recheck that sees both.
        let spells: Vec<Spell> = [(well, stage, true, 0, 0), (count, stage, true, ill, ill)]
            .into_iter()
            .filter(|spell| spell.0 > 0)
            .collect();
        let (_, judgement) = judged(hundreds, &periods(spells, hundreds), &[], bake);
        prop_assert!(
            !matches!(judgement.verdict, Verdict::RollBack | Verdict::Halt),
            "{}", judgement.reason
        );
    }
}
