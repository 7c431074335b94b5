//! Rules that somebody makes while a run goes on, and that lead to an app's fleets past its routes.
//!
//! They belong to whoever made them: the run goes on with the routes that it has planned, says at every poll
//! what else there is, and does not end in a success that such a rule contradicts.

use crate::model::Plan;
use crate::model::weights::{GroupWeight, Percent, weight_of};

/// A rule that forwards to an app of the plan and is none of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Which app it leads to, as an index into those of the plan.
    pub app: usize,
    /// Such as `rule 10 on port 443`.
    pub label: String,
    /// Its target groups with their weights.
    pub groups: Vec<GroupWeight>,
}

impl Newcomer {
    /// What it gives to whom, in words.
    fn in_words(&self, plan: &Plan) -> String {
        let app = &plan.apps[self.app];
        let of = |group: &String| weight_of(&self.groups, group).unwrap_or(0);
        let (live, standby) = (of(&app.live_group), of(&app.standby_group));
        let gives = match (live, standby) {
            (0, _) => format!("sends everything to {}", plan.standby),
            (_, 0) => format!("sends everything to {}", plan.live),
            _ => format!("weighs {} {live}, {} {standby}", plan.live, plan.standby),
        };
        format!("{}{} {gives}", plan.named(app), self.label)
    }
}

/// What a poll says of them; nothing where there are none.
pub fn told(plan: &Plan, newcomers: &[Newcomer]) -> Option<String> {
    let words = joined(plan, newcomers)?;
    Some(format!(
        "made since the run began and no part of it: {words}. Until that agrees with where the run ends, it \
         does not end in a success"
    ))
}

/// What contradicts a run that ends with this percent on the standby; nothing where all agree.
pub fn contradict(plan: &Plan, newcomers: &[Newcomer], standby: Percent) -> Option<String> {
    // By shares: somebody else may count in other weights than a hundred.
    let against = |newcomer: &&Newcomer| {
        let all: u32 = newcomer.groups.iter().map(|group| u32::from(group.weight)).sum();
        let of = |group: &String| u32::from(weight_of(&newcomer.groups, group).unwrap_or(0)) * 100;
        let app = &plan.apps[newcomer.app];
        let agrees = of(&app.standby_group) == all * u32::from(standby.get())
            && of(&app.live_group) == all * u32::from(standby.rest().get());
        all == 0 || !agrees
    };
    let against: Vec<Newcomer> = newcomers.iter().filter(against).cloned().collect();
    joined(plan, &against)
}

fn joined(plan: &Plan, newcomers: &[Newcomer]) -> Option<String> {
    let words: Vec<String> = newcomers.iter().map(|newcomer| newcomer.in_words(plan)).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn newcomer(plan: &Plan, weights: [u16; 2]) -> Newcomer {
        let groups = [&plan.apps[0].live_group, &plan.apps[0].standby_group];
        let groups = groups.into_iter().zip(weights).filter(|(_, weight)| *weight > 0);
        let groups = groups.map(|(group, weight)| GroupWeight::new(group, weight)).collect();
        Newcomer { app: 0, label: "rule 10 on port 443".into(), groups }
    }

    #[test]
    fn what_is_new_is_named_with_what_it_gives() {
        let plan = testing::plan(json!({}));
        assert_eq!(told(&plan, &[]), None);
        let said = told(&plan, &[newcomer(&plan, [100, 0])]).unwrap();
        assert!(said.contains("rule 10 on port 443 sends everything to prod1"), "{said}");
        let said = told(&plan, &[newcomer(&plan, [30, 70])]).unwrap();
        assert!(said.contains("weighs prod1 30, prod2 70"), "{said}");
    }

    #[test]
    fn only_what_disagrees_with_the_end_contradicts_it() {
        let plan = testing::plan(json!({}));
        for (weights, standby, contradicts) in [
            ([100, 0], Percent::ALL, true),
            ([0, 1], Percent::ALL, false),
            ([0, 1], Percent::NONE, true),
            ([50, 50], Percent::ALL, true),
        ] {
            let said = contradict(&plan, &[newcomer(&plan, weights)], standby);
            assert_eq!(said.is_some(), contradicts, "{weights:?} {standby}");
        }
    }
}
