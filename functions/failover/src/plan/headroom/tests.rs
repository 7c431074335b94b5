//! What is said of headroom, on loads made up by hand.

use proptest::prelude::*;

use super::*;
use crate::model::samples::Health;

const NOW: i64 = 1_800_000_000;
const PERIOD: u32 = 300;

fn fleet(name: &str, healthy: u32, registered: u32) -> FoundFleet {
    FoundFleet {
        name: name.into(),
        target_group_arn: format!("arn:{name}"),
        load_balancer_arns: vec!["arn:balancer".into()],
        health: Health { healthy, registered, unused: false },
        release: None,
        target_stickiness: false,
        foreign_protocol: None,
    }
}

/// So many requests a minute on two healthy targets, `ago` seconds before now.
fn load(ago: i64, per_minute: f64, failing: f64) -> Load {
    let requests = per_minute * 5.0;
    Load { at: NOW - ago, requests, failures: failing * requests, healthy: 2.0 }
}

fn asked(share: u8) -> Asked {
    Asked { share: Percent::new(share).unwrap(), begins: NOW, ends: NOW + 1800, period_seconds: PERIOD }
}

fn of(own: &[Load], other: &[Load], share: u8) -> Headroom {
    headroom((&fleet("prod1", 2, 3), own), (&fleet("prod2", 3, 3), other), asked(share)).unwrap()
}

/// Even split at 1,240 each in yesterday's peak, and 950 each now.
fn even() -> Vec<Load> {
    vec![load(2 * DAY, 1240.0, 0.0), load(DAY - 600, 950.0, 0.0), load(300, 600.0, 0.0)]
}

#[test]
fn what_is_due_and_what_was_carried_are_said_in_one_sentence() {
    let known = of(&even(), &even(), 100);
    assert_eq!((known.due, known.well, known.failed), (1900, Some(1240), None));
    assert_eq!(
        known.to_string(),
        "prod1 must carry up to 1,900 requests a minute until 08:30 UTC; the most it has carried well is 1,240, with 2 \
         of 3 targets healthy"
    );
    assert!(known.is_short() && !of(&even(), &even(), 50).is_short());
    assert!(of(&even(), &even(), 50).to_string().contains("it has carried 1,240 well"));
}

#[test]
fn a_lower_bound_warns_and_refuses_only_where_that_is_asked_for() {
    let known = of(&even(), &even(), 100);
    assert_eq!(known.refusal(Refuse::default()), None);
    assert_eq!(known.refusal(Refuse::Nothing), None);
    assert!(known.refusal(Refuse::Untried).unwrap().contains("\"refuseLoad\": \"nothing\""));
    assert_eq!(of(&even(), &even(), 50).refusal(Refuse::Untried), None);
}

/// Well with less before and after: what failed of the load, so many seconds ago.
fn collapses(loads: &mut Vec<Load>, ago: i64, at: &[f64]) {
    loads.push(load(ago + 600, 900.0, 0.0));
    loads.extend(at.iter().map(|rate| load(ago, *rate, 0.3)));
    loads.push(load(ago - 600, 900.0, 0.0));
}

#[test]
fn a_load_at_which_it_was_seen_to_fail_is_refused() {
    let mut loads = even();
    collapses(&mut loads, 3 * DAY, &[1700.0, 1500.0]);
    let known = of(&loads, &even(), 100);
    assert_eq!((known.well, known.failed), (Some(1240), Some(1500)));
    let refused = known.refusal(Refuse::default()).unwrap();
    assert!(refused.contains("at 1,500 it was seen to fail"), "{refused}");
    assert_eq!(known.refusal(Refuse::Nothing), None);
    assert_eq!(of(&loads, &even(), 50).refusal(Refuse::default()), None);
}

#[test]
fn a_bad_release_is_no_load_that_cannot_be_carried() {
    // It failed with little on it, and what it got was taken away again.
    let mut loads =
        vec![load(3 * DAY + 600, 0.5, 0.0), load(3 * DAY, 200.0, 0.3), load(3 * DAY - 300, 220.0, 0.3)];
    assert_eq!(of(&loads, &even(), 100).failed, None);
    // It failed at a load which was carried well otherwise.
    loads = even();
    collapses(&mut loads, 3 * DAY, &[900.0, 1100.0]);
    assert_eq!(of(&loads, &even(), 100).failed, None);
    // A single period says nothing.
    collapses(&mut loads, 5 * DAY, &[1700.0]);
    assert_eq!(of(&loads, &even(), 100).failed, None);
}

#[test]
fn targets_that_are_down_carry_nothing() {
    let one =
        headroom((&fleet("prod1", 1, 2), &even()), (&fleet("prod2", 2, 2), &even()), asked(100)).unwrap();
    assert_eq!(one.well, Some(620));
    let more =
        headroom((&fleet("prod1", 2, 2), &even()), (&fleet("prod2", 6, 6), &even()), asked(100)).unwrap();
    assert!(more.to_string().ends_with("2 of 2 targets healthy beside 6 of the other fleet"), "{more}");
}

#[test]
fn a_fleet_that_never_carried_anything_is_named_as_such() {
    let known = of(&[], &even(), 100);
    assert_eq!((known.due, known.well), (950, None));
    assert!(known.to_string().contains("nothing that would show"), "{known}");
    assert_eq!(known.refusal(Refuse::default()), None);
}

#[test]
fn where_no_load_is_known_nothing_is_said() {
    let none = |own: &[Load]| headroom((&fleet("a", 2, 2), own), (&fleet("b", 2, 2), &[]), asked(100));
    assert_eq!(none(&[]), None);
    // Three days ago is neither yesterday nor the same day of the week.
    assert_eq!(none(&[load(3 * DAY, 900.0, 0.0)]), None);
    assert!(none(&[load(7 * DAY - 60, 900.0, 0.0)]).is_some());
}

proptest! {
    /// More due is never less short, and what was carried well is never more than what came.
    #[test]
    fn a_share_of_all_is_due_and_no_more_was_carried_than_came(
        own in prop::collection::vec((0i64..14 * DAY, 0.0..5000.0, 0.0..1.0), 1..40),
        share in 0u8..=100,
    ) {
        let mut loads: Vec<Load> = own.iter().map(|(ago, rate, failing)| load(*ago, *rate, *failing)).collect();
        loads.push(load(300, 100.0, 0.0));
        let (part, all) = (of(&loads, &[], share), of(&loads, &[], 100));
        prop_assert!(part.due <= all.due);
        prop_assert!(!part.is_short() || all.is_short());
        let most = loads.iter().map(|load| load.requests / 5.0).fold(0.0, f64::max);
        prop_assert!(all.well.is_none_or(|well| well as f64 <= most + 1.0));
        prop_assert!(all.failed.zip(all.well).is_none_or(|(failed, well)| failed >= well));
        prop_assert!(part.refusal(Refuse::Nothing).is_none());
    }
}
