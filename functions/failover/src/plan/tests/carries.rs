//! Whether the fleet that gets more can carry it.

use serde_json::json;

use super::{Found, Health, Load, found, make};

const BEGINS: i64 = 1_795_341_600;

/// Both fleets carry 950 requests a minute, and yesterday 1,240; and so many twice failed with an even split
/// before and after.
fn loaded(weights: [u16; 2], failed: Option<f64>) -> Found {
    let mut found = found(weights);
    let load = |ago: i64, per_minute: f64, share: f64| {
        let requests = 5.0 * per_minute;
        Load { at: BEGINS - ago, requests, failures: share * requests, healthy: 2.0 }
    };
    for past in &mut found.apps[0].past {
        past.load_seconds = 300;
        past.loads = vec![load(100_000, 1240.0, 0.0), load(900, 950.0, 0.0), load(300, 950.0, 0.0)];
        if let Some(failed) = failed {
            past.loads.extend([
                load(91_200, 600.0, 0.0),
                load(90_900, failed, 0.4),
                load(90_600, failed, 0.4),
            ]);
            past.loads.push(load(90_300, 600.0, 0.0));
        }
    }
    found
}

#[test]
fn a_drain_says_what_the_other_fleet_must_carry_and_goes_on() {
    let mut even = loaded([50, 50], None);
    even.apps[0].lock.live_tag = Some("prod1".into());
    let plan = make(json!({ "operation": "drain" }), &even).unwrap();
    let headroom = plan.apps[0].headroom.as_ref().unwrap();
    assert_eq!((&*headroom.fleet, headroom.due, headroom.well), ("prod1", 1900, Some(1240)));
    assert!(plan.checks.contains(&headroom.to_string()), "{:?}", plan.checks);
    let plan = make(json!({ "operation": "shift" }), &loaded([100, 0], None)).unwrap();
    assert_eq!(plan.apps[0].headroom.as_ref().unwrap().fleet, "prod2");
    assert_eq!(
        make(json!({ "operation": "failback" }), &loaded([100, 0], None)).unwrap().apps[0].headroom,
        None
    );
}

#[test]
fn what_it_was_seen_to_fail_at_is_refused_unless_told_otherwise() {
    let refused = make(json!({}), &loaded([100, 0], Some(1500.0))).unwrap_err();
    assert!(
        refused.contains("prod2 must carry up to 1,900") && refused.contains("seen to fail"),
        "{refused}"
    );
    assert!(refused.contains("Nothing was touched"), "{refused}");
    assert!(make(json!({ "refuseLoad": "nothing" }), &loaded([100, 0], Some(1500.0))).is_ok());
    assert!(make(json!({}), &loaded([100, 0], Some(2500.0))).is_ok(), "less is due");
    assert!(make(json!({ "refuseLoad": "untried" }), &loaded([100, 0], None)).is_err());
    assert!(
        make(json!({ "operation": "balance", "refuseLoad": "untried" }), &loaded([100, 0], None)).is_ok()
    );
}

/// So many of twenty targets of a fleet are healthy.
fn targets(weights: [u16; 2], fleet: usize, healthy: u32) -> Found {
    let mut found = found(weights);
    found.apps[0].fleets[fleet].health = Health { healthy, registered: 20, unused: false };
    found
}

#[test]
fn half_of_the_targets_must_be_healthy_to_get_more() {
    let with = |fleet: usize, healthy: u32| targets([100, 0], fleet, healthy);
    let even = |fleet: usize, healthy: u32| targets([70, 30], fleet, healthy);
    // A drain that moves nobody is not kept from it, nor one away from a fleet that is no better off.
    assert!(make(json!({ "operation": "drain" }), &with(0, 9)).is_ok());
    let mut both = even(0, 9);
    both.apps[0].fleets[1].health = Health { healthy: 0, registered: 20, unused: false };
    assert!(make(json!({ "operation": "drain" }), &both).is_ok());
    let with = |fleet: usize, healthy: u32| if fleet == 0 { even(0, healthy) } else { with(fleet, healthy) };
    for (operation, fleet) in [("shift", 1), ("balance", 1), ("drain", 0)] {
        let input =
            |percent: u8| json!({ "operation": operation, "criteria": { "healthyPercent": percent } });
        let refused = make(json!({ "operation": operation }), &with(fleet, 9)).unwrap_err();
        assert!(refused.contains("9 of 20") && refused.contains("criteria.healthyPercent"), "{refused}");
        assert!(make(input(50), &with(fleet, 10)).is_ok());
        assert!(make(input(5), &with(fleet, 1)).is_ok());
        assert!(make(input(0), &with(fleet, 1)).is_ok());
    }
    let with = |fleet: usize, healthy: u32| targets([100, 0], fleet, healthy);
    // Where something is wrong with the live fleet, few are better than none.
    assert!(make(json!({ "operation": "failback" }), &with(1, 1)).is_ok());
    assert!(make(json!({ "operation": "shift" }), &with(0, 1)).is_ok(), "the live fleet gets less");
}
