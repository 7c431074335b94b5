//! Who is told of what no run can tell of itself, and what that costs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use yaml_serde::Value;

use super::{Given, evaluate, functions, holds, references, template};

/// What an alarm that looks at one metric costs a month: <https://aws.amazon.com/cloudwatch/pricing/>.
const CENTS: usize = 10;

/// What all of them may cost.
const MOST_CENTS: usize = 200;

/// Functions whose failure ends in an execution that fails or goes back, before or with which nothing is left to do.
const SEEN_BY_THE_EXECUTION: [&str; 3] = ["PlanShiftFunction", "ClaimRoutesFunction", "ProbeAppFunction"];

#[test]
fn every_way_to_get_stuck_has_an_alarm() -> Result<()> {
    let template = template()?;
    let alarms = alarms(&template)?;
    let seen: BTreeSet<String> = alarms.values().map(|alarm| watches(alarm)).collect::<Result<_>>()?;
    let mut wanted: BTreeSet<String> = [
        "AWS/States ExecutionsFailed of FailoverStateMachine",
        "AWS/States ExecutionsAborted of FailoverStateMachine",
        "AWS/States ExecutionsTimedOut of FailoverStateMachine",
        "AWS/Events FailedInvocations of RestoreRule",
        "AWS/Events InvocationsFailedToBeSentToDlq of RestoreRule",
        "AWS/SQS ApproximateNumberOfMessagesVisible of DeadLetters.QueueName",
    ]
    .map(str::to_owned)
    .into();
    for (function, _) in functions(&template)? {
        if !SEEN_BY_THE_EXECUTION.contains(&function) {
            wanted.extend(["Errors", "Throttles"].map(|metric| format!("AWS/Lambda {metric} of {function}")));
        }
    }
    assert_eq!(seen, wanted);
    Ok(())
}

#[test]
fn alarms_cost_two_dollars_at_most() -> Result<()> {
    let template = template()?;
    let alarms = alarms(&template)?;
    let metrics =
        alarms.values().all(|alarm| alarm["MetricName"].is_string() && alarm.get("Metrics").is_none());
    // A period below a minute makes an alarm of high resolution, for three times as much.
    let coarse = alarms.values().all(|alarm| alarm["Period"].as_u64().is_some_and(|seconds| seconds >= 60));
    assert!(metrics && coarse, "an alarm of several metrics or of high resolution");
    assert!(alarms.len() * CENTS <= MOST_CENTS, "{} alarms", alarms.len());
    Ok(())
}

/// Whatever is given to say who is told: no alarm is left that tells nobody, and there is none only where somebody
/// said so.
#[test]
fn alarms_tell_somebody_or_nobody_by_name() -> Result<()> {
    let template = template()?;
    let told = |given: &Given| -> Result<BTreeSet<String>> {
        let mut told = BTreeSet::new();
        for (name, alarm) in alarms(&template)? {
            let condition = template["Resources"][name]["Condition"].as_str().context("always there")?;
            if holds(&template["Conditions"][condition], &template, given)? {
                told.insert(evaluate(&alarm["AlarmActions"], &template, given)?);
            }
        }
        Ok(told)
    };
    let (topic, team, mail) = ("AlarmTopicArn", "NoticeTopicArn", "NoticeEmail");
    for (given, expected) in [
        (Given::from([(topic, "arn:a"), (team, "arn:b"), (mail, "c@d")]), Some("arn:a")),
        (Given::from([(topic, "arn:a")]), Some("arn:a")),
        (Given::from([(team, "arn:b"), (mail, "c@d")]), Some("arn:b")),
        (Given::from([(team, "arn:b")]), Some("arn:b")),
        (Given::from([(mail, "c@d")]), Some("AlarmTopic")),
        (Given::from([(topic, "none"), (team, "arn:b"), (mail, "c@d")]), None),
        (Given::from([(topic, "none")]), None),
    ] {
        assert_eq!(told(&given)?, expected.map(str::to_owned).into_iter().collect(), "{given:?}");
        assert!(accepted(&template, &given)?, "{given:?}");
        let made = template["Resources"]["AlarmTopic"]["Condition"].as_str().context("always made")?;
        let made = holds(&template["Conditions"][made], &template, &given)?;
        assert_eq!(made, expected == Some("AlarmTopic"), "{given:?}");
    }
    assert!(!accepted(&template, &Given::new())?, "nobody is told, and nobody has said so");
    Ok(())
}

/// What is not started is tried again, and kept where somebody is told of it.
#[test]
fn what_starts_runs_keeps_what_it_cannot_start() -> Result<()> {
    let template = template()?;
    let resources = &template["Resources"];
    let rule = &resources["RestoreRule"]["Properties"]["Targets"][0];
    let schedule = &resources["BalanceBySchedule"]["Properties"]["Target"];
    for target in [rule, schedule] {
        let kept = references_of_attribute(&target["DeadLetterConfig"]["Arn"]);
        assert_eq!(kept.as_deref(), Some("DeadLetters.Arn"), "{target:?}");
        let policy = &target["RetryPolicy"];
        assert!(policy["MaximumEventAgeInSeconds"].as_u64() >= Some(3600), "{policy:?}");
        assert!(policy["MaximumRetryAttempts"].as_u64() >= Some(20), "{policy:?}");
    }
    Ok(())
}

/// Whether the template takes these parameters, as far as who is told.
fn accepted(template: &Value, given: &Given) -> Result<bool> {
    holds(&template["Rules"]["SomebodyIsTold"]["Assertions"][0]["Assert"], template, given)
}

/// The alarms of the template, by their names.
fn alarms(template: &Value) -> Result<BTreeMap<&str, &Value>> {
    let resources = template["Resources"].as_mapping().context("no resources")?;
    let all = resources.iter().filter_map(|(name, resource)| Some((name.as_str()?, resource)));
    let alarms = all.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    let alarms: BTreeMap<_, _> = alarms.map(|(name, resource)| (name, &resource["Properties"])).collect();
    ensure!(!alarms.is_empty(), "no alarms");
    Ok(alarms)
}

/// The metric that an alarm looks at, and of what.
fn watches(alarm: &Value) -> Result<String> {
    let text = |field: &str| alarm[field].as_str().with_context(|| format!("no {field}"));
    let of = &alarm["Dimensions"][0]["Value"];
    let of = references_of_attribute(of).or_else(|| references(of).pop_first()).context("of nothing")?;
    Ok(format!("{} {} of {of}", text("Namespace")?, text("MetricName")?))
}

/// The resource and its attribute that a `!GetAtt` names.
fn references_of_attribute(part: &Value) -> Option<String> {
    let Value::Tagged(tagged) = part else { return None };
    (tagged.tag == "GetAtt").then(|| tagged.value.as_str().map(str::to_owned))?
}
