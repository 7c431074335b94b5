//! Where the traffic goes when a run is rolled back: to where it was, unless that is a dead fleet.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::contract::{Plan, PlannedApp, RollBackEnding, RolledBack, Route, Weights};
use crate::input::Operation;
use crate::outcome::{split, why_in_words};
use crate::samples::Health;
use crate::weights::{GroupWeight, Percent};

/// A way to roll back an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the weights of before the run.
    Back,
    /// All to one fleet, since those weights would give traffic to the other, which is dead. The
    /// standby's percent, 0 or 100.
    Over(Percent),
    /// Nowhere: no fleet has healthy targets, so any change would be a guess.
    Nowhere,
}

/// What a rollback sees before it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The targets of both fleets, live and standby, of every app of the plan; nothing where they could
    /// not be read.
    pub targets: Vec<Option<[Health; 2]>>,
    /// Why they could not be read, where that is so.
    pub unread: Option<String>,
    /// The routes that are left out since their rules are gone, in words.
    pub gone: Vec<String>,
}

/// The way of every app of the plan, by the targets of its fleets now. Whatever becomes of the others,
/// no app is sent to a fleet that is known to be dead. Where nothing is known it goes back, to where its
/// traffic was fine before.
pub fn ways(plan: &Plan, seen: &Seen, earlier: Option<&RolledBack>) -> Vec<Way> {
    let of_app = |(index, targets): (usize, &Option<[Health; 2]>)| match targets {
        Some([live, standby]) => way(plan, index, *live, *standby, earlier),
        None => went_over(plan, index, earlier).map_or(Way::Back, Way::Over),
    };
    seen.targets.iter().enumerate().map(of_app).collect()
}

/// The fleet to which the traffic of an app went before the writes had settled, by the standby's percent.
fn went_over(plan: &Plan, app: usize, earlier: Option<&RolledBack>) -> Option<Percent> {
    earlier?.over.get(&plan.apps[app].name).copied()
}

/// Decides by target health now. A fleet without healthy targets gets no traffic while the other has
/// some. `earlier` is the answer to the same request before its writes had settled: all traffic that
/// went to one fleet stays there while that fleet is well, even if the dead one is back, since
/// somebody should look at it first.
fn way(plan: &Plan, app: usize, live: Health, standby: Health, earlier: Option<&RolledBack>) -> Way {
    let well =
        |percent: Percent| if percent == Percent::ALL { standby.healthy > 0 } else { live.healthy > 0 };
    if let Some(over) = went_over(plan, app, earlier).filter(|over| well(*over)) {
        return Way::Over(over);
    }
    let routes = || plan.routes.iter().filter(|route| route.app == app);
    let gives = |fleet: &String| routes().any(|route| route.before.get(fleet).is_some_and(|w| *w > 0));
    let to_dead_live = live.healthy == 0 && gives(&plan.live);
    let to_dead_standby = standby.healthy == 0 && gives(&plan.standby);
    match (to_dead_live, to_dead_standby) {
        (false, false) => Way::Back,
        _ if live.healthy > 0 => Way::Over(Percent::NONE),
        _ if standby.healthy > 0 => Way::Over(Percent::ALL),
        _ => Way::Nowhere,
    }
}

impl Way {
    /// What it puts into a route; nothing where nothing is written.
    pub fn groups(self, plan: &Plan, route: &Route) -> Vec<GroupWeight> {
        match self {
            Self::Back => plan.before_groups(route),
            Self::Over(standby) => plan.stage_groups(route, standby),
            Self::Nowhere => Vec::new(),
        }
    }

    /// What each fleet of an app gets then; nothing where nothing is written.
    pub fn weights(self, plan: &Plan, app: &PlannedApp) -> Option<Weights> {
        match self {
            Self::Back => Some(app.before.clone()),
            Self::Over(standby) => Some(plan.weights(standby)),
            Self::Nowhere => None,
        }
    }
}

/// The answer of a restore that no longer holds its routes, where they are as it would leave them.
pub fn unneeded(plan: &Plan) -> RolledBack {
    let cause = format!("{}: {}; nothing is left to restore", plan.app, plan.before_in_words());
    RolledBack { ending: RollBackEnding::Unchanged, cause, over: BTreeMap::new(), settled: true }
}

/// What a route may hold when the run is rolled back: anything that it found or may have written,
/// an earlier attempt at this rollback included. A restore does not count what it found: whoever
/// stopped the run may have set weights by hand since.
pub fn may_hold(plan: &Plan, route: &Route) -> Vec<Vec<GroupWeight>> {
    let written = plan.may_write.iter().map(|percent| plan.stage_groups(route, *percent));
    let mut all = vec![plan.before_groups(route)];
    let over = [Percent::NONE, Percent::ALL].map(|percent| plan.stage_groups(route, percent));
    let found = (plan.operation != Operation::Restore).then(|| plan.found_groups(route));
    for groups in found.into_iter().chain(written).chain(over) {
        if !all.contains(&groups) {
            all.push(groups);
        }
    }
    all
}

/// The answer once the weights of these ways, one for each app, stand.
pub fn answer(
    plan: &Plan,
    ways: &[Way],
    seen: &Seen,
    why: &Value,
    earlier: Option<&RolledBack>,
) -> RolledBack {
    let nowhere = |way: &Way| *way == Way::Nowhere;
    let settled = earlier.is_some() || ways.iter().all(nowhere);
    // What is left to a person comes before what somebody has to look after.
    let ending = if ways.iter().any(nowhere) {
        RollBackEnding::Halted
    } else if ways.iter().any(|way| matches!(way, Way::Over(_))) {
        RollBackEnding::FailedOver
    } else if plan.operation == Operation::Restore {
        RollBackEnding::Restored
    } else {
        RollBackEnding::RolledBack
    };
    let mut cause = went(plan, ways, seen, &why_in_words(why), ending);
    if let Some(unread) = &seen.unread {
        cause = format!(
            "{cause} Target health could not be read ({unread}), so whether the fleets have healthy targets was \
             not looked at; look at them."
        );
    }
    if !seen.gone.is_empty() {
        cause = format!("{cause} Left out: {}.", seen.gone.join("; "));
    }
    let over = plan.apps.iter().zip(ways).filter_map(|(app, way)| match way {
        Way::Over(percent) => Some((app.name.clone(), *percent)),
        _ => None,
    });
    RolledBack { ending, cause, over: over.collect(), settled }
}

/// Where the traffic of every app is.
fn went(plan: &Plan, ways: &[Way], seen: &Seen, why: &str, ending: RollBackEnding) -> String {
    let (name, what, before) = (&plan.app, plan.operation.word(), plan.before_in_words());
    match (ending, ways, &seen.targets[..]) {
        (RollBackEnding::Restored, ..) => format!("{name}: restored, read back: {before}."),
        (RollBackEnding::RolledBack, ..) => format!(
            "{name}: {what} rolled back, since {why}. The weights found at the start are back and read back: {before}."
        ),
        (_, [way], [targets]) => alone(plan, *way, *targets, why),
        (_, ways, targets) => {
            let each = plan.apps.iter().zip(ways.iter().zip(targets));
            let each: Vec<String> =
                each.map(|(app, (way, targets))| in_lockstep(plan, app, *way, *targets)).collect();
            let next = if ending == RollBackEnding::Halted {
                "Bring a fleet up where both are dead, then put back what was found there with `restore`, or send the \
                 traffic to one fleet with `drain` or `failback`."
            } else {
                "Look after the dead fleet. The next run starts from these weights; a `drain` with `standby` brings \
                 the apps to one live fleet again."
            };
            format!("{name}: {what} was to be rolled back, since {why}. {}. {next}", each.join(". "))
        }
    }
}

/// Where the traffic of the only app is, if it could not go back.
fn alone(plan: &Plan, way: Way, targets: Option<[Health; 2]>, why: &str) -> String {
    let (app, what, before) = (&plan.app, plan.operation.word(), plan.before_in_words());
    let [live, standby] = in_words(plan, targets);
    match way {
        Way::Over(percent) => {
            let (to, reason) = gone_over(plan, percent, [&live, &standby]);
            format!(
                "{app}: {what} ended with all traffic on {to}, since the weights found at the start ({before}) would \
                 give traffic to a dead fleet: {reason}. It was to be rolled back since {why}. Look after the dead \
                 fleet; the next run starts from these weights."
            )
        }
        _ => format!(
            "{app}: {what} should be rolled back, since {why}, but both fleets are dead: {live}, {standby}. Nothing \
             was written: the weights stay as the run last set them. Bring a fleet up, then put the weights found at \
             the start ({before}) back with `restore`, or send the traffic to one fleet with `drain` or `failback`."
        ),
    }
}

/// Where the traffic of one of several apps is.
fn in_lockstep(plan: &Plan, app: &PlannedApp, way: Way, targets: Option<[Health; 2]>) -> String {
    let (name, before) = (&app.name, split(&app.before));
    let [live, standby] = in_words(plan, targets);
    match way {
        Way::Back => format!("{name}: the weights found at the start are back and read back, {before}"),
        Way::Over(percent) => {
            let (to, reason) = gone_over(plan, percent, [&live, &standby]);
            format!(
                "{name}: all traffic is on {to}, since the weights found at the start ({before}) would give traffic \
                 to a dead fleet, {reason}"
            )
        }
        Way::Nowhere => format!(
            "{name}: both fleets are dead, {live}, {standby}, so nothing was written and the weights stay as the run \
             last set them; found at the start was {before}"
        ),
    }
}

fn in_words(plan: &Plan, targets: Option<[Health; 2]>) -> [String; 2] {
    let words = |fleet: &String, health: Option<Health>| match health {
        Some(Health { healthy, registered, .. }) => {
            format!("{fleet} has {healthy} of {registered} targets healthy")
        }
        None => format!("how {fleet} is could not be read"),
    };
    [words(&plan.live, targets.map(|both| both[0])), words(&plan.standby, targets.map(|both| both[1]))]
}

/// To which fleet all traffic went, and how the other one is.
fn gone_over<'a>(plan: &'a Plan, percent: Percent, targets: [&'a String; 2]) -> (&'a String, &'a String) {
    if percent == Percent::ALL { (&plan.standby, targets[0]) } else { (&plan.live, targets[1]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn route(app: usize, before: [u16; 2]) -> Value {
        let before = json!({ "prod1": before[0], "prod2": before[1] });
        json!({
            "app": app, "arn": format!("arn:rule-{app}"), "ruleArn": format!("arn:rule-{app}"),
            "label": "rule 1", "putBack": "", "found": before, "before": before,
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
        for says in ["are back and read back", "Target health could not be read (AWS answered AccessDenied)"]
        {
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
        let says = "Left out: rule 1 (arn:rule-0) is gone: somebody deleted it; its traffic follows other rules now.";
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
        assert!(halted.cause.contains("api: both fleets are dead"), "{}", halted.cause);
        assert!(of([[0, 0]; 3]).1.settled, "nothing was written anywhere");
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
}
