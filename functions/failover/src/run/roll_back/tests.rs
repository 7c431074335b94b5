//! Where the traffic goes, and what is told of it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing;

fn route(app: usize, before: [u16; 2]) -> Value {
    let before = json!({ "prod1": before[0], "prod2": before[1] });
    json!({
        "app": app, "arn": format!("arn:rule-{app}"), "ruleArn": format!("arn:rule-{app}"),
        "label": "rule 1", "revertCommand": "", "found": before, "before": before,
    })
}

fn plan(before: [u16; 2]) -> Plan {
    testing::plan(json!({ "routes": [route(0, before)], "mayWrite": [10, 100] }))
}

fn health(healthy: u32) -> Health {
    Health { healthy, registered: 2, unused: false }
}

fn seen(targets: &[[Health; 2]]) -> Seen {
    Seen { targets: targets.iter().copied().map(Some).collect(), ..Seen::default() }
}

fn way_of(plan: &Plan, live: u32, standby: u32, earlier: Option<&RolledBack>) -> Way {
    ways(plan, &seen(&[[health(live), health(standby)]]), earlier)[0]
}

fn answered(plan: &Plan, way: Way) -> RolledBack {
    answer(plan, &[way], &seen(&[[health(0), health(2)]]), &json!("it failed."), None)
}

#[test]
fn health_that_cannot_be_read_keeps_nothing_from_going_back_and_is_told() {
    let plan = plan([100, 0]);
    let unread = Some("AWS answered AccessDenied".to_owned());
    let blind = Seen { targets: vec![None], unread, ..Seen::default() };
    assert_eq!(ways(&plan, &blind, None), [Way::Back]);
    let back = answer(&plan, &[Way::Back], &blind, &json!("it failed"), None);
    assert_eq!((back.ending, back.settled), (RollBackEnding::RolledBack, false));
    for says in ["are back and read back", "Target health could not be read (AWS answered AccessDenied)"] {
        assert!(back.cause.contains(says), "{}", back.cause);
    }
    // Once it is known that a fleet was dead, not knowing is no reason to go there.
    let over = answered(&plan, Way::Over(Percent::ALL));
    assert_eq!(ways(&plan, &blind, Some(&over)), [Way::Over(Percent::ALL)]);
    let stays = answer(&plan, &[Way::Over(Percent::ALL)], &blind, &json!("it failed"), Some(&over));
    assert!(stays.cause.contains("how prod1 is could not be read"), "{}", stays.cause);
}

#[test]
fn routes_that_are_gone_are_named_and_left_out() {
    let plan = plan([100, 0]);
    let gone = vec![plan.routes[0].gone_in_words()];
    let seen = Seen { gone, ..seen(&[[health(2), health(2)]]) };
    let back = answer(&plan, &[Way::Back], &seen, &json!("it failed"), None);
    assert_eq!(back.ending, RollBackEnding::RolledBack);
    let says =
        "Left out: rule 1 (arn:rule-0) is gone: somebody deleted it; its traffic follows other rules now.";
    assert!(back.cause.ends_with(says), "{}", back.cause);
}

#[test]
fn traffic_goes_back_unless_that_is_a_dead_fleet() {
    use Way::{Back, Nowhere, Over};
    for (before, live, standby, expected) in [
        ([100, 0], 2, 2, Back),
        ([100, 0], 1, 0, Back),
        ([100, 0], 0, 2, Over(Percent::ALL)),
        ([100, 0], 0, 0, Nowhere),
        ([50, 50], 2, 0, Over(Percent::NONE)),
        ([50, 50], 0, 1, Over(Percent::ALL)),
        ([0, 100], 0, 2, Back),
    ] {
        assert_eq!(way_of(&plan(before), live, standby, None), expected, "{before:?}");
    }
}

#[test]
fn a_fleet_that_took_over_keeps_the_traffic_while_it_is_well() {
    let plan = plan([100, 0]);
    let earlier = answered(&plan, Way::Over(Percent::ALL));
    assert!(!earlier.settled);
    assert_eq!(way_of(&plan, 2, 2, Some(&earlier)), Way::Over(Percent::ALL));
    assert_eq!(way_of(&plan, 2, 0, Some(&earlier)), Way::Back);
    let targets = seen(&[[health(0), health(2)]]);
    let again = answer(&plan, &[Way::Over(Percent::ALL)], &targets, &json!("x"), Some(&earlier));
    assert!(again.settled);
}

#[test]
fn the_cause_says_where_the_traffic_is() {
    let plan = plan([100, 0]);
    for (way, ending, says) in [
        (Way::Back, RollBackEnding::RolledBack, "prod1 100 %, prod2 0 %"),
        (Way::Over(Percent::ALL), RollBackEnding::FailedOver, "all traffic on prod2"),
        (Way::Nowhere, RollBackEnding::Halted, "Nothing was written"),
    ] {
        let answer = answered(&plan, way);
        assert_eq!(answer.ending, ending);
        assert!(answer.cause.contains(says) && answer.cause.contains("it failed"), "{}", answer.cause);
    }
}

#[test]
fn of_several_apps_each_goes_its_own_way_and_the_cause_says_which() {
    let plan = testing::lockstep(
        &["web", "portal", "api"],
        json!({ "routes": [route(0, [100, 0]), route(1, [100, 0]), route(2, [100, 0])], "mayWrite": [10] }),
    );
    let of = |targets: [[u32; 2]; 3]| {
        let targets = seen(&targets.map(|targets| targets.map(health)));
        let ways = ways(&plan, &targets, None);
        (ways.clone(), answer(&plan, &ways, &targets, &json!("it failed"), None))
    };
    let (_, back) = of([[2, 2], [1, 0], [2, 2]]);
    assert_eq!(back.ending, RollBackEnding::RolledBack);
    assert_eq!(
        back.cause,
        "web, portal and api: shift rolled back, since it failed. The weights found at the start are back and \
         read back: prod1 100 %, prod2 0 %."
    );

    let (went, over) = of([[2, 2], [0, 2], [2, 2]]);
    assert_eq!(went, [Way::Back, Way::Over(Percent::ALL), Way::Back]);
    assert_eq!((over.ending, over.settled), (RollBackEnding::FailedOver, false));
    assert_eq!(over.over, [("portal".to_owned(), Percent::ALL)].into());
    for says in [
        "web: the weights found at the start are back and read back, prod1 100 %, prod2 0 %. portal: all traffic \
         is on prod2",
        "prod1 has 0 of 2 targets healthy. api: the weights found",
        "`drain` with `standby`",
    ] {
        assert!(over.cause.contains(says), "{says:?} is not in {}", over.cause);
    }

    // One that nobody can help is left to a person, after the others have been seen to twice.
    let (went, halted) = of([[2, 2], [0, 2], [0, 0]]);
    assert_eq!(went, [Way::Back, Way::Over(Percent::ALL), Way::Nowhere]);
    assert_eq!((halted.ending, halted.settled), (RollBackEnding::Halted, false));
    assert!(halted.cause.contains("api: neither fleet has healthy targets"), "{}", halted.cause);
    assert!(of([[0, 0]; 3]).1.settled, "nothing was written anywhere");
}

#[test]
fn a_restore_that_cannot_put_all_back_does_what_it_can_and_leaves_the_rest_to_a_person() {
    let lost = ["web: what arn:run had found cannot be put back, since its history is gone"];
    let restore = |routes: Value| {
        let fields = json!({ "operation": "restore", "routes": routes, "mayWrite": [10], "lost": lost });
        let plan = testing::lockstep(&["web", "api"], fields);
        let well = seen(&[[health(2), health(2)]; 2]);
        answer(&plan, &[Way::Back; 2], &well, &json!("it was stopped"), None)
    };
    let nothing = restore(json!([]));
    assert_eq!((nothing.ending, nothing.settled), (RollBackEnding::Halted, false));
    assert!(nothing.cause.contains("history is gone. Set those weights by hand; the apps are given free."));
    let part = restore(json!([route(1, [100, 0])]));
    assert_eq!(part.ending, RollBackEnding::Halted);
    assert!(part.cause.ends_with(" api: prod1 100 %, prod2 0 %, read back."), "{}", part.cause);
}

proptest! {
    /// No fleet without healthy targets gets weight while the other has some, whatever becomes of the
    /// other apps.
    #[test]
    fn never_onto_a_dead_fleet(
        apps in proptest::collection::vec(([0u16..1000, 0u16..1000], 0u32..3, 0u32..3, 0u8..3), 1..4),
    ) {
        let names = &["web", "portal", "api"][..apps.len()];
        let routes: Vec<Value> = apps.iter().enumerate().map(|(i, (before, ..))| route(i, *before)).collect();
        let plan = testing::lockstep(names, json!({ "routes": routes, "mayWrite": [10, 100] }));
        let targets: Vec<[Health; 2]> =
            apps.iter().map(|(_, live, standby, _)| [health(*live), health(*standby)]).collect();
        let targets = seen(&targets);
        let went: Vec<Way> = apps.iter().map(|(.., over)| match over {
            0 => Way::Back,
            1 => Way::Over(Percent::NONE),
            _ => Way::Over(Percent::ALL),
        }).collect();
        let earlier = answer(&plan, &went, &targets, &json!("it failed"), None);
        let ways = ways(&plan, &targets, Some(&earlier));
        for ((route, way), (_, live, standby, _)) in plan.routes.iter().zip(&ways).zip(&apps) {
            let groups = way.groups(&plan, route);
            for (group, (own, other)) in groups.iter().zip([(live, standby), (standby, live)]) {
                prop_assert!(group.weight == 0 || *own > 0 || *other == 0, "{:?}", way);
            }
        }
        let answer = answer(&plan, &ways, &targets, &json!("x"), Some(&earlier));
        prop_assert!(answer.settled);
        prop_assert_eq!(answer.ending == RollBackEnding::Halted, ways.contains(&Way::Nowhere));
    }
}
