//! What is left behind when a state of the run fails.

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Context, Result, ensure};
use rehearsal::{App, Event, Forward, Ground, RouteKind, Site, tool};
use serde_json::json;

use crate::support::{RATE, ROLLED_BACK, STUCK, check_failure, check_traffic, check_weights, input, path};

/// In the words of the IAM guide, "Troubleshoot access denied error messages".
fn denied() -> Intercept {
    let message = "User: arn:aws:sts::000000000000:assumed-role/roll-back/roll-back is not authorized to perform: \
                   elasticloadbalancing:ModifyRule because no identity-based policy allows the \
                   elasticloadbalancing:ModifyRule action";
    Intercept::Error { status: 403, code: "AccessDenied".into(), message: message.into() }
}

/// Whether a call is of this action and names this app's routes or target groups.
fn about(app: &App<'_>, action: &'static str) -> impl Fn(&CallInfo<'_>) -> bool + Send + Sync + use<> {
    let arns: Vec<String> = app.routes.iter().chain(&app.groups).cloned().collect();
    move |call| {
        call.action == action
            && call.parameters.iter().any(|(_, value)| arns.iter().any(|arn| value.contains(arn.as_str())))
    }
}

pub async fn a_rollback_that_is_refused_says_what_to_type(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stuck").await?;
    let routes = [RouteKind::SignedInHost, RouteKind::Default];
    let app = site.app("stuck", &routes, Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [30, 100] }))).await?;
    execution.until_stage(1).await?;
    let first_call = ground.alb.calls_len();
    app.set(1, Behaviour::Errors { share: 1.0 });
    // From here on the Lambdas, which name themselves, may write nothing; a person with the AWS CLI may.
    let (rule, listener) = (about(&app, "ModifyRule"), about(&app, "ModifyListener"));
    ground.fail(move |call| ((rule(call) || listener(call)) && call.application.is_some()).then(denied));
    execution.until(|event| *event == Event::Entered("RollBackOn".into())).await?;
    ensure!(app.weights().await? == [[70, 30]; 2], "{:?}", app.weights().await?);
    let calls = ground.alb.calls_since(first_call);
    let notice = calls.iter().filter(|call| call.action == "Publish").find(|call| {
        call.parameter("Subject") == Some("[ACT NOW] stuck: shift cannot be rolled back so far")
    });
    let notice = notice.and_then(|call| call.parameter("Message")).context("nobody was told")?;
    for line in
        ["TRAFFIC   ", "USERS     perhaps harmed", "WHY       ", "DO        Put the weights back by hand"]
    {
        ensure!(notice.contains(line), "no {line} in {notice}");
    }
    ensure!(notice.contains("since the right elasticloadbalancing:ModifyRule is missing"), "{notice}");

    // Typed as printed, the commands put the weights back, and the run ends once it finds them.
    let commands: Vec<&str> = notice.lines().map(str::trim).filter(|line| line.starts_with("aws ")).collect();
    ensure!(commands.len() == routes.len(), "{notice}");
    let (aws, commands) = (tool("aws"), commands.join("\n"));
    let output = rehearsal::aim(&mut tokio::process::Command::new("sh"), &ground.alb.endpoint())
        .args(["-ec", &format!("aws() {{ '{}' \"$@\"; }}; {commands}", aws.display())])
        .output()
        .await?;
    ensure!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(app.weights().await? == [[100, 0]; 2], "{:?}", app.weights().await?);
    let ended = execution.finish().await?;
    check_failure(&ended, "RolledBack")?;
    let end = [&STUCK[..], &ROLLED_BACK[1..]].concat();
    ensure!(ended.path == path(1, &end), "{:?}", ended.path);
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await
}
