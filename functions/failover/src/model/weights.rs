//! What each fleet gets, and how that is written into the target groups of a rule.

use serde::{Deserialize, Serialize};

use super::Weights;

/// A share of traffic in whole percent, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// No traffic.
    pub const NONE: Self = Self(0);
    /// Half of the traffic.
    pub const HALF: Self = Self(50);
    /// All traffic.
    pub const ALL: Self = Self(100);

    /// `None` above 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// What is left for the other fleet.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(100 - self.0)
    }

    /// As a share of one.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl TryFrom<u8> for Percent {
    type Error = &'static str;
    fn try_from(percent: u8) -> Result<Self, Self::Error> {
        Self::new(percent).ok_or("a percentage above 100")
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// One target group of a forward action with its weight as the balancer holds it (0 to 999).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupWeight {
    /// The target group.
    pub target_group_arn: String,
    /// Its weight relative to the others of the same action, 0 to 999.
    pub weight: u16,
}

impl GroupWeight {
    /// A group with its weight.
    pub fn new(target_group_arn: impl Into<String>, weight: u16) -> Self {
        Self { target_group_arn: target_group_arn.into(), weight }
    }
}

/// The standby's share of two weights, rounded to whole percent; nothing where neither has any.
pub fn share(live: u16, standby: u16) -> Percent {
    let (live, standby) = (u32::from(live), u32::from(standby));
    let all = (live + standby).max(1);
    let rounded = (standby * 100 + all / 2) / all;
    u8::try_from(rounded).ok().and_then(Percent::new).unwrap_or(Percent::ALL)
}

/// The weight of a group in a forward; `None` where the forward does not hold the group.
pub fn weight_of(groups: &[GroupWeight], target_group_arn: &str) -> Option<u16> {
    groups.iter().find(|g| g.target_group_arn == target_group_arn).map(|g| g.weight)
}

/// The groups of a forward with the weights of `desired` put in: groups that the forward does not
/// hold yet are added at its end, every other group stays as and where it is.
#[must_use]
pub fn with_weights(groups: &[GroupWeight], desired: &[GroupWeight]) -> Vec<GroupWeight> {
    let kept = groups.iter().map(|group| {
        let weight = weight_of(desired, &group.target_group_arn).unwrap_or(group.weight);
        GroupWeight { weight, ..group.clone() }
    });
    let added = desired.iter().filter(|d| weight_of(groups, &d.target_group_arn).is_none());
    kept.chain(added.cloned()).collect()
}

/// Whether the forward already holds every group of `desired` with its weight.
pub fn holds(groups: &[GroupWeight], desired: &[GroupWeight]) -> bool {
    desired.iter().all(|d| weight_of(groups, &d.target_group_arn) == Some(d.weight))
}

/// Whether the forward sends everything to one group.
pub fn all_to(groups: &[GroupWeight], target_group_arn: &str) -> bool {
    weight_of(groups, target_group_arn).is_some()
        && groups.iter().all(|g| (g.weight > 0) == (g.target_group_arn == target_group_arn))
}

/// Whether both forwards send the same share to each group of `desired`; a group that is absent
/// counts as weight 0. This is what "the weights are those found at the start" means for a fixed
/// forward that the run has converted.
pub fn gives(groups: &[GroupWeight], desired: &[GroupWeight]) -> bool {
    desired.iter().all(|d| weight_of(groups, &d.target_group_arn).unwrap_or(0) == d.weight)
}

/// Weights in words, such as `prod1 75 %, prod2 25 %`.
pub fn split(weights: &Weights) -> String {
    weights.iter().map(|(fleet, percent)| format!("{fleet} {percent}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups() -> impl Strategy<Value = Vec<GroupWeight>> {
        proptest::collection::btree_map("[a-f]", 0u16..1000, 0..5).prop_map(|m| {
            m.into_iter().map(|(arn, weight)| GroupWeight { target_group_arn: arn, weight }).collect()
        })
    }

    #[test]
    fn everything_goes_to_one_group_or_it_does_not() {
        let forward =
            |weights: [u16; 2]| [GroupWeight::new("a", weights[0]), GroupWeight::new("b", weights[1])];
        assert!(all_to(&[GroupWeight::new("a", 100)], "a"));
        assert!(all_to(&forward([1, 0]), "a") && !all_to(&forward([1, 0]), "b"));
        assert!(!all_to(&forward([99, 1]), "a") && !all_to(&forward([0, 0]), "a") && !all_to(&[], "a"));
        assert!(!all_to(&[GroupWeight::new("third", 100)], "a"));
    }

    proptest! {
        #[test]
        fn writing_weights_is_idempotent_and_touches_nothing_else(found in groups(), desired in groups()) {
            let once = with_weights(&found, &desired);
            prop_assert!(holds(&once, &desired));
            prop_assert_eq!(&with_weights(&once, &desired), &once);
            for (before, after) in found.iter().zip(&once) {
                prop_assert_eq!(&before.target_group_arn, &after.target_group_arn);
                if weight_of(&desired, &before.target_group_arn).is_none() {
                    prop_assert_eq!(before.weight, after.weight);
                }
            }
        }

        #[test]
        fn percent_and_its_rest_are_whole(percent in 0u8..=100) {
            let percent = Percent::new(percent).unwrap();
            prop_assert_eq!(percent.get() + percent.rest().get(), 100);
        }
    }
}
