//! `status`: every app now.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use aws_sdk_sfn::types::ExecutionStatus;
use failover::aws::discover::{self, Asking, Wanted};
use failover::input::Input;
use failover::model::weights::split;
use jiff::Timestamp;
use serde_json::json;

use super::{Session, check_names, known_apps};
use crate::aws::{Deployment, Execution, Follower};
use crate::show::status::{AppStatus, Running};
use crate::{Exit, show};

/// Shows every app, or one.
pub async fn show(session: &Session<'_>, app: Option<&str>) -> Result<Exit> {
    let deployment = Deployment::find(session.common).await?;
    let settings = deployment.settings().await?;
    let known = known_apps(&deployment, &settings).await?;
    if let Some(app) = app {
        check_names(&settings, &known, &[app])?;
    }
    let named = known.iter().filter(|(name, _)| app.is_none_or(|app| app == *name));
    let (whole, half): (Vec<_>, Vec<_>) = named.partition(|(_, fleets)| **fleets == 2);
    let wanted = whole.iter().map(|(name, _)| {
        let groups = discover::by_pattern(name, &settings.pattern, &settings.fleets);
        Ok(((*name).clone(), groups.map_err(|error| anyhow!(error.message))?))
    });
    let wanted: Vec<Wanted> = wanted.collect::<Result<_>>()?;
    let apps = statuses(&deployment, &wanted).await?;
    if session.common.json {
        show::json_line(&json!({ "apps": apps }));
        return Ok(Exit::Done);
    }
    if apps.is_empty() && half.is_empty() {
        println!(
            "No app is behind {}: no target group there is named {}.",
            settings.balancer, settings.pattern
        );
        return Ok(Exit::Done);
    }
    for line in show::status::lines(&apps, show::width()) {
        println!("{line}");
    }
    for (name, _) in half {
        println!("{name}: only one of its two target groups exists, so it cannot be moved");
    }
    Ok(Exit::Done)
}

async fn statuses(deployment: &Deployment, wanted: &[Wanted]) -> Result<Vec<AppStatus>> {
    let Some((first, _)) = wanted.first() else { return Ok(Vec::new()) };
    let now = Timestamp::now();
    let input = Input::parse(&json!({ "app": first })).map_err(|error| anyhow!(error.message))?;
    let asking = Asking { input: &input, execution: "", chain: &[], propagation_seconds: 0, now };
    let found = discover::find(&deployment.balancer, &deployment.sfn, asking, wanted).await;
    let found = found.map_err(|error| anyhow!(error.message))?;
    let runs = deployment.runs(Some(ExecutionStatus::Running), Timestamp::MIN).await?;
    let mut going_on: BTreeMap<&str, Running> = BTreeMap::new();
    for run in runs.iter().filter(|run| !run.is_dry_run()) {
        let running = running(deployment, run).await?;
        // The oldest comes last, and holds the routes.
        going_on.extend(run.apps().into_iter().map(|app| (app, running.clone())));
    }
    let status = |app| show::status::status(app, going_on.get(app.name.as_str()).cloned(), now);
    Ok(found.apps.iter().map(status).collect())
}

/// What a run does, and where it is.
async fn running(deployment: &Deployment, run: &Execution) -> Result<Running> {
    let mut follower = Follower::new(deployment, &run.arn);
    follower.look().await?;
    let release = run.release().map(|release| format!(" {release}")).unwrap_or_default();
    let stages = follower.run.plan.as_ref().map_or(0, |plan| plan.stages.len());
    let state = match (follower.run.progress.timeline.last(), follower.run.rolled_back) {
        (_, Some(_)) => ", puts back what it found".into(),
        (Some(last), None) => format!(", stage {} of {stages}: {}", last.stage + 1, split(&last.weights)),
        (None, None) => ", about to begin".into(),
    };
    let waits = if follower.run.progress.waits_since.is_some() { ", waits for an approval" } else { "" };
    let live = follower.run.plan.as_ref().map(|plan| plan.live.clone());
    Ok(Running {
        execution: run.name.clone(),
        live,
        what: format!("{}{release}{state}{waits}", run.operation()),
    })
}
