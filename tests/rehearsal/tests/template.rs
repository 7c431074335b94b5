//! What an upgrade in place relies on, for every function of the template.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
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
