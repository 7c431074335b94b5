//! What was: `history` and `report`.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Session;
use crate::aws::{Deployment, Execution};
use crate::show::history::Past;
use crate::{Exit, show};

/// How far back the latest run of an app is looked for; Step Functions forgets one after ninety days.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Lists the runs since so many seconds ago, without those that only looked.
pub async fn history(session: &Session<'_>, app: Option<&str>, since: u32) -> Result<Exit> {
    let deployment = Deployment::find(session.common).await?;
    let now = Timestamp::now();
    let runs = deployment.runs(None, now - SignedDuration::from_secs(since.into())).await?;
    let of_app = |run: &&Execution| !run.is_dry_run() && app.is_none_or(|app| run.apps().contains(app));
    let runs: Vec<Past> = runs.iter().filter(of_app).map(past).collect();
    if session.common.json {
        show::json_line(&json!({ "runs": runs }));
    } else if runs.is_empty() {
        if let Some(app) = app {
            super::check_apps(&deployment, &[app]).await?;
        }
        println!("No run{} in this time.", app.map(|app| format!(" of {app}")).unwrap_or_default());
    } else {
        for line in show::history::lines(&runs, now, show::width()) {
            println!("{line}");
        }
    }
    Ok(Exit::Done)
}

fn past(run: &Execution) -> Past {
    let ending = run.ended.as_ref().map(|ended| {
        let said = ended.said.as_ref().map(|said| said.status.clone()).or_else(|| ended.error.clone());
        said.unwrap_or_else(|| ended.status.clone())
    });
    Past {
        started_at: run.started_at,
        stopped_at: run.stopped_at,
        apps: run.apps().into_iter().map(str::to_owned).collect(),
        operation: run.operation().to_owned(),
        release: run.release().map(str::to_owned),
        ending,
        started_by: run.input["startedBy"].as_str().map(str::to_owned),
        execution: run.name.clone(),
    }
}

/// Draws the page about a run.
pub async fn report(session: &Session<'_>, app: &str, execution: Option<&str>, file: &Path) -> Result<Exit> {
    let deployment = Deployment::find(session.common).await?;
    let arn = match execution {
        Some(name) => {
            let machine = deployment.state_machine.replacen(":stateMachine:", ":execution:", 1);
            format!("{machine}:{}", name.rsplit(':').next().unwrap_or(name))
        }
        None => latest(session, &deployment, app).await?,
    };
    let recording = report::collect::recording(&deployment.sfn, &deployment.cloudwatch, &arn).await?;
    std::fs::write(file, report::page::render(&recording))
        .with_context(|| format!("cannot write {}", file.display()))?;
    if session.common.json {
        show::json_line(&json!({ "execution": arn, "file": file }));
    } else {
        println!("{}", file.display());
    }
    Ok(Exit::Done)
}

async fn latest(session: &Session<'_>, deployment: &Deployment, app: &str) -> Result<String> {
    for item in deployment.executions(None, Timestamp::now() - REMEMBERED).await? {
        let run = deployment.execution(item.execution_arn).await?;
        if !run.is_dry_run() && run.apps().contains(app) {
            return Ok(run.arn);
        }
    }
    super::check_apps(deployment, &[app]).await?;
    anyhow::bail!(
        "no run of {app} is remembered. What was: failover history --since 90d{}",
        session.options()
    )
}
