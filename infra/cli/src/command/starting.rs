//! `plan`, and what starts a run.

use anyhow::{Context, Result, anyhow, bail};
use failover::input::Input;
use failover::model::Operation;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Session;
use super::watching::{self, Until};
use crate::Exit;
use crate::args::{Asked, Start};
use crate::aws::{self, Deployment};
use crate::{names, show};

/// Has the deployment make a plan, and shows it.
pub async fn plan(session: &Session<'_>, operation: Operation, asked: &Asked) -> Result<Exit> {
    let (deployment, arn) = begin(session, operation, asked, true).await?;
    let (run, execution) = watching::finish_quietly(&deployment, &arn).await?;
    let outcome = execution.ended.as_ref().and_then(|ended| ended.outcome.as_ref());
    let (Some(plan), Some(outcome)) = (run.plan.as_ref(), outcome) else {
        return watching::tell_end(session, &asked.app, &deployment, &run, &execution).await;
    };
    if session.common.json {
        show::json_line(outcome);
        return Ok(Exit::Done);
    }
    for line in show::plan::lines(plan, Timestamp::now(), show::width()) {
        println!("{line}");
    }
    println!("\n{}", show::wrapped(&outcome.summary, 0, show::width()));
    Ok(Exit::Done)
}

/// Starts a run, and says what it is going to do or why it does not.
pub async fn start(session: &Session<'_>, operation: Operation, start: &Start) -> Result<Exit> {
    let (deployment, arn) = begin(session, operation, &start.asked, false).await?;
    let until = if start.watch { Until::End } else { Until::Begun };
    watching::follow(session, &start.asked.app, &deployment, &arn, until).await
}

async fn begin(
    session: &Session<'_>,
    operation: Operation,
    asked: &Asked,
    dry_run: bool,
) -> Result<(Deployment, String)> {
    let given = match &asked.input {
        None => Value::Object(Map::new()),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?
        }
    };
    let input = input(operation, asked, dry_run, &given, &who(|name| std::env::var(name).ok()))?;
    // What is wrong in itself is refused without asking anybody.
    let checked = Input::parse(&input).map_err(|error| anyhow!(error.message))?;
    let deployment = Deployment::find(session.common).await?;
    if checked.fleets.is_none() {
        let apps: Vec<&str> = checked.app.names().iter().map(String::as_str).collect();
        super::check_apps(&deployment, &apps).await?;
    }
    let at = Timestamp::now();
    for seconds in [false, true] {
        let name = names::execution(
            checked.app.names(),
            operation,
            dry_run,
            checked.release.as_deref(),
            at,
            seconds,
        );
        if let Some(arn) = aws::start(&deployment, &name, &input).await? {
            if !session.common.json && !dry_run {
                println!("Started {name}");
            }
            return Ok((deployment, arn));
        }
    }
    bail!("a run of this name was started within this second; try again")
}

/// The input of the execution: what the file gives, and over it what was typed.
fn input(operation: Operation, asked: &Asked, dry_run: bool, given: &Value, who: &str) -> Result<Value> {
    let Value::Object(given) = given else { bail!("the file of --input must hold a JSON object") };
    for typed in ["app", "operation", "dryRun"] {
        if given.contains_key(typed) {
            bail!("`{typed}` is typed, not given in the file of --input; take it out there");
        }
    }
    let apps: Vec<&str> = asked.app.split(',').map(str::trim).filter(|app| !app.is_empty()).collect();
    let mut input = given.clone();
    let mut put = |field: &str, value: Value| input.insert(field.to_owned(), value);
    put("app", if let [app] = apps[..] { app.into() } else { apps.into() });
    put("operation", operation.word().into());
    if !given.contains_key("startedBy") {
        put("startedBy", who.into());
    }
    if let Some(release) = &asked.release {
        put("release", release.as_str().into());
    }
    if !asked.stages.is_empty() {
        put("stages", json!(asked.stages));
    }
    if !asked.approve_before.is_empty() {
        put("approveBefore", json!(asked.approve_before));
    }
    if dry_run {
        put("dryRun", true.into());
    }
    Ok(Value::Object(input))
}

/// Who types, for the notices.
fn who(variable: impl Fn(&str) -> Option<String>) -> String {
    let name = ["USER", "LOGNAME"].into_iter().find_map(variable).filter(|name| !name.trim().is_empty());
    name.map_or_else(|| "the command failover".into(), |name| format!("{name}, by the command failover"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(app: &str) -> Asked {
        Asked { app: app.into(), release: None, stages: Vec::new(), approve_before: Vec::new(), input: None }
    }

    #[test]
    fn what_is_typed_becomes_an_input_that_the_functions_take() {
        let full = Asked {
            release: Some("v42".into()),
            stages: vec![10, 100],
            approve_before: vec![100],
            ..asked("web")
        };
        let made =
            input(Operation::Shift, &full, false, &json!({ "bake": "10m", "release": "v1" }), "ada").unwrap();
        assert_eq!(
            made,
            json!({
                "app": "web", "operation": "shift", "release": "v42", "stages": [10, 100], "approveBefore": [100],
                "bake": "10m", "startedBy": "ada"
            })
        );
        let parsed = Input::parse(&made).unwrap();
        assert_eq!(parsed.operation, Operation::Shift);
        for operation in
            [Operation::Drain, Operation::Shift, Operation::Balance, Operation::Failback, Operation::Restore]
        {
            let made = input(operation, &asked("web, portal"), true, &json!({}), "ada").unwrap();
            assert_eq!(Input::parse(&made).unwrap().app.names(), ["web", "portal"]);
        }
    }

    #[test]
    fn a_file_does_not_say_what_is_typed() {
        let refused = input(Operation::Shift, &asked("web"), false, &json!({ "app": "portal" }), "ada");
        assert!(refused.unwrap_err().to_string().contains("`app`"));
        assert!(input(Operation::Shift, &asked("web"), false, &json!([]), "ada").is_err());
        let kept =
            input(Operation::Shift, &asked("web"), false, &json!({ "startedBy": "a pipeline" }), "ada")
                .unwrap();
        assert_eq!(kept["startedBy"], "a pipeline");
    }

    #[test]
    fn notices_say_who_typed() {
        assert_eq!(who(|name| (name == "LOGNAME").then(|| "ada".into())), "ada, by the command failover");
        assert_eq!(who(|_| None), "the command failover");
    }
}
