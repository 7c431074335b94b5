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

/// SAM publishes a version when the template of a function changes, not when a parameter does. Its
/// description has to, and the version before must stay.
#[test]
fn a_parameter_alone_makes_a_version() -> Result<()> {
    let template = template()?;
    let parameters = template["Parameters"].as_mapping().context("no parameters")?;
    let parameters: BTreeSet<_> = parameters.keys().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut seen = 0;
    for (name, function) in functions(&template)? {
        let properties = &function["Properties"];
        let reach: BTreeSet<_> =
            references(&properties["Environment"]).intersection(&parameters).cloned().collect();
        let described = references(&properties["VersionDescription"]);
        assert!(reach.is_subset(&described), "{name} reads {reach:?}, its versions tell {described:?}");
        assert!(reach.is_empty() || function["UpdateReplacePolicy"] == "Retain", "{name} loses versions");
        seen += reach.len();
    }
    assert!(seen > 0, "no function reads a parameter");
    Ok(())
}

/// A version's description is replaced with the version, and Lambda publishes nothing of a function that is as it
/// was: a description that changes by itself makes the deployment fail. So whatever parameter is changed, on top of
/// whichever other is given, the description stays unless the function changes too.
#[test]
fn a_version_is_described_anew_only_where_its_function_changes() -> Result<()> {
    let template = template()?;
    let parameters = template["Parameters"].as_mapping().context("no parameters")?;
    let parameters: Vec<&str> = parameters.keys().filter_map(Value::as_str).collect();
    let mut described = 0;
    for (name, function) in functions(&template)? {
        let given = |given: Given| {
            let evaluated = |part: &Value| evaluate(part, &template, &given);
            let mut properties = function["Properties"].as_mapping().cloned().unwrap_or_default();
            let description = properties.remove("VersionDescription").unwrap_or_default();
            // Kept for the function, not for a version of it.
            properties.remove("ReservedConcurrentExecutions");
            Ok::<_, anyhow::Error>((evaluated(&description)?, evaluated(&Value::Mapping(properties))?))
        };
        for other in &parameters {
            for changed in &parameters {
                let with = |value| given(Given::from([(*other, "given"), (*changed, value)]));
                let [none, one, another] = [with("")?, with("one")?, with("another")?];
                for (before, after) in [(&none, &one), (&one, &another), (&another, &none)] {
                    let anew = before.0 != after.0;
                    ensure!(
                        !anew || before.1 != after.1,
                        "{changed} changes nothing of {name} but a description"
                    );
                    described += usize::from(anew);
                }
            }
        }
    }
    ensure!(described > 0, "no parameter is in any description");
    Ok(())
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
