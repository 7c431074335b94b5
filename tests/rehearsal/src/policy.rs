//! What a role allows, held against what it is used for.
//!
//! Understands the part of IAM's language that the template uses and refuses the rest, so that
//! nothing is taken for allowed or refused that IAM would judge otherwise.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::uses::Use;

/// What a role allows.
#[derive(Clone, Debug)]
pub struct Policy(Vec<Statement>);

/// Actions that are allowed on resources.
#[derive(Clone, Debug)]
struct Statement {
    /// Each one listed.
    actions: Vec<String>,
    /// ARNs, of which a star at the end stands for any ending.
    resources: Vec<String>,
    /// What a request must say of itself, by the key.
    conditions: Vec<(String, Condition)>,
}

#[derive(Clone, Debug)]
enum Condition {
    /// Something.
    Something,
    /// Nothing but these; saying nothing is fine.
    Among(Vec<String>),
}

impl Policy {
    /// Reads the documents of a role.
    ///
    /// # Errors
    /// If they say anything that is not understood here.
    pub fn parse<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Result<Self> {
        let mut statements = Vec::new();
        for document in documents {
            ensure!(document["Version"] == "2012-10-17", "a policy of another language: {document}");
            for statement in several(&document["Statement"]) {
                statements.push(Statement::parse(statement).with_context(|| statement.to_string())?);
            }
        }
        Ok(Self(statements))
    }

    /// Whether this use is allowed.
    pub fn allows(&self, used: &Use) -> bool {
        self.0.iter().any(|statement| statement.allows(used))
    }

    /// What is allowed and no use needs: every action on every resource with every value that a condition
    /// lists counts for itself.
    pub fn unused(&self, uses: &[&Use]) -> Vec<String> {
        let unused = |statement: &Statement| {
            let needed: Vec<&&Use> = uses.iter().filter(|used| statement.allows(used)).collect();
            let parts = statement.parts();
            let idle = parts.into_iter().filter(|part| !needed.iter().any(|used| part.needed_for(used)));
            idle.map(|part| part.shown()).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(unused).collect()
    }
}

impl Statement {
    fn parse(statement: &Value) -> Result<Self> {
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        let fields = statement.as_object().context("no statement")?;
        ensure!(fields.keys().all(|field| known.contains(&field.as_str())), "a field that is not known");
        ensure!(statement["Effect"] == "Allow", "an effect that is not known");
        let (actions, resources) = (texts(&statement["Action"])?, texts(&statement["Resource"])?);
        ensure!(!actions.iter().any(|action| action.contains(['*', '?'])), "an action that is not listed");
        let ending =
            |resource: &String| resource.strip_suffix('*').unwrap_or(resource).contains(['*', '?', '$']);
        ensure!(!resources.iter().any(ending), "a wildcard that is not at the end");
        let mut conditions = Vec::new();
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                let among = Condition::Among(texts(values)?);
                let read = match (operator.as_str(), key.as_str()) {
                    ("Null", _) if *values == "false" => vec![Condition::Something],
                    // Keys that have several values, which `StringEquals` alone is not for.
                    ("ForAllValues:StringEquals", "aws:TagKeys" | "events:source") => vec![among],
                    _ => bail!("a condition that is not known"),
                };
                conditions.extend(read.into_iter().map(|condition| (key.clone(), condition)));
            }
        }
        let among = conditions.iter().filter(|(_, condition)| matches!(condition, Condition::Among(_)));
        ensure!(among.count() < 2, "more than one list of values");
        Ok(Self { actions, resources, conditions })
    }

    fn allows(&self, used: &Use) -> bool {
        self.actions.contains(&used.action)
            && self.resources.iter().any(|pattern| matches(pattern, &used.resource))
            && self.conditions.iter().all(|(key, condition)| match (condition, used.says.get(key)) {
                (Condition::Something, said) => said.is_some(),
                (Condition::Among(values), said) => {
                    said.into_iter().flatten().all(|value| values.contains(value))
                }
            })
    }

    fn parts(&self) -> Vec<Part<'_>> {
        let lists = self.conditions.iter().find_map(|(key, condition)| match condition {
            Condition::Among(values) => Some(values.iter().map(|value| Some((key.as_str(), value.as_str())))),
            Condition::Something => None,
        });
        let said = lists.map_or(vec![None], Iterator::collect);
        let mut parts = Vec::new();
        for action in &self.actions {
            for resource in &self.resources {
                parts.extend(said.iter().map(|says| Part { action, resource, says: *says }));
            }
        }
        parts
    }
}

/// The least that a statement can allow.
struct Part<'a> {
    action: &'a str,
    resource: &'a str,
    says: Option<(&'a str, &'a str)>,
}

impl Part<'_> {
    fn needed_for(&self, used: &Use) -> bool {
        let said = |(key, value)| used.says.get(key).is_some_and(|said| said.contains(value));
        self.action == used.action && matches(self.resource, &used.resource) && self.says.is_none_or(said)
    }

    fn shown(&self) -> String {
        let says = self.says.map(|(key, value)| format!(", {key} {value}")).unwrap_or_default();
        format!("{} on {}{says}", self.action, self.resource)
    }
}

fn matches(pattern: &str, resource: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == resource, |begins| resource.starts_with(begins))
        // What is not known is about nothing, and not even a star allows it.
        && !resource.is_empty()
}

/// One or a list of them.
fn several(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn texts(value: &Value) -> Result<Vec<String>> {
    several(value).iter().map(|text| text.as_str().map(Into::into).context("no text")).collect()
}

/// What is wrong with the roles, by who has them: a use that is not allowed; something beside a use that
/// is allowed too, though it is done to another stack's or another balancer's, or says something else;
/// and, where the uses are `all` that there are, what is allowed without being used.
pub fn judge(
    roles: &BTreeMap<String, Policy>,
    uses: &BTreeSet<Use>,
    names: &[&str],
    all: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for used in uses {
        let Some(policy) = roles.get(&used.who) else {
            wrong.push(format!("{used}, by nobody that is deployed"));
            continue;
        };
        if !policy.allows(used) {
            wrong.push(format!("{used} is not allowed"));
        }
        wrong.extend(
            beside(used, names)
                .iter()
                .filter(|other| policy.allows(other))
                .map(|other| format!("{other} is allowed")),
        );
    }
    for (who, policy) in roles.iter().filter(|_| all) {
        let own: Vec<&Use> = uses.iter().filter(|used| used.who == *who).collect();
        wrong.extend(policy.unused(&own).iter().map(|part| format!("{who} does not need {part}")));
    }
    wrong
}

/// The same done to what belongs to somebody else: `names` are those of the stack and its balancer.
fn beside(used: &Use, names: &[&str]) -> Vec<Use> {
    let mut others = Vec::new();
    let resource = names.iter().fold(used.resource.clone(), |arn, name| arn.replace(name, "other"));
    if resource != used.resource {
        others.push(Use { resource, ..used.clone() });
    }
    for key in used.says.keys() {
        let (mut less, mut more) = (used.clone(), used.clone());
        less.says.remove(key);
        more.says.entry(key.clone()).or_default().insert("other".into());
        others.extend([less, more]);
    }
    others
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: &str = "arn:aws:elasticloadbalancing:r:a:listener-rule/app/ours/*";
    const LISTENERS: &str = "arn:aws:elasticloadbalancing:r:a:listener/app/ours/*";

    fn role() -> Value {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": ["elb:Describe", "elb:Look"], "Resource": "*" },
            {
                "Effect": "Allow", "Action": "elb:AddTags", "Resource": [RULES, LISTENERS],
                "Condition": {
                    "Null": { "aws:TagKeys": "false" },
                    "ForAllValues:StringEquals": { "aws:TagKeys": ["claim", "live"] },
                },
            },
        ] })
    }

    fn tag(resource: &str, keys: &[&str]) -> Use {
        let tagged = Use::new("tagger", "elb:AddTags", resource.replace('*', "1/2"));
        tagged.saying("aws:TagKeys", keys.iter().map(ToString::to_string))
    }

    fn uses() -> BTreeSet<Use> {
        let looks = ["elb:Describe", "elb:Look"].map(|action| Use::new("tagger", action, "*"));
        let tags = [tag(RULES, &["claim", "live"]), tag(LISTENERS, &["live"]), tag(LISTENERS, &["claim"])];
        looks.into_iter().chain(tags).collect()
    }

    fn judged(role: &Value, uses: &BTreeSet<Use>, all: bool) -> Vec<String> {
        let policy = Policy::parse([role]).unwrap();
        judge(&BTreeMap::from([("tagger".to_owned(), policy)]), uses, &["ours"], all)
    }

    /// The role with something of its second statement changed.
    fn changed(change: impl FnOnce(&mut Value)) -> Value {
        let mut role = role();
        change(&mut role["Statement"][1]);
        role
    }

    #[test]
    fn a_role_that_allows_what_is_used_and_no_more_is_right() {
        assert_eq!(judged(&role(), &uses(), true), Vec::<String>::new());
    }

    #[test]
    fn whatever_is_taken_from_a_role_is_missed() {
        for action in ["elb:Describe", "elb:Look"] {
            let mut less = role();
            less["Statement"][0]["Action"].as_array_mut().unwrap().retain(|listed| listed != action);
            assert_eq!(judged(&less, &uses(), false), [format!("tagger: {action} on * is not allowed")]);
        }
        let fewer = [
            changed(|tagging| tagging["Action"] = "elb:RemoveTags".into()),
            changed(|tagging| tagging["Resource"] = RULES.into()),
            changed(|tagging| {
                tagging["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] = "live".into();
            }),
        ];
        for less in fewer {
            let wrong = judged(&less, &uses(), false);
            assert!(wrong.iter().any(|found| found.ends_with("is not allowed")), "{wrong:?}");
        }
    }

    #[test]
    fn whatever_is_added_to_a_role_is_noticed() {
        let mut more = role();
        more["Statement"][0]["Action"].as_array_mut().unwrap().push("elb:Delete".into());
        assert_eq!(judged(&more, &uses(), true), ["tagger does not need elb:Delete on *"]);
        let groups = "arn:aws:elasticloadbalancing:r:a:targetgroup/*";
        let more = changed(|tagging| tagging["Resource"].as_array_mut().unwrap().push(groups.into()));
        let tags = ["claim", "live"]
            .map(|k| format!("tagger does not need elb:AddTags on {groups}, aws:TagKeys {k}"));
        assert_eq!(judged(&more, &uses(), true), tags);
        let keys = json!(["claim", "live", "release"]);
        let more = changed(|tagging| tagging["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"] = keys);
        assert_eq!(judged(&more, &uses(), true).len(), 2);
        // Nobody can say so who has seen a part of the uses only.
        assert!(judged(&more, &uses(), false).is_empty());
    }

    #[test]
    fn whatever_reaches_beyond_what_is_ours_is_noticed() {
        let wider = [
            changed(|tagging| tagging["Resource"] = "*".into()),
            changed(|tagging| tagging["Resource"][0] = RULES.replace("ours/", "").into()),
            changed(|tagging| tagging["Condition"] = json!({})),
            changed(|tagging| drop(tagging["Condition"].as_object_mut().unwrap().remove("Null"))),
        ];
        for wider in wider {
            let wrong = judged(&wider, &uses(), false);
            assert!(
                !wrong.is_empty() && wrong.iter().all(|found| found.ends_with("is allowed")),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn where_events_come_from_must_be_said_and_right() {
        let condition = json!({
            "Null": { "events:source": "false" },
            "ForAllValues:StringEquals": { "events:source": "ours" },
        });
        let sending =
            json!({ "Effect": "Allow", "Action": "elb:Send", "Resource": "*", "Condition": condition });
        let role = json!({ "Version": "2012-10-17", "Statement": sending });
        let send = Use::new("tagger", "elb:Send", "*");
        let judged = |used: Use| judged(&role, &BTreeSet::from([used]), true);
        assert_eq!(judged(send.clone().saying("events:source", ["ours".to_owned()])), Vec::<String>::new());
        assert!(!judged(send.clone().saying("events:source", ["theirs".to_owned()])).is_empty());
        assert!(!judged(send).is_empty());
    }

    #[test]
    fn what_nobody_is_known_to_do_is_never_allowed() {
        let unknown = BTreeSet::from([Use::new("tagger", "elb:Look", "")]);
        assert_eq!(judged(&role(), &unknown, false).len(), 1);
        let stranger = BTreeSet::from([Use::new("stranger", "elb:Look", "*")]);
        assert_eq!(judged(&role(), &stranger, false).len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let unknown = [
            changed(|tagging| tagging["Effect"] = "Deny".into()),
            changed(|tagging| tagging["NotAction"] = "elb:Look".into()),
            changed(|tagging| tagging["Action"] = "elb:*".into()),
            changed(|tagging| tagging["Resource"] = "arn:*:listener/app/ours/*".into()),
            changed(|tagging| tagging["Condition"]["StringLike"] = json!({ "aws:TagKeys": "failover:*" })),
            changed(|tagging| tagging["Condition"]["Null"] = json!({ "aws:TagKeys": "true" })),
            changed(|tagging| tagging["Condition"] = json!({ "StringEquals": { "events:source": "ours" } })),
        ];
        for role in unknown {
            assert!(Policy::parse([&role]).is_err(), "{role}");
        }
    }
}
