//! Whether testers are led to the standby.

use super::{Found, FoundApp, FoundFleet, FoundTesters};
use crate::model::{Operation, TestersRule, weights};

/// The test-traffic rules, each with what keeps it from leading them to the standby.
/// `live` is the index of the live fleet.
pub(super) fn testers(found: &Found, live: usize) -> Vec<TestersRule> {
    let rule = |index: usize, app: &FoundApp, rule: &FoundTesters| {
        let (live, standby) = app.roles(live);
        TestersRule {
            app: index,
            rule_arn: rule.rule_arn.clone(),
            label: found.label(&rule.label, app),
            port: rule.port,
            astray: astray(rule, live, standby),
        }
    };
    let all = found.apps.iter().enumerate();
    all.flat_map(|(index, app)| app.testers.iter().map(move |found| rule(index, app, found))).collect()
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
pub(super) fn check_testers<'a>(
    operation: Operation,
    testers: impl Iterator<Item = &'a TestersRule>,
    standby: &str,
) -> Result<Vec<String>, String> {
    let check = |rule: &TestersRule| match &rule.astray {
        Some(what) if operation == Operation::Shift => {
            Err(format!("{}, for test traffic, {what}", rule.label))
        }
        Some(what) => Ok(format!("{}, for test traffic, {what}", rule.label)),
        None => Ok(format!("{} leads test traffic to {standby}", rule.label)),
    };
    testers.map(check).collect()
}
