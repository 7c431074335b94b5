//! Where the traffic goes when a run is rolled back: to where it was, unless that is a dead fleet.

use serde_json::Value;

use crate::contract::{Fleet, Plan, RollBackEnding, RolledBack, Route, Weights};
use crate::input::Operation;
use crate::outcome::{split, why_in_words};
use crate::samples::Health;
use crate::weights::{GroupWeight, Percent};

/// A way to roll back.
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

/// Decides by target health now. A fleet without healthy targets gets no traffic while the other has
/// some. `earlier` is the answer to the same request before its writes had settled: all traffic that
/// went to one fleet stays there while that fleet is well, even if the dead one is back, since
/// somebody should look at it first.
pub fn way(plan: &Plan, live: Health, standby: Health, earlier: Option<&RolledBack>) -> Way {
    let well =
        |percent: Percent| if percent == Percent::ALL { standby.healthy > 0 } else { live.healthy > 0 };
    if let Some(over) = earlier.and_then(|earlier| earlier.over).filter(|over| well(*over)) {
        return Way::Over(over);
    }
    let gives = |fleet: &Fleet| plan.routes.iter().any(|r| r.before.get(&fleet.name).is_some_and(|w| *w > 0));
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
            Self::Over(standby) => plan.stage_groups(standby),
            Self::Nowhere => Vec::new(),
        }
    }

    /// What each fleet gets then; nothing where nothing is written.
    pub fn weights(self, plan: &Plan) -> Option<Weights> {
        match self {
            Self::Back => Some(plan.before.clone()),
            Self::Over(standby) => Some(plan.weights(standby)),
            Self::Nowhere => None,
        }
    }
}

/// The answer of a restore that no longer holds its routes, where they are as it would leave them.
pub fn unneeded(plan: &Plan) -> RolledBack {
    let cause = format!("{}: {}; nothing is left to restore", plan.app, split(&plan.before));
    RolledBack { ending: RollBackEnding::Unchanged, cause, over: None, settled: true }
}

/// What a route may hold when the run is rolled back: anything that it found or may have written,
/// an earlier attempt at this rollback included. A restore does not count what it found: whoever
/// stopped the run may have set weights by hand since.
pub fn may_hold(plan: &Plan, route: &Route) -> Vec<Vec<GroupWeight>> {
    let written = plan.may_write.iter().map(|percent| plan.stage_groups(*percent));
    let mut all = vec![plan.before_groups(route)];
    let over = [Percent::NONE, Percent::ALL].map(|percent| plan.stage_groups(percent));
    let found = (plan.operation != Operation::Restore).then(|| plan.found_groups(route));
    for groups in found.into_iter().chain(written).chain(over) {
        if !all.contains(&groups) {
            all.push(groups);
        }
    }
    all
}

/// The answer once the weights of `way` stand.
pub fn answer(
    plan: &Plan,
    way: Way,
    live: Health,
    standby: Health,
    why: &Value,
    earlier: Option<&RolledBack>,
) -> RolledBack {
    let settled = earlier.is_some() || way == Way::Nowhere;
    let why = why_in_words(why);
    let (app, what) = (&plan.app, plan.operation.word());
    let dead = |fleet: &Fleet, health: Health| {
        format!("{} has {} of {} targets healthy", fleet.name, health.healthy, health.registered)
    };
    let (live_says, standby_says) = (dead(&plan.live, live), dead(&plan.standby, standby));
    let (ending, cause, over) = match way {
        Way::Back if plan.operation == Operation::Restore => {
            let cause = format!("{app}: restored, read back: {}", split(&plan.before));
            (RollBackEnding::Restored, cause, None)
        }
        Way::Back => {
            let cause = format!(
                "{app}: {what} rolled back, since {why}. The weights found at the start are back and read back: {}.",
                split(&plan.before)
            );
            (RollBackEnding::RolledBack, cause, None)
        }
        Way::Over(percent) => {
            let (to, reason) =
                if percent == Percent::ALL { (&plan.standby, live_says) } else { (&plan.live, standby_says) };
            let cause = format!(
                "{app}: {what} ended with all traffic on {}, since the weights found at the start ({}) would give \
                 traffic to a dead fleet: {reason}. It was to be rolled back since {why}. Look after the dead \
                 fleet; the next run starts from these weights.",
                to.name,
                split(&plan.before)
            );
            (RollBackEnding::FailedOver, cause, Some(percent))
        }
        Way::Nowhere => {
            let cause = format!(
                "{app}: {what} should be rolled back, since {why}, but both fleets are dead: {live_says}, \
                 {standby_says}. Nothing was written: the weights stay as the run last set them. Bring a fleet up, \
                 then put the weights found at the start ({}) back with `restore`, or send the traffic to one \
                 fleet with `drain` or `failback`.",
                split(&plan.before)
            );
            (RollBackEnding::Halted, cause, None)
        }
    };
    RolledBack { ending, cause, over, settled }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn plan(before: [u16; 2]) -> Plan {
        let before = json!({ "prod1": before[0], "prod2": before[1] });
        testing::plan(json!({
            "routes": [{
                "arn": "arn:rule", "ruleArn": "arn:rule", "label": "rule 1", "putBack": "",
                "found": before, "before": before,
            }],
            "mayWrite": [10, 100],
        }))
    }

    fn health(healthy: u32) -> Health {
        Health { healthy, registered: 2, unused: false }
    }

    fn answered(plan: &Plan, way: Way) -> RolledBack {
        answer(plan, way, health(0), health(2), &json!("it failed."), None)
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
            assert_eq!(way(&plan(before), health(live), health(standby), None), expected, "{before:?}");
        }
    }

    #[test]
    fn a_fleet_that_took_over_keeps_the_traffic_while_it_is_well() {
        let plan = plan([100, 0]);
        let earlier = answered(&plan, Way::Over(Percent::ALL));
        assert!(!earlier.settled);
        assert_eq!(way(&plan, health(2), health(2), Some(&earlier)), Way::Over(Percent::ALL));
        assert_eq!(way(&plan, health(2), health(0), Some(&earlier)), Way::Back);
        let again = answer(&plan, Way::Over(Percent::ALL), health(0), health(2), &json!("x"), Some(&earlier));
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

    proptest! {
        /// No fleet without healthy targets gets weight while the other has some.
        #[test]
        fn never_onto_a_dead_fleet(
            before in [0u16..1000, 0u16..1000],
            live in 0u32..3,
            standby in 0u32..3,
            over in proptest::option::of(any::<bool>()),
        ) {
            let plan = plan(before);
            let earlier = over.map(|all| answered(&plan, Way::Over(if all { Percent::ALL } else { Percent::NONE })));
            let way = way(&plan, health(live), health(standby), earlier.as_ref());
            let groups = way.groups(&plan, &plan.routes[0]);
            for (group, (own, other)) in groups.iter().zip([(live, standby), (standby, live)]) {
                prop_assert!(group.weight == 0 || own > 0 || other == 0, "{:?}", way);
            }
        }
    }
}
