//! The return to an even split by schedule: the one of the template, which fires every minute here.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, SCHEDULED_APP, Site};
use serde_json::{Value, json};

use crate::support::{RATE, REFUSED, check_failure, check_weights, run};

/// A minute, and some for a machine that is busy.
const FIRES_WITHIN: Duration = Duration::from_secs(100);

pub async fn a_balance_fires_and_is_quiet_where_it_cannot_run(ground: &Ground) -> Result<()> {
    let mut known = HashSet::new();
    let scheduled = |input: &Value| input["app"] == SCHEDULED_APP && input["skipIfBlocked"] == true;

    // There is no such app yet. The same by hand fails; by schedule it only says so.
    let by_hand = run(ground, &json!({ "app": SCHEDULED_APP, "operation": "balance" })).await?;
    let cause = check_failure(&by_hand, "PlanRejected")?;
    let quiet = ground.started_elsewhere(&mut known, FIRES_WITHIN, scheduled).await?.finish().await?;
    ensure!(quiet.status == "SUCCEEDED", "{quiet:?}");
    ensure!(quiet.path == [&REFUSED[..4], &["Untouched"]].concat(), "{:?}", quiet.path);
    let expected =
        json!({ "status": "unchanged", "operation": "balance", "app": SCHEDULED_APP, "summary": cause });
    ensure!(quiet.output == expected, "{}", quiet.output);

    // Now there is one. The bakes of the schedule are minutes, so the run is stopped after its start.
    let site = Site::new(ground, "schedule").await?;
    let app = site.app(SCHEDULED_APP, &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    for fleet in [0, 1] {
        app.tell(fleet, "v1").await?;
    }
    let _traffic = app.traffic(RATE);
    let mut fired = 1;
    let mut balance = ground.started_elsewhere(&mut known, FIRES_WITHIN, scheduled).await?;
    while balance.until_stage(1).await.is_err() {
        // It fired before the app was there. One of the next will find it.
        ensure!(fired < 20, "the schedule fires and balances nothing");
        fired += 1;
        balance = ground.started_elsewhere(&mut known, FIRES_WITHIN, scheduled).await?;
    }
    ensure!(app.weights().await? == [[90, 10]], "the schedule did not balance");
    balance.stop().await?;
    ground.restore_of(&balance.arn).await?.finish().await?;
    check_weights(&app, [100, 0]).await
}
