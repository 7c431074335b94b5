//! Hooks: functions of the team's own that the state machine calls at four moments of a run.
//!
//! Which of them a run calls is settled here, before anything is touched. The call itself, and what
//! follows from its answer, is in the definition of the state machine.

use serde::{Deserialize, Serialize};

use crate::contract::Plan;
use crate::error::Error;
use crate::input::{Input, Operation};

/// The ARN of a Lambda function, which may name a version or alias, for each moment at which one is
/// called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hooks {
    /// The plan is made, nothing is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_run: Option<String>,
    /// A stage has shown what it must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_stage: Option<String>,
    /// The last one has, too, and what the run has reached is about to be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_swap: Option<String>,
    /// The run is over and has released its routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_end: Option<String>,
}

impl Hooks {
    /// Whether nothing is called.
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// The moments at which something is called, in their order, with the ARN.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("beforeRun", &self.before_run),
            ("afterStage", &self.after_stage),
            ("beforeSwap", &self.before_swap),
            ("afterEnd", &self.after_end),
        ];
        all.into_iter().filter_map(|(moment, arn)| Some((moment, arn.as_deref()?)))
    }
}

/// What the deployment says, as the text of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    /// JSON as in the input; empty for none.
    pub hooks: String,
    /// The ARNs of the functions that the state machine may invoke, without qualifiers and with commas
    /// between them; empty for none.
    pub functions: String,
}

/// Checks hooks and names the moment whose function is none.
pub(crate) fn check(hooks: &Hooks) -> Result<(), String> {
    match hooks.each().find(|(_, arn)| function(arn).is_none()) {
        None => Ok(()),
        Some((moment, arn)) => Err(format!(
            "`hooks.{moment}`: {arn:?} is not the ARN of a Lambda function, such as \
             arn:aws:lambda:eu-central-1:123456789012:function:check-release:3"
        )),
    }
}

/// The ARN of a function without the version or alias at its end; nothing where it is none.
fn function(arn: &str) -> Option<&str> {
    let word = |text: &str, signs: &str, most: usize| {
        (1..=most).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    let parts: Vec<&str> = arn.split(':').collect();
    let (unqualified, qualifier) = parts.split_at_checked(7)?;
    let ["arn", partition, "lambda", region, account, "function", name] = *unqualified else { return None };
    let account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if !(word(partition, "-", 20) && word(region, "-", 30) && account && word(name, "-_", 64)) {
        return None;
    }
    match *qualifier {
        [] => Some(arn),
        [qualifier] if word(qualifier, "-_$", 128) => arn.strip_suffix(qualifier)?.strip_suffix(':'),
        _ => None,
    }
}

/// The plan with the hooks that it calls, if the input or the deployment names any. A restore calls
/// nothing before its end, and what is wrong with that hook does not keep it from restoring.
///
/// # Errors
/// `PlanRejected`, naming the moment and what stands in the way.
pub fn planned(mut plan: Plan, input: &Input, configured: &Configured) -> Result<Plan, Error> {
    match (called(input, configured), input.operation) {
        (Ok(hooks), _) => plan.hooks = hooks,
        (Err(what), Operation::Restore) => plan.checks.push(format!("no hook is called, since {what}")),
        (Err(what), _) => {
            return Err(Error::rejected(format!("{}: {what}. Nothing was touched.", plan.app)));
        }
    }
    plan.checks.extend(plan.hooks.each().map(|(moment, arn)| format!("{moment} calls {arn}")));
    Ok(plan)
}

fn called(input: &Input, configured: &Configured) -> Result<Hooks, String> {
    let (whose, mut hooks) = match &input.hooks {
        Some(hooks) => ("", hooks.clone()),
        None => ("the deployment's Hooks: ", configured_hooks(&configured.hooks)?),
    };
    if input.operation == Operation::Restore {
        hooks = Hooks { after_end: hooks.after_end, ..Hooks::default() };
    }
    let allowed: Vec<&str> = configured.functions.split(',').map(str::trim).collect();
    let may_be_called = |arn: &str| function(arn).is_some_and(|function| allowed.contains(&function));
    if let Some((moment, arn)) = hooks.each().find(|(_, arn)| !may_be_called(arn)) {
        return Err(format!(
            "{whose}`hooks.{moment}`: the state machine may not invoke {arn}; add that function to HookFunctions in \
             the settings of the stack and deploy it, or leave the hook out"
        ));
    }
    Ok(hooks)
}

fn configured_hooks(text: &str) -> Result<Hooks, String> {
    if text.is_empty() {
        return Ok(Hooks::default());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read: Result<Hooks, _> = serde_path_to_error::deserialize(&mut json);
    let hooks =
        read.map_err(|error| format!("the deployment's Hooks: {}: {}", error.path(), error.inner()))?;
    check(&hooks).map_err(|what| format!("the deployment's Hooks: {what}"))?;
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    const CHECK: &str = "arn:aws:lambda:eu-central-1:123456789012:function:check";
    const TELL: &str = "arn:aws:lambda:eu-central-1:123456789012:function:tell";

    fn configured(hooks: &str, functions: &str) -> Configured {
        Configured { hooks: hooks.into(), functions: functions.into() }
    }

    fn planned_for(input: &Value, configured: &Configured) -> Result<Plan, Error> {
        let input = Input::parse(input)?;
        planned(testing::plan(json!({})), &input, configured)
    }

    #[test]
    fn a_function_is_known_with_and_without_its_qualifier() {
        for qualifier in ["", ":3", ":$LATEST", ":live-1"] {
            assert_eq!(function(&format!("{CHECK}{qualifier}")), Some(CHECK));
        }
        for arn in [
            "check",
            "arn:aws:lambda:eu-central-1:123456789012:function",
            "arn:aws:lambda:eu-central-1:123456789012:function:",
            "arn:aws:lambda:eu-central-1:123456789012:layer:check",
            "arn:aws:lambda:eu-central-1:1234:function:check",
            "arn:aws:sns:eu-central-1:123456789012:function:check",
            &format!("{CHECK}:"),
            &format!("{CHECK}:3:4"),
            &format!("{CHECK}*"),
            &format!("{CHECK} "),
        ] {
            assert_eq!(function(arn), None, "{arn}");
        }
    }

    #[test]
    fn the_input_comes_before_the_deployment() {
        let configured = configured(&json!({ "afterEnd": TELL }).to_string(), &format!("{CHECK}, {TELL}"));
        let theirs = planned_for(&json!({ "app": "web" }), &configured).unwrap();
        assert_eq!(theirs.hooks, Hooks { after_end: Some(TELL.into()), ..Hooks::default() });
        let version = format!("{CHECK}:3");
        let own = json!({ "app": "web", "hooks": { "beforeRun": version } });
        let own = planned_for(&own, &configured).unwrap();
        assert_eq!(own.hooks, Hooks { before_run: Some(version.clone()), ..Hooks::default() });
        assert!(own.checks.contains(&format!("beforeRun calls {version}")), "{:?}", own.checks);
        let none = planned_for(&json!({ "app": "web", "hooks": {} }), &configured).unwrap();
        assert!(none.hooks.is_empty());
    }

    #[test]
    fn what_may_not_be_called_is_refused_by_its_moment() {
        let unknown = json!({ "app": "web", "hooks": { "afterStage": TELL } });
        for (input, configured, says) in [
            (unknown.clone(), configured("", CHECK), "`hooks.afterStage`: the state machine may not invoke"),
            (unknown, configured("", ""), "HookFunctions"),
            (
                json!({ "app": "web" }),
                configured("{\"afterAll\": 1}", CHECK),
                "Hooks: afterAll: unknown field",
            ),
            (json!({ "app": "web" }), configured("{\"afterEnd\": \"tell\"}", ""), "Hooks: `hooks.afterEnd`"),
        ] {
            let error = planned_for(&input, &configured).unwrap_err();
            assert_eq!(error.kind.name(), "PlanRejected");
            assert!(error.message.contains(says), "{}", error.message);
            assert!(error.message.ends_with("Nothing was touched."), "{}", error.message);
        }
    }

    #[test]
    fn a_restore_calls_a_hook_at_its_end_only_and_is_never_refused_for_one() {
        let restore = json!({ "app": "web", "operation": "restore" });
        let both = json!({ "beforeRun": "arn:aws:lambda:eu-central-1:123456789012:function:gone", "afterEnd": TELL });
        let plan = planned_for(&restore, &configured(&both.to_string(), TELL)).unwrap();
        assert_eq!(plan.hooks, Hooks { after_end: Some(TELL.into()), ..Hooks::default() });
        for broken in [configured(&both.to_string(), CHECK), configured("{", TELL)] {
            let plan = planned_for(&restore, &broken).unwrap();
            assert!(plan.hooks.is_empty());
            assert!(plan.checks.iter().any(|check| check.starts_with("no hook is called, since ")));
        }
    }
}
