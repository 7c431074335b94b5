//! What is refused before anything is touched.

use anyhow::{Result, ensure};
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple};
use rehearsal::{App, Forward, Ground, RouteKind, Site};
use serde_json::{Value, json};

use crate::support::{REFUSED, check_failure, check_weights, run, writes};

pub async fn bad_input_is_refused_by_name(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "refuse").await?;
    let app = site.app("refuse", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    for (input, field) in [
        (json!("refuse"), "JSON object"),
        (json!([{ "app": "refuse" }]), "JSON object"),
        (json!({ "app": "unknown" }), "`app`"),
        (json!({ "app": "refuse", "aap": 1 }), "aap"),
        (json!({ "app": "refuse", "stages": [50, 10, 100] }), "`stages`"),
        (json!({ "app": "refuse", "stages": [50, 101] }), "`stages[1]`"),
        (json!({ "app": "refuse", "stages": [50] }), "`stages`"),
        (json!({ "app": "refuse", "bake": "0s" }), "`bake`"),
        (json!({ "app": "refuse", "standby": "prod1" }), "`standby`"),
        (json!({ "app": "refuse", "standby": "blue" }), "`standby`"),
        (json!({ "app": "refuse", "fleets": { "prod1": "no-such-tg", "prod2": "neither-tg" } }), "`fleets`"),
    ] {
        rejected(ground, &app, &input, field).await?;
    }
    check_weights(&app, [100, 0]).await
}

pub async fn what_cannot_be_done_safely_is_refused(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "unsafe").await?;
    let app = site.app("unsafe", &[RouteKind::Host], Forward::Weighted([50, 50])).await?;
    let other = site.app("other", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let elsewhere = Site::new(ground, "elsewhere").await?;
    let far = elsewhere.app("far", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let plain = json!({ "app": "unsafe" });

    rejected(ground, &app, &plain, "\"standby\"").await?;
    let groups = json!({ "app": "unsafe", "fleets": { "prod1": other.groups[0], "prod2": far.groups[1] } });
    rejected(ground, &app, &groups, "different balancers").await?;

    let third = forward(&[(&app.groups[0], 90), (&app.groups[1], 0), (&other.groups[0], 10)]);
    rewrite(ground, &app, third).await?;
    rejected(ground, &app, &plain, &other.groups[0]).await?;

    rewrite(ground, &app, forward(&[(&app.groups[0], 100), (&app.groups[1], 0)])).await?;
    app.set(1, alb::Behaviour::Dead);
    until_dead(ground, &app.groups[1]).await?;
    rejected(ground, &app, &plain, "prod2 has 0 of 2 targets healthy").await?;
    check_weights(&app, [100, 0]).await
}

async fn rejected(ground: &Ground, app: &App<'_>, input: &Value, names: &str) -> Result<()> {
    let before = writes(ground, &app.routes).len();
    let ended = run(ground, input).await?;
    let cause = check_failure(&ended, "PlanRejected")?;
    ensure!(cause.contains(names), "{input}: {cause:?} does not name {names:?}");
    ensure!(cause.contains("othing was touched"), "{cause}");
    ensure!(ended.path == REFUSED, "{:?}", ended.path);
    ensure!(writes(ground, &app.routes).len() == before, "{input} wrote something");
    Ok(())
}

fn forward(groups: &[(&String, i32)]) -> Action {
    let tuples = groups
        .iter()
        .map(|(arn, weight)| TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build());
    let config = ForwardActionConfig::builder().set_target_groups(Some(tuples.collect())).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

async fn rewrite(ground: &Ground, app: &App<'_>, action: Action) -> Result<()> {
    ground.balancer.modify_rule().rule_arn(&app.routes[0]).actions(action).send().await?;
    Ok(())
}

async fn until_dead(ground: &Ground, group: &str) -> Result<()> {
    for _ in 0..100 {
        if failover::aws::health::of(&ground.balancer, group).await?.healthy == 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("{group} does not become unhealthy")
}
