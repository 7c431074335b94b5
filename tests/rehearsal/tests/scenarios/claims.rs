//! One run at a time per app.

use anyhow::{Result, ensure};
use futures_util::future::{try_join, try_join_all};
use rehearsal::{Ended, Forward, Ground, RouteKind, Site};
use serde_json::json;

use crate::support::{
    COMPLETED, RATE, REFUSED, check_failure, check_success, check_weights, input, path, run, writes,
};

pub async fn a_run_keeps_others_out_until_it_ends(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "alone").await?;
    let routes = [RouteKind::Host, RouteKind::Path, RouteKind::Default];
    let app = site.app("alone", &routes, Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE / 3);
    // The first one lasts until all others have come and gone, on a busy machine as well.
    let stages = json!({ "stages": [{ "weight": 50, "bake": "10s" }, 100] });
    let mut first = ground.execute(&input(&app, "shift", stages)).await?;
    first.until_stage(1).await?;
    let written = writes(ground, &app.routes).len();
    let inputs = ["drain", "shift", "balance", "failback"]
        .map(|operation| input(&app, operation, json!({ "standby": "prod2" })));
    for refused in try_join_all(inputs.iter().map(|input| run(ground, input))).await? {
        let cause = check_failure(&refused, "PlanRejected")?;
        ensure!(cause.contains(&first.arn) && cause.contains("still running"), "{cause}");
        ensure!(refused.path == REFUSED, "{:?}", refused.path);
    }
    // A restore by hand finds nothing that was interrupted.
    let restored = run(ground, &json!({ "app": app.name, "operation": "restore" })).await?;
    ensure!(restored.output["status"] == "unchanged", "{restored:?}");
    ensure!(writes(ground, &app.routes).len() == written, "a run that was refused wrote something");
    check_success(&first.finish().await?, &path(2, &COMPLETED))?;
    check_weights(&app, [0, 100]).await?;
    let tags = app.tags().await?;
    ensure!(tags.keys().eq(["failover:claim", "failover:live", "failover:request"]), "{tags:?}");
    ensure!(tags["failover:live"] == "prod2" && tags["failover:request"].is_empty(), "{tags:?}");
    Ok(())
}

/// Neither sees the other's claim when it makes its plan.
pub async fn of_two_runs_at_once_one_goes_on(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "race").await?;
    let app = site.app("race", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let shift = input(&app, "shift", json!({ "stages": [50, 100] }));
    let drain = input(&app, "drain", json!({}));
    let (shift, drain) = try_join(ground.execute(&shift), ground.execute(&drain)).await?;
    let (shift, drain) = try_join(shift.finish(), drain.finish()).await?;
    let [won, lost] = if shift.status == "SUCCEEDED" { [&shift, &drain] } else { [&drain, &shift] };
    ensure!(won.status == "SUCCEEDED", "neither went on: {won:?} {lost:?}");
    check_failure(lost, "PlanRejected")?;
    ensure!(!lost.path.contains(&"SetWeights".to_owned()), "{:?}", lost.path);
    check_weights(&app, if won.path == shift.path { [0, 100] } else { [100, 0] }).await
}

pub async fn a_claim_of_a_run_that_ended_is_nobodys(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "litter").await?;
    let app = site.app("litter", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let drain = input(&app, "drain", json!({ "bake": "2s" }));
    let ended = ground.execute(&drain).await?;
    let arn = ended.arn.clone();
    ended.finish().await?;
    app.tag("failover:claim", &arn).await?;
    let drained: Ended = run(ground, &drain).await?;
    ensure!(drained.status == "SUCCEEDED", "{drained:?}");
    check_weights(&app, [100, 0]).await?;

    // Of an execution elsewhere nothing can be learnt, or it is long forgotten.
    app.tag("failover:claim", &format!("{arn}-of-which-nobody-knows")).await?;
    let drained = run(ground, &drain).await?;
    ensure!(drained.status == "SUCCEEDED", "{drained:?}");
    check_weights(&app, [100, 0]).await
}

pub async fn a_run_whose_claim_is_taken_writes_nothing_more(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "taken").await?;
    let app = site.app("taken", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [20, 100] }))).await?;
    execution.until_stage(1).await?;
    let other = format!("{}-other", execution.arn);
    app.tag("failover:claim", &other).await?;
    let ended = execution.finish().await?;
    let cause = check_failure(&ended, "ExternalChange")?;
    ensure!(cause.contains(&other), "{cause}");
    let tags = app.tags().await?;
    ensure!(tags.get("failover:claim") == Some(&other), "somebody else's claim was removed: {tags:?}");
    let weights = app.weights().await?;
    ensure!(weights == [[80, 20]], "{weights:?}");
    Ok(())
}
