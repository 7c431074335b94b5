//! What is left behind when a state of the run fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Result, ensure};
use rehearsal::{App, Forward, Ground, RouteKind, Site, tool};
use serde_json::json;

use crate::support::{RATE, check_failure, check_traffic, check_weights, input, path};

fn denied() -> Intercept {
    Intercept::Error { status: 403, code: "AccessDenied".into(), message: "not allowed".into() }
}

/// Whether a call is of this action and names this app's routes or target groups.
fn about(app: &App<'_>, action: &'static str) -> impl Fn(&CallInfo<'_>) -> bool + Send + Sync + use<> {
    let arns: Vec<String> = app.routes.iter().chain(&app.groups).cloned().collect();
    move |call| {
        call.action == action
            && call.parameters.iter().any(|(_, value)| arns.iter().any(|arn| value.contains(arn.as_str())))
    }
}

pub async fn a_rollback_that_fails_says_what_to_type(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stuck").await?;
    let routes = [RouteKind::SignedInHost, RouteKind::Default];
    let app = site.app("stuck", &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until_stage(1).await?;
    app.set(1, Behaviour::Errors { share: 1.0 });
    // From here on the Lambdas may write nothing; a person with the AWS CLI may.
    let cli_only = std::sync::Arc::new(AtomicUsize::new(0));
    let (rule, listener, gate) = (about(&app, "ModifyRule"), about(&app, "ModifyListener"), cli_only.clone());
    ground
        .fail(move |call| ((rule(call) || listener(call)) && gate.load(Ordering::Relaxed) == 0).then(denied));
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "RollBackFailed")?;
    ensure!(
        ended.path
            == path(
                1,
                &[
                    "RollBack",
                    "Settle",
                    "IsSettled",
                    "ReleaseRoutes",
                    "SendEndNotice",
                    "HowItEnded",
                    "NeedsOperator"
                ]
            ),
        "{:?}",
        ended.path
    );
    check_weights(&app, [70, 30]).await?;

    // Typed as printed, the command puts the weights back.
    cli_only.store(1, Ordering::Relaxed);
    let command = cause.split_once("Put them back by hand:\n").map(|(_, command)| command.to_owned());
    let command = command.ok_or_else(|| anyhow::anyhow!("no command in {cause}"))?;
    let aws = tool("aws");
    let output = rehearsal::aim(&mut tokio::process::Command::new("sh"), &ground.alb.endpoint())
        .args(["-ec", &format!("aws() {{ '{}' \"$@\"; }}; {command}", aws.display())])
        .output()
        .await?;
    ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await
}
