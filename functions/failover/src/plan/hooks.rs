//! Which hooks a run calls: settled here, before anything is touched. The call itself, and what follows
//! from its answer, is in the definition of the state machine.

use crate::input::Input;
use crate::input::hooks::{ConfiguredHooks, configured_hooks, function};
use crate::model::error::Error;
use crate::model::hooks::Hooks;
use crate::model::{Operation, Plan};

/// The plan with the hooks that it calls, if the input or the deployment names any. A restore calls
/// none: nothing may keep it from restoring.
///
/// # Errors
/// `PlanRejected`, naming the moment and what stands in the way.
pub fn planned(mut plan: Plan, input: &Input, configured: &ConfiguredHooks) -> Result<Plan, Error> {
    if input.operation == Operation::Restore {
        return Ok(plan);
    }
    plan.hooks = called(input, configured)
        .map_err(|what| Error::rejected(format!("{}: {what}. Nothing was touched.", plan.app)))?;
    plan.checks.extend(plan.hooks.each().map(|(moment, arn)| format!("{moment} calls {arn}")));
    Ok(plan)
}

fn called(input: &Input, configured: &ConfiguredHooks) -> Result<Hooks, String> {
    let (whose, hooks) = match &input.hooks {
        Some(hooks) => ("", hooks.clone()),
        None => ("the deployment's Hooks: ", configured_hooks(&configured.hooks)?),
    };
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    const CHECK: &str = "arn:aws:lambda:eu-central-1:123456789012:function:check";
    const TELL: &str = "arn:aws:lambda:eu-central-1:123456789012:function:tell";

    fn configured(hooks: &str, functions: &str) -> ConfiguredHooks {
        ConfiguredHooks { hooks: hooks.into(), functions: functions.into() }
    }

    fn planned_for(input: &Value, configured: &ConfiguredHooks) -> Result<Plan, Error> {
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
        let configured = configured(&json!({ "afterStage": TELL }).to_string(), &format!("{CHECK}, {TELL}"));
        let theirs = planned_for(&json!({ "app": "web" }), &configured).unwrap();
        assert_eq!(theirs.hooks, Hooks { after_stage: Some(TELL.into()), ..Hooks::default() });
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
            (
                json!({ "app": "web" }),
                configured("{\"afterStage\": \"tell\"}", ""),
                "Hooks: `hooks.afterStage`",
            ),
        ] {
            let error = planned_for(&input, &configured).unwrap_err();
            assert_eq!(error.kind.name(), "PlanRejected");
            assert!(error.message.contains(says), "{}", error.message);
            assert!(error.message.ends_with("Nothing was touched."), "{}", error.message);
        }
    }

    #[test]
    fn a_restore_calls_none_and_is_never_refused_for_one() {
        let restore = json!({ "app": "web", "operation": "restore" });
        let both = json!({ "beforeRun": CHECK, "afterStage": TELL }).to_string();
        for configured in
            [configured(&both, &format!("{CHECK},{TELL}")), configured(&both, ""), configured("{", "")]
        {
            assert!(planned_for(&restore, &configured).unwrap().hooks.is_empty());
        }
    }
}
