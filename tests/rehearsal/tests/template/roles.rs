//! Who may take which role, and what the worst that runs with it could do to the balancer.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use rehearsal::root;
use yaml_serde::Value;

use super::{Given, holds, template};

/// Services that say in the name of what they ask for a role, with how surely they do.
/// Sources: the guides of Step Functions, EventBridge and Scheduler on confused deputies. For Lambda and
/// `CodePipeline` none was found, so their conditions hold only where the key is there.
const SAY_FOR_WHAT: [(&str, &str); 5] = [
    ("codepipeline.amazonaws.com", "ArnLikeIfExists"),
    ("events.amazonaws.com", "ArnLike"),
    ("lambda.amazonaws.com", "ArnLikeIfExists"),
    ("scheduler.amazonaws.com", "ArnLike"),
    ("states.amazonaws.com", "ArnLike"),
];

/// What each role can change on the balancer, and why. Nothing else can change anything of it: not a target, a
/// target group, a certificate or an attribute, and nothing can be made or deleted.
///
/// `rules` are all listener rules of the one balancer of the deployment, those of other apps and of test traffic
/// among them, and `listeners` the default actions of all its listeners: no condition that AWS knows tells one rule
/// of a balancer from another, unless by a tag, which whoever may tag could set. The functions look at what they
/// write and leave other rules alone; that is code, and no right.
const CHANGES: [(&str, &[&str], &str); 6] = [
    ("ClaimRoutesRole", &["AddTags"], "claims apps for a run"),
    (
        "SetWeightsRole",
        &["AddTags", "ModifyListener", "ModifyRule"],
        "sets the weights of a stage, and marks the release of the fleet that begins to get traffic as unproven",
    ),
    (
        "SwapRolesRole",
        &["AddTags", "ModifyRule"],
        "records the live fleet, leads test traffic to the standby",
    ),
    (
        "RollBackRole",
        &["AddTags", "ModifyListener", "ModifyRule"],
        "puts back the weights that were found, under a claim that it makes again where somebody removed it",
    ),
    ("ReleaseRoutesRole", &["AddTags"], "gives apps back"),
    ("OperatorRole", &["AddTags"], "asks something of a run, by one tag"),
];

#[test]
fn no_role_is_taken_for_another_account_or_resource() -> Result<()> {
    let mut seen = BTreeSet::new();
    for file in ["template.yaml", "pipeline.yaml"] {
        for (name, role) in roles(&read(file)?)? {
            let trust = &role["AssumeRolePolicyDocument"]["Statement"];
            let [trust] = &trust.as_sequence().context("no trust")?[..] else { bail!("{name}: {trust:?}") };
            // Other principals are named one by one.
            let Some(service) = trust["Principal"]["Service"].as_str() else { continue };
            let (_, operator) = SAY_FOR_WHAT
                .iter()
                .find(|(known, _)| *known == service)
                .with_context(|| service.to_owned())?;
            let account = &trust["Condition"]["StringEquals"]["aws:SourceAccount"];
            ensure!(is_ref(account, "AWS::AccountId"), "{name} can be taken for another account");
            let source = &trust["Condition"][*operator]["aws:SourceArn"];
            let source =
                tagged(source, "Sub").with_context(|| format!("{name} can be taken for anything"))?;
            let own = source.contains("${AWS::StackName}") || source.ends_with(":schedule-group/default");
            ensure!(own && source.contains(":${AWS::AccountId}:"), "{name}: {source}");
            seen.insert(service.to_owned());
        }
    }
    assert_eq!(seen, SAY_FOR_WHAT.map(|(service, _)| service.to_owned()).into());
    Ok(())
}

#[test]
fn what_each_role_can_change_on_the_balancer_is_known() -> Result<()> {
    let template = template()?;
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, role) in roles(&template)? {
        for statement in statements(&role["Policies"]) {
            for action in texts(&statement["Action"])? {
                let Some(action) = action.strip_prefix("elasticloadbalancing:") else { continue };
                if action.starts_with("Describe") {
                    continue;
                }
                found.entry(name.to_owned()).or_default().insert(action.to_owned());
                ensure!(statement["Effect"] == "Allow", "{name}: {statement:?}");
                check_narrowed(name, action, statement)?;
            }
        }
    }
    let wanted = CHANGES.map(|(role, actions, why)| {
        assert!(!why.is_empty());
        (role.to_owned(), actions.iter().map(ToString::to_string).collect())
    });
    assert_eq!(found, wanted.into());
    Ok(())
}

/// The function's own code bears its ARN in all that it asks for; Lambda itself does not where it makes interfaces.
#[test]
fn code_that_probes_cannot_make_network_interfaces() -> Result<()> {
    let template = template()?;
    let given = Given::from([("ProbeSubnets", "subnet-0a1b"), ("ProbeSecurityGroups", "sg-0a1b")]);
    let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for (name, role) in roles(&template)? {
        for statement in statements(&role["Policies"]) {
            let actions = texts(&statement["Action"])?;
            let actions =
                actions.iter().filter(|action| action.starts_with("ec2:")).map(|a| (name, a.clone()));
            if statement["Effect"] == "Allow" {
                allowed.extend(actions);
            } else {
                let in_the_function = &statement["Condition"]["Null"]["lambda:SourceFunctionArn"];
                ensure!(*in_the_function == "false" && statement["Resource"] == "*", "{statement:?}");
                denied.extend(actions);
            }
        }
    }
    assert!(holds(&template["Conditions"]["ProbesFromSubnets"], &template, &given)?);
    assert!(!allowed.is_empty());
    assert_eq!(allowed, denied);
    Ok(())
}

/// What Step Functions refuses with `KmsAccessDeniedException` where the state machine is encrypted by a customer's key:
/// errors of these operations in botocore's model.
const DECRYPT: [&str; 4] = [
    "states:DescribeExecution",
    "states:DescribeStateMachine",
    "states:DescribeStateMachineForExecution",
    "states:GetExecutionHistory",
];

/// What the role of such a state machine needs: aws-cdk, aws-stepfunctions/lib/state-machine.ts.
const RUNS: (&str, [&str; 2]) = ("FailoverStateMachineRole", ["kms:Decrypt", "kms:GenerateDataKey"]);

#[test]
fn whoever_looks_at_executions_may_use_the_key_of_their_histories() -> Result<()> {
    let mut able: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wanted = BTreeMap::from([(RUNS.0.to_owned(), RUNS.1.map(str::to_owned).into())]);
    for file in ["template.yaml", "pipeline.yaml"] {
        for (name, role) in roles(&read(file)?)? {
            for statement in statements(&role["Policies"]) {
                let actions = texts(&statement["Action"])?;
                if actions.iter().any(|action| DECRYPT.contains(&action.as_str())) {
                    wanted.insert(name.to_owned(), BTreeSet::from(["kms:Decrypt".to_owned()]));
                }
                if is_ref(&statement["Resource"], "HistoryKeyArn") {
                    able.entry(name.to_owned()).or_default().extend(actions);
                }
            }
        }
    }
    assert!(wanted.len() > 7, "{wanted:?}");
    assert_eq!(able, wanted);
    Ok(())
}

/// What builds a commit is whatever the commit holds.
#[test]
fn what_builds_neither_deploys_nor_starts_runs() -> Result<()> {
    let pipeline = read("pipeline.yaml")?;
    let mut allowed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let roles = roles(&pipeline)?;
    for (name, role) in &roles {
        for statement in statements(&role["Policies"]) {
            allowed.entry(name).or_default().extend(texts(&statement["Action"])?);
        }
    }
    let may = |role: &str, action: &str| allowed.get(role).is_some_and(|actions| actions.contains(action));
    let able = |action: &str| allowed.keys().copied().filter(|role| may(role, action)).collect::<Vec<_>>();
    assert_eq!(able("states:StartExecution"), ["StartRole"]);
    assert_eq!(able("codedeploy:CreateDeployment"), ["DeployRole"]);
    assert!(able("sts:AssumeRole").is_empty(), "an action could act as another");
    let mut acted = BTreeSet::new();
    for stage in
        pipeline["Resources"]["Pipeline"]["Properties"]["Stages"].as_sequence().context("no stages")?
    {
        for action in stage["Actions"].as_sequence().context("no actions")? {
            let name = action["Name"].as_str().context("no name")?;
            let provider = action["ActionTypeId"]["Provider"].as_str().context("no provider")?;
            let wanted = match (provider, name) {
                ("CodeStarSourceConnection" | "Manual", _) => None,
                ("StepFunctions", _) => Some("StartRole.Arn"),
                ("Commands", "Package") => Some("BuildRole.Arn"),
                ("Commands", _) => Some("DeployRole.Arn"),
                other => bail!("{other:?} is not known here"),
            };
            ensure!(tagged(&action["RoleArn"], "GetAtt") == wanted, "{name}");
            acted.extend(wanted);
        }
    }
    assert_eq!(acted, ["BuildRole.Arn", "DeployRole.Arn", "StartRole.Arn"].into());
    let trusting = roles.iter().filter(|(name, _)| **name != "PipelineRole");
    for (name, role) in trusting {
        let trusted = &role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"];
        ensure!(tagged(trusted, "GetAtt") == Some("PipelineRole.Arn"), "{name} is trusting {trusted:?}");
    }
    Ok(())
}

/// Checks that a right to change something reaches no other balancer, and as for tags only those of ours.
fn check_narrowed(role: &str, action: &str, statement: &Value) -> Result<()> {
    let resources =
        statement["Resource"].as_sequence().map_or(std::slice::from_ref(&statement["Resource"]), |r| r);
    for resource in resources {
        let arn = tagged(resource, "Sub").with_context(|| format!("{role}: {action} on {resource:?}"))?;
        let (_, kind) = arn.rsplit_once(':').context("no ARN")?;
        let ours = ["listener/app/${LoadBalancerName}/*", "listener-rule/app/${LoadBalancerName}/*"];
        ensure!(
            ours.contains(&kind) || (kind, action) == ("targetgroup/*", "AddTags"),
            "{role}: {action} on {arn}"
        );
    }
    if action.ends_with("Tags") {
        let condition = &statement["Condition"];
        let keys = texts(&condition["ForAllValues:StringEquals"]["aws:TagKeys"])?;
        ensure!(condition["Null"]["aws:TagKeys"] == "false", "{role}: {action} without any tag");
        ensure!(keys.iter().all(|key| key.starts_with("failover:")), "{role}: {action} of {keys:?}");
    }
    Ok(())
}

/// A template of the folder `infra`.
fn read(file: &str) -> Result<Value> {
    Ok(yaml_serde::from_str(&std::fs::read_to_string(root().join("infra").join(file))?)?)
}

/// The roles of a template, by their names.
fn roles(template: &Value) -> Result<BTreeMap<&str, &Value>> {
    let resources = template["Resources"].as_mapping().context("no resources")?;
    let all = resources.iter().filter_map(|(name, resource)| Some((name.as_str()?, resource)));
    let roles = all.filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    Ok(roles.map(|(name, resource)| (name, &resource["Properties"])).collect())
}

/// All statements of a part of a template, those that depend on a condition among them.
fn statements(part: &Value) -> Vec<&Value> {
    match part {
        Value::Mapping(fields) if fields.contains_key("Effect") => vec![part],
        Value::Mapping(fields) => fields.values().flat_map(statements).collect(),
        Value::Sequence(parts) => parts.iter().flat_map(statements).collect(),
        Value::Tagged(tagged) => statements(&tagged.value),
        _ => Vec::new(),
    }
}

/// One text or several.
fn texts(part: &Value) -> Result<Vec<String>> {
    let one = part.as_str().map(|text| vec![text.to_owned()]);
    let several = || part.as_sequence()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
    one.or_else(several).with_context(|| format!("no texts: {part:?}"))
}

/// What an intrinsic function of this name is given.
fn tagged<'a>(part: &'a Value, name: &str) -> Option<&'a str> {
    let Value::Tagged(tagged) = part else { return None };
    (tagged.tag == name).then(|| tagged.value.as_str())?
}

fn is_ref(part: &Value, name: &str) -> bool {
    tagged(part, "Ref") == Some(name)
}
