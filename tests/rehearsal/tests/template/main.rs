//! What an upgrade in place relies on, for every function of the template.

mod roles;
mod watchers;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use rehearsal::root;
use yaml_serde::Value;

/// Executions call versions: what is named in the definition and allowed to its role.
#[test]
fn the_definition_names_versions() -> Result<()> {
    let template = template()?;
    let machine = &template["Resources"]["FailoverStateMachine"]["Properties"];
    let role = yaml_serde::to_string(&template["Resources"]["FailoverStateMachineRole"])?;
    for (name, _) in functions(&template)? {
        let named = references(&machine["DefinitionSubstitutions"][&format!("{name}Arn")[..]]);
        assert_eq!(named, BTreeSet::from([format!("{name}.Version")]), "{name}");
        assert!(role.contains(&format!("${{{name}.Arn}}:*")), "the state machine may not call every {name}");
    }
    Ok(())
}

/// Of a function, kept for it and not for a version of it. What is signed is another package anyway.
const OF_NO_VERSION: [&str; 3] =
    ["VersionDescription", "ReservedConcurrentExecutions", "CodeSigningConfigArn"];

/// What is built for another architecture is another package, which makes a version by itself.
const ANOTHER_PACKAGE: &str = "Architecture";

/// SAM publishes a version when the template of a function changes, not when a parameter does: its description has
/// to. A version's description is replaced with the version, though, and Lambda publishes nothing of a function that
/// is as it was: a description that changes by itself makes the deployment fail. So whatever parameter is changed, on
/// top of whichever other is given, the description changes with the function, and never alone.
#[test]
fn a_version_is_described_anew_where_its_function_changes_and_nowhere_else() -> Result<()> {
    let template = template()?;
    let parameters = parameters(&template)?;
    let mut described = BTreeSet::new();
    for (name, function) in functions(&template)? {
        let (description, properties) = described_and_done(&template, function)?;
        let given = |given: Given| {
            let evaluated = |part: &Value| evaluate(part, &template, &given);
            Ok::<_, anyhow::Error>((evaluated(&description)?, evaluated(&properties)?))
        };
        for other in parameters.keys() {
            for (changed, values) in &parameters {
                if changed == other || *changed == ANOTHER_PACKAGE {
                    continue;
                }
                let given_other = parameters[other].last().map_or("", String::as_str);
                let with = |value| given(Given::from([(*other, given_other), (*changed, value)]));
                let versions: Vec<_> = values.iter().map(|value| with(value)).collect::<Result<_>>()?;
                for (before, after) in versions.iter().zip(versions.iter().cycle().skip(1)) {
                    let (anew, another) = (before.0 != after.0, before.1 != after.1);
                    ensure!(!anew || another, "{changed} changes nothing of {name} but a description");
                    ensure!(anew || !another, "{changed} changes {name}, and no version is published");
                    if anew {
                        described.insert((name, *changed));
                    }
                }
            }
        }
    }
    let traced = described.iter().filter(|(_, changed)| *changed == "Tracing").count();
    ensure!(traced == functions(&template)?.len(), "tracing is in {traced} descriptions");
    ensure!(described.contains(&("PlanShiftFunction", "Windows")), "{described:?}");
    Ok(())
}

/// Executions that go on call the version before, so a version stays when another description replaces it. Lambda
/// takes no description of more than 256 characters.
#[test]
fn versions_stay_and_their_descriptions_fit() -> Result<()> {
    let template = template()?;
    let parameters = parameters(&template)?;
    for (name, function) in functions(&template)? {
        assert!(function["UpdateReplacePolicy"] == "Retain", "{name} loses versions");
        let (description, _) = described_and_done(&template, function)?;
        let longest: Vec<(&str, String)> = parameters
            .iter()
            .map(|(parameter, values)| {
                let most = template["Parameters"][*parameter]["MaxLength"].as_u64().unwrap_or(2);
                let long = "x".repeat(usize::try_from(most)?);
                let allowed = values.iter().filter(|value| !FREE.contains(&value.as_str()));
                Ok((*parameter, allowed.max_by_key(|value| value.len()).cloned().unwrap_or(long)))
            })
            .collect::<Result<_>>()?;
        let mut given: Given = longest.iter().map(|(name, value)| (*name, value.as_str())).collect();
        given.insert("Tracing", "Active");
        let length = evaluate(&description, &template, &given)?.len();
        assert!(length <= 256, "the description of {name} may have {length} characters");
    }
    Ok(())
}

/// What a parameter is tried with that may be anything.
const FREE: [&str; 3] = ["", "one", "another"];

/// The parameters, each with what it is tried with.
fn parameters(template: &Value) -> Result<BTreeMap<&str, Vec<String>>> {
    let parameters = template["Parameters"].as_mapping().context("no parameters")?;
    let tried = parameters.iter().filter_map(|(name, parameter)| {
        let allowed = parameter.get("AllowedValues").and_then(Value::as_sequence);
        let free = || FREE.map(str::to_owned).to_vec();
        let text = |value: &Value| value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned);
        Some((name.as_str()?, allowed.map_or_else(free, |values| values.iter().map(text).collect())))
    });
    Ok(tried.collect())
}

/// The description of a function's versions, and everything that is frozen in them.
fn described_and_done(template: &Value, function: &Value) -> Result<(Value, Value)> {
    let globals = template["Globals"]["Function"].as_mapping().context("no globals")?;
    let own = function["Properties"].as_mapping().context("no properties")?;
    let all: Vec<_> = globals.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect();
    let frozen =
        all.iter().filter(|(name, _)| !name.as_str().is_some_and(|name| OF_NO_VERSION.contains(&name)));
    Ok((function["Properties"]["VersionDescription"].clone(), Value::Mapping(frozen.cloned().collect())))
}

fn template() -> Result<Value> {
    Ok(yaml_serde::from_str(&std::fs::read_to_string(root().join("infra/template.yaml"))?)?)
}

fn functions(template: &Value) -> Result<Vec<(&str, &Value)>> {
    let resources = template["Resources"].as_mapping().context("no resources")?;
    let named = resources.iter().filter_map(|(name, resource)| Some((name.as_str()?, resource)));
    Ok(named.filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function").collect())
}

/// The names that a part of the template refers to by `!Ref` and `!Sub`.
fn references(part: &Value) -> BTreeSet<String> {
    match part {
        Value::Tagged(tagged) => match (&tagged.tag.to_string()[..], tagged.value.as_str()) {
            ("!Ref", Some(name)) => BTreeSet::from([name.to_owned()]),
            ("!Sub", Some(text)) => {
                text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect()
            }
            _ => references(&tagged.value),
        },
        Value::Sequence(parts) => parts.iter().flat_map(references).collect(),
        Value::Mapping(parts) => parts.values().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

/// The parameters that are not empty.
type Given<'a> = BTreeMap<&'a str, &'a str>;

/// What a part of the template comes to, as text. Of another resource only the name is known, of an intrinsic
/// function that is not known here nothing.
fn evaluate(part: &Value, template: &Value, given: &Given) -> Result<String> {
    let known = |name: &str| match template["Parameters"].get(name) {
        Some(_) => given.get(name).copied().unwrap_or_default().to_owned(),
        None => name.to_owned(),
    };
    let several = |parts: &[Value]| -> Result<Vec<String>> {
        parts.iter().map(|part| evaluate(part, template, given)).collect()
    };
    Ok(match part {
        Value::Tagged(tagged) => match (&tagged.tag.to_string()[..], &tagged.value) {
            ("!Ref", Value::String(name)) => known(name),
            ("!Sub", Value::String(text)) => {
                let parts = text.split("${").map(|part| match part.split_once('}') {
                    Some((name, rest)) => known(name) + rest,
                    None => part.to_owned(),
                });
                parts.collect()
            }
            ("!GetAtt", Value::String(name)) => name.clone(),
            ("!Split", Value::Sequence(parts)) => several(parts)?.join(" by "),
            ("!Join", Value::Sequence(parts)) => {
                let [Value::String(between), Value::Sequence(joined)] = &parts[..] else {
                    bail!("a Join of {parts:?}")
                };
                several(joined)?.join(between)
            }
            ("!If", Value::Sequence(parts)) => {
                let [Value::String(condition), yes, no] = &parts[..] else { bail!("an If of {parts:?}") };
                let holds = holds(&template["Conditions"][&condition[..]], template, given)?;
                evaluate(if holds { yes } else { no }, template, given)?
            }
            (tag, value) => bail!("{tag} {value:?} is not known here"),
        },
        Value::Sequence(parts) => several(parts)?.join(", "),
        Value::Mapping(parts) => {
            let parts = parts.iter().map(|(name, part)| {
                Ok(format!("{}: {}", name.as_str().unwrap_or_default(), evaluate(part, template, given)?))
            });
            parts.collect::<Result<Vec<_>>>()?.join(", ")
        }
        Value::String(text) => text.clone(),
        other => yaml_serde::to_string(other)?,
    })
}

/// Whether a condition holds.
fn holds(condition: &Value, template: &Value, given: &Given) -> Result<bool> {
    let Value::Tagged(tagged) = condition else { bail!("{condition:?} is no condition") };
    let parts = tagged.value.as_sequence().map_or(&[][..], Vec::as_slice);
    let each = || parts.iter().map(|part| holds(part, template, given)).collect::<Result<Vec<_>>>();
    Ok(match (&tagged.tag.to_string()[..], &tagged.value) {
        ("!Condition", Value::String(name)) => holds(&template["Conditions"][&name[..]], template, given)?,
        ("!Equals", _) => evaluate(&parts[0], template, given)? == evaluate(&parts[1], template, given)?,
        ("!Not", _) => !holds(&parts[0], template, given)?,
        ("!And", _) => each()?.into_iter().all(|holds| holds),
        ("!Or", _) => each()?.into_iter().any(|holds| holds),
        (tag, value) => bail!("{tag} {value:?} is not known here"),
    })
}
