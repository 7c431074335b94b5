//! Carries out what was typed.

mod asking;
mod past;
mod starting;
mod status;
mod watching;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use aws_sdk_sfn::types::ExecutionStatus;
use failover::model::Operation;
use jiff::Timestamp;

use crate::Exit;
use crate::args::{Args, Command, Common};
use crate::ask::Wish;
use crate::aws::{self, Deployment, Execution};
use crate::names;
use crate::settings::Settings;

/// The stack that a command is about where none is named.
const STACK: &str = "failover";

/// Carries out a command.
pub async fn carry_out(args: &Args) -> Result<Exit> {
    let session = Session { common: &args.common };
    match &args.command {
        Command::Status { app } => status::show(&session, app.as_deref()).await,
        Command::Plan { operation, asked } => starting::plan(&session, (*operation).into(), asked).await,
        Command::Drain(start) => starting::start(&session, Operation::Drain, start).await,
        Command::Shift(start) => starting::start(&session, Operation::Shift, start).await,
        Command::Balance(start) => starting::start(&session, Operation::Balance, start).await,
        Command::Failback(start) => starting::start(&session, Operation::Failback, start).await,
        Command::Restore(start) => starting::start(&session, Operation::Restore, start).await,
        Command::Watch { app } => watching::watch(&session, app).await,
        Command::Approve(about) => asking::ask(&session, Wish::Approve, about).await,
        Command::Pause(about) => asking::ask(&session, Wish::Pause, about).await,
        Command::Resume(about) => asking::ask(&session, Wish::Resume, about).await,
        Command::Promote(about) => asking::ask(&session, Wish::Promote, about).await,
        Command::Rollback(about) => asking::ask(&session, Wish::Rollback, about).await,
        Command::History { app, since } => past::history(&session, app.as_deref(), *since).await,
        Command::Report { app, execution, file } => {
            past::report(&session, app, execution.as_deref(), file).await
        }
        Command::Completions { .. } => Ok(Exit::Done),
    }
}

/// What every command has at hand.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// What every command takes.
    pub common: &'a Common,
}

impl Session<'_> {
    /// The options that a command about the same deployment needs.
    pub fn options(&self) -> String {
        let stack = (self.common.stack != STACK).then(|| format!(" --stack {}", self.common.stack));
        let region = self.common.region.as_ref().map(|region| format!(" --region {region}"));
        [stack, region].into_iter().flatten().collect()
    }
}

/// The apps of a deployment with the balancers of their target groups, as far as they are behind one.
async fn known_apps(deployment: &Deployment, settings: &Settings) -> Result<BTreeMap<String, usize>> {
    let groups = aws::target_groups(deployment).await?;
    let ours = groups.iter().filter(|(_, balancers)| {
        // One that no rule holds yet may be the standby of an app whose other fleet tells.
        balancers.is_empty() || balancers.iter().any(|arn| settings.is_balancer(arn))
    });
    let ours: Vec<&(String, Vec<String>)> = ours.collect();
    let all = names::apps(settings, ours.iter().map(|(name, _)| name.as_str()));
    let used = ours.iter().filter(|(_, balancers)| !balancers.is_empty());
    let used = names::apps(settings, used.map(|(name, _)| name.as_str()));
    Ok(all
        .into_iter()
        .filter(|(app, _)| used.contains_key(app))
        .map(|(app, fleets)| (app, fleets.len()))
        .collect())
}

/// Refuses names of apps that the deployment has not, with the nearest one that it has.
fn check_names(settings: &Settings, known: &BTreeMap<String, usize>, apps: &[&str]) -> Result<()> {
    // Without the app in the names of its target groups nobody can tell.
    if !settings.pattern.contains("{app}") {
        return Ok(());
    }
    let Some(unknown) = apps.iter().find(|app| !known.contains_key(**app)) else { return Ok(()) };
    let near = names::nearest(unknown, known.keys().map(String::as_str));
    let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
    let all: Vec<&str> = known.keys().map(String::as_str).collect();
    let all = if all.is_empty() { "none at all".to_owned() } else { all.join(", ") };
    bail!(
        "there is no app {unknown} behind {}: its target groups would be named {}. There are {all}.{near}",
        settings.balancer,
        settings.pattern.replace("{app}", unknown)
    )
}

/// Refuses names of apps that the deployment has not. Where it cannot be read that is said, and no more:
/// whoever may not look at the balancer may still be allowed to have a run go back.
async fn check_apps(deployment: &Deployment, apps: &[&str]) -> Result<()> {
    let found = async {
        let settings = deployment.settings().await?;
        let known = known_apps(deployment, &settings).await?;
        anyhow::Ok((settings, known))
    };
    match found.await {
        Ok((settings, known)) => check_names(&settings, &known, apps),
        Err(error) => {
            eprintln!("failover: whether there is such an app could not be looked up ({error:#})");
            Ok(())
        }
    }
}

/// The run of an app that is going on: the oldest one, since it is the one that holds the routes.
async fn running(deployment: &Deployment, app: &str) -> Result<Option<Execution>> {
    let running = deployment.runs(Some(ExecutionStatus::Running), Timestamp::MIN).await?;
    Ok(running.into_iter().rfind(|run| !run.is_dry_run() && run.apps().contains(app)))
}

/// The same, or what to do where there is none.
async fn running_or_refuse(deployment: &Deployment, app: &str, options: &str) -> Result<Execution> {
    if let Some(run) = running(deployment, app).await? {
        return Ok(run);
    }
    check_apps(deployment, &[app]).await?;
    bail!("no run of {app} is going on. What was: failover history {app}{options}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_gets_the_nearest_one() {
        let settings =
            Settings::parse("LoadBalancerName=shop\nTargetGroupPattern=shop-{app}-{fleet}").unwrap();
        let known = BTreeMap::from([("portal".to_owned(), 2), ("web".to_owned(), 2)]);
        check_names(&settings, &known, &["web", "portal"]).unwrap();
        let refused = check_names(&settings, &known, &["web", "wbe"]).unwrap_err().to_string();
        for part in
            ["no app wbe behind shop", "shop-wbe-{fleet}", "There are portal, web.", "Did you mean web?"]
        {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
        let refused = check_names(&settings, &BTreeMap::new(), &["web"]).unwrap_err().to_string();
        assert!(refused.contains("none at all") && !refused.contains("mean"), "{refused}");
        let without = Settings { pattern: "shop-{fleet}".into(), ..settings };
        check_names(&without, &BTreeMap::new(), &["web"]).unwrap();
    }
}
