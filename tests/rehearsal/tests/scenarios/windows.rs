//! A deployment that says when runs may start.

use anyhow::{Context, Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site, Stack, deploy};
use serde_json::json;

use crate::support::{
    COMPLETED, RATE, REFUSED, check_failure, check_success, check_weights, input, path, writes,
};

/// Every day is frozen, and none in the next century is not.
const FROZEN: &str = "Freezes=2020-01-01..2120-01-01 WindowTimeZone=Europe/Berlin";

pub async fn a_frozen_deployment_starts_emergencies_and_what_has_a_reason(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "frozen").await?;
    let app = site.app("frozen", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let machine = deploy(ground.endpoint(), &Stack::new("failover-frozen", FROZEN)).await?;
    let run = async |asked| ground.execute_on(&machine, &asked).await?.finish().await;

    for operation in ["drain", "shift", "balance"] {
        let refused = run(input(&app, operation, json!({}))).await?;
        let cause = check_failure(&refused, "PlanRejected")?;
        ensure!(cause.contains("is frozen (2020-01-01 to 2120-01-01)"), "{cause}");
        ensure!(cause.contains("\"override\""), "{cause}");
        ensure!(refused.path == REFUSED, "{:?}", refused.path);
    }
    let dry = run(input(&app, "shift", json!({ "dryRun": true }))).await?;
    let plan = dry.output["plan"]["checks"].to_string();
    ensure!(dry.status == "SUCCEEDED" && plan.contains("only as a dry run"), "{plan}");
    ensure!(writes(ground, &app.routes).is_empty(), "something was touched");

    // The reason is kept in the output.
    let asked = json!({ "stages": [40, 100], "override": "security fix 4711" });
    let shifted = run(input(&app, "shift", asked)).await?;
    check_success(&shifted, &path(2, &COMPLETED))?;
    let reason = shifted.output["overridden"].as_str().context("no reason in the output")?;
    ensure!(reason.starts_with("security fix 4711 ("), "{reason}");

    // A fault that is found now is no time for a reason.
    let back = run(input(&app, "failback", json!({}))).await?;
    ensure!(back.output["status"] == "failedBack", "{back:?}");
    check_weights(&app, [100, 0]).await
}
