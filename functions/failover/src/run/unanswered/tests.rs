//! What a fleet is charged with, on counts made up by hand.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

/// When a period begins.
fn at(index: usize) -> i64 {
    60 * i64::try_from(index).unwrap()
}

/// A fleet by requests and answers, period by period.
fn fleet(counts: &[[u64; 2]]) -> FleetSamples {
    let sample = |(index, [requests, answers]): (usize, &[u64; 2])| Sample {
        at: at(index),
        requests: *requests,
        answers: *answers,
        ..Sample::default()
    };
    FleetSamples { samples: counts.iter().enumerate().map(sample).collect(), ..FleetSamples::default() }
}

/// What the live fleet and the standby are charged with, beside the balancer's own 502 and 504 and its 503
/// in each period.
fn charged(live: &[[u64; 2]], standby: &[[u64; 2]], own: &[[u64; 2]], starts: &[i64]) -> Samples {
    let errors = |(index, [unanswered, no_target]): (usize, &[u64; 2])| OwnErrors {
        at: at(index),
        unanswered: *unanswered,
        no_target: *no_target,
    };
    let mut all = [Samples {
        now: Timestamp::UNIX_EPOCH,
        live: fleet(live),
        standby: fleet(standby),
        balancer_errors: own.iter().enumerate().map(errors).collect(),
        alarms: Vec::new(),
    }];
    attribute(&mut all, starts);
    let [samples] = all;
    samples
}

fn unanswered(fleet: &FleetSamples) -> Vec<u64> {
    fleet.samples.iter().map(|sample| sample.unanswered).collect()
}

fn left(samples: &Samples) -> u64 {
    samples.balancer_errors.iter().map(|own| own.unanswered + own.no_target).sum()
}

#[test]
fn resets_are_failures_of_the_fleet_that_reset() {
    let samples = charged(&[[500, 500]; 3], &[[500, 495]; 3], &[[5, 0]; 3], &[]);
    assert_eq!(unanswered(&samples.standby), [5, 5, 5]);
    assert_eq!(unanswered(&samples.live), [0, 0, 0]);
    assert_eq!(samples.standby.samples[0].counts().failures, 5);
    assert_eq!(left(&samples), 0);
}

#[test]
fn what_a_neighbour_is_answered_is_nobodys() {
    // 503 without a target, and 502 of another app's fleet, while this one's answer everything.
    let samples = charged(&[[500, 500]; 3], &[[500, 500]; 3], &[[40, 2000]; 3], &[]);
    assert_eq!((unanswered(&samples.live), unanswered(&samples.standby)), (vec![0; 3], vec![0; 3]));
    assert_eq!(left(&samples), 3 * 2040);
    // Nor does it hide what the standby leaves unanswered.
    let samples = charged(&[[500, 500]; 3], &[[500, 495]; 3], &[[45, 2000]; 3], &[]);
    assert_eq!(unanswered(&samples.standby), [5, 5, 5]);
    assert_eq!(left(&samples), 3 * 2040);
}

#[test]
fn requests_in_flight_cancel() {
    // The standby has just got its weight; 20 requests are on their way at the end of every period, and a
    // neighbour gets as many 504.
    let standby = [[100, 80], [100, 100], [100, 90], [100, 110]];
    let live = [[900, 920], [900, 900], [900, 910], [900, 890]];
    let samples = charged(&live, &standby, &[[20, 0]; 4], &[0]);
    assert_eq!(unanswered(&samples.standby), [0; 4]);
    assert_eq!(unanswered(&samples.live), [0; 4]);
}

#[test]
fn an_answer_of_the_balancer_that_comes_periods_later_is_charged_then() {
    // A target hangs until the balancer gives up.
    let standby = [[100, 90], [100, 100], [100, 100]];
    let samples = charged(&[[900, 900]; 3], &standby, &[[0, 0], [10, 0], [0, 0]], &[]);
    assert_eq!(unanswered(&samples.standby), [0, 10, 0]);
}

#[test]
fn clients_that_hang_up_and_web_sockets_are_no_failures() {
    let samples = charged(&[[500, 450]; 4], &[[500, 450]; 4], &[[0, 0]; 4], &[]);
    assert_eq!((unanswered(&samples.live), unanswered(&samples.standby)), (vec![0; 4], vec![0; 4]));
    // Beside them resets of the standby are found as what they are.
    let samples = charged(&[[500, 450]; 4], &[[500, 445]; 4], &[[5, 0]; 4], &[]);
    let sum = unanswered(&samples.standby).iter().sum::<u64>();
    assert!((18..=20).contains(&sum), "{sum}");
    assert!(unanswered(&samples.live).iter().sum::<u64>() <= 2);
}

#[test]
fn a_connection_error_is_no_second_failure() {
    let mut all = [charged(&[], &[], &[], &[])];
    all[0].live = fleet(&[[900, 900]]);
    all[0].standby = fleet(&[[100, 60]]);
    all[0].standby.samples[0].connection_errors = 30;
    all[0].balancer_errors = vec![OwnErrors { at: 0, unanswered: 40, no_target: 0 }];
    attribute(&mut all, &[]);
    assert_eq!(all[0].standby.samples[0].counts().failures, 40);
    assert_eq!(left(&all[0]), 0);
}

#[test]
fn a_stage_begins_with_nothing() {
    // Answers that came in the first stage for requests of before it hide nothing in the second one.
    let standby = [[100, 120], [100, 90]];
    let one = charged(&[[900, 900]; 2], &standby, &[[0, 0], [10, 0]], &[0]);
    assert_eq!(unanswered(&one.standby), [0, 0]);
    let two = charged(&[[900, 900]; 2], &standby, &[[0, 0], [10, 0]], &[0, 60]);
    assert_eq!(unanswered(&two.standby), [0, 10]);
}

#[test]
fn several_apps_share_what_the_balancer_answered() {
    let app = |standby| Samples {
        now: Timestamp::UNIX_EPOCH,
        live: fleet(&[[500, 500]]),
        standby: fleet(&[standby]),
        balancer_errors: vec![OwnErrors { at: 0, unanswered: 30, no_target: 7 }],
        alarms: Vec::new(),
    };
    let mut all = [app([500, 490]), app([500, 480])];
    attribute(&mut all, &[]);
    assert_eq!([unanswered(&all[0].standby), unanswered(&all[1].standby)], [[10], [20]]);
    assert!(all.iter().all(|app| left(app) == 7));
}

fn counts() -> impl Strategy<Value = Vec<[u64; 2]>> {
    let count = prop_oneof![4 => 0u64..2000, 1 => Just(u64::MAX)];
    prop::collection::vec([count.clone(), count], 0..8)
}

proptest! {
    /// Neither is charged with more than the balancer answered.
    #[test]
    fn nobody_is_charged_with_what_was_not(
        live in prop::collection::vec([0u64..2000, 0u64..2000], 0..8),
        standby in prop::collection::vec([0u64..2000, 0u64..2000], 0..8),
        own in prop::collection::vec([0u64..200, 0u64..200], 0..8),
        starts in prop::collection::vec(0i64..500, 0..3),
    ) {
        let mut starts = starts;
        starts.sort_unstable();
        let before: u64 = own.iter().map(|[unanswered, _]| unanswered).sum();
        let samples = charged(&live, &standby, &own, &starts);
        for fleet in [&samples.live, &samples.standby] {
            let charged: u64 = unanswered(fleet).iter().sum();
            prop_assert!(charged <= before, "{charged} of {before}");
        }
        let after: u64 = samples.balancer_errors.iter().map(|own| own.unanswered).sum();
        prop_assert!(after <= before);
    }

    /// Fleets that answer everything are charged with nothing, whatever the balancer does for others.
    #[test]
    fn who_answers_everything_is_never_charged(
        requests in prop::collection::vec([0u64..2000, 0u64..2000], 0..8),
        own in prop::collection::vec([0u64..5000, 0u64..5000], 0..8),
    ) {
        let fleet = |index: usize| requests.iter().map(|both| [both[index]; 2]).collect::<Vec<_>>();
        let samples = charged(&fleet(0), &fleet(1), &own, &[]);
        prop_assert!([&samples.live, &samples.standby].into_iter().flat_map(unanswered).all(|count| count == 0));
        prop_assert_eq!(left(&samples), own.iter().flatten().sum::<u64>());
    }

    /// Nothing that can be counted breaks it.
    #[test]
    fn it_takes_whatever_is_counted(live in counts(), standby in counts(), own in counts()) {
        charged(&live, &standby, &own, &[60]);
    }
}
