//! Whether testers are led to the standby.

use super::{Found, FoundFleet, FoundTesters};
use crate::contract::TestersRule;
use crate::input::Operation;
use crate::weights;

/// The rules for testers, each with what keeps it from leading them to the standby.
pub(super) fn testers(found: &Found, live: &FoundFleet, standby: &FoundFleet) -> Vec<TestersRule> {
    let rule = |rule: &FoundTesters| TestersRule {
        rule_arn: rule.rule_arn.clone(),
        label: rule.label.clone(),
        port: rule.port,
        astray: astray(rule, live, standby),
    };
    found.testers.iter().map(rule).collect()
}

fn astray(rule: &FoundTesters, live: &FoundFleet, standby: &FoundFleet) -> Option<String> {
    if let Some(first) = &rule.behind {
        return Some(format!("comes after {first}, which takes its requests; give it a smaller priority"));
    }
    if weights::all_to(&rule.groups, &standby.target_group_arn) {
        return None;
    }
    let name = |arn: &str| {
        let fleet = [live, standby].into_iter().find(|fleet| fleet.target_group_arn == arn);
        fleet.map_or_else(|| arn.to_owned(), |fleet| fleet.name.clone())
    };
    let given = rule.groups.iter().filter(|group| group.weight > 0);
    let given: Vec<String> = given.map(|group| name(&group.target_group_arn)).collect();
    let to = if given.is_empty() { "no fleet".into() } else { given.join(" and ") };
    Some(format!("leads them to {to}, while {} is the standby; a `drain` puts it in step", standby.name))
}

/// A shift would move users to a release that testers have never seen; nothing else is held up.
pub(super) fn check_testers(
    operation: Operation,
    testers: &[TestersRule],
    standby: &str,
) -> Result<Vec<String>, String> {
    let check = |rule: &TestersRule| match &rule.astray {
        Some(what) if operation == Operation::Shift => Err(format!("{}, for testers, {what}", rule.label)),
        Some(what) => Ok(format!("{}, for testers, {what}", rule.label)),
        None => Ok(format!("{} leads testers to {standby}", rule.label)),
    };
    testers.iter().map(check).collect()
}
