//! The dashboard of the template, and the metrics that the functions publish for it.

use std::collections::BTreeSet;

use alb::Behaviour;
use anyhow::{Context, Result, ensure};
use failover::report::publish::{MOST_ODDS, NAMESPACE, PublishedMetric};
use rehearsal::{Forward, Ground, RouteKind, Site, cli};
use serde_json::{Value, json};

use crate::support::{RATE, check_failure, input, run};

/// The metrics of an app in a function's log, oldest first, each as a name, its fleet and its value.
async fn published(ground: &Ground, function: &str, app: &str) -> Result<Vec<(String, Option<String>, f64)>> {
    let group = format!("/aws/lambda/failover-{function}");
    let log = cli(ground.endpoint(), &["logs", "filter-log-events", "--log-group-name", &group]).await?;
    let events = log["events"].as_array().context("no events")?;
    let lines =
        events.iter().filter_map(|event| serde_json::from_str::<Value>(event["message"].as_str()?).ok());
    let mut published = Vec::new();
    for line in lines.filter(|line| line.get("_aws").is_some() && line["App"] == app) {
        ensure!(line["LoadBalancer"] == app, "a balancer named as its app is not in {line}");
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        ensure!(directive["Namespace"] == NAMESPACE, "{line}");
        for definition in directive["Metrics"].as_array().context("no metrics")? {
            let name = definition["Name"].as_str().context("no name")?;
            let fleet = line["Fleet"].as_str().map(str::to_owned);
            published.push((name.to_owned(), fleet, line[name].as_f64().context("no number")?));
        }
    }
    Ok(published)
}

pub async fn runs_publish_what_only_they_know(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "published").await?;
    let app = site.app("published", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    app.set(1, Behaviour::Errors { share: 1.0 });
    let shift = input(&app, "shift", json!({ "stages": [20, 100] }));
    check_failure(&run(ground, &shift).await?, "RolledBack")?;

    let weight = |fleet: &str, percent: f64| ("Weight".to_owned(), Some(fleet.to_owned()), percent);
    let set = published(ground, "set-weights", &app.name).await?;
    ensure!(set == [weight("prod1", 80.0), weight("prod2", 20.0)], "{set:?}");
    let back = published(ground, "roll-back", &app.name).await?;
    // Put back, and once more when all writes have settled.
    let once = || [weight("prod1", 100.0), weight("prod2", 0.0)];
    ensure!(back == [once(), once()].concat(), "{back:?}");

    let polls = published(ground, "check-metrics", &app.name).await?;
    let in_bounds = |name: &str, fleet: Option<&str>, least: f64, most: f64| {
        polls.iter().any(|(n, f, value)| n == name && f.as_deref() == fleet && (least..=most).contains(value))
    };
    ensure!(polls.contains(&weight("prod2", 20.0)), "{polls:?}");
    ensure!(polls.contains(&("Stage".to_owned(), None, 1.0)), "{polls:?}");
    ensure!(in_bounds("SlowShare", Some("prod1"), 0.0, 100.0), "{polls:?}");
    ensure!(in_bounds("Odds", None, 20.0, MOST_ODDS), "it was rolled back at lower odds: {polls:?}");
    Ok(())
}

pub async fn every_panel_shows_a_metric_that_exists(ground: &Ground) -> Result<()> {
    let dashboard =
        cli(ground.endpoint(), &["cloudwatch", "get-dashboard", "--dashboard-name", "failover"]).await?;
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().context("no body")?)?;
    let variable = &body["variables"][0];
    let placeholder = variable["pattern"].as_str().context("no variable for the app")?;
    // As the console does with what is typed there.
    let body: Value = serde_json::from_str(&body["widgets"].to_string().replace(placeholder, "web"))?;
    let mut shown = BTreeSet::new();
    let mut seen = Vec::new();
    for widget in body.as_array().context("no widgets")? {
        let properties = &widget["properties"];
        seen.push(properties["title"].as_str().context("no title")?.to_owned());
        let metrics = properties["metrics"].as_array().context("no metrics")?;
        let names = metrics.iter().map(check_metric).collect::<Result<Vec<_>>>()?.concat();
        ensure!(!names.is_empty(), "{properties} shows nothing");
        shown.extend(names);
    }
    for metric in PublishedMetric::ALL {
        ensure!(shown.contains(metric.name()), "{} is published and never shown", metric.name());
    }
    ensure!(seen == ::report::panels::TITLES, "the report draws other panels than {seen:?}");
    Ok(())
}

/// The names of the metrics that an entry of a panel shows, all of which somebody publishes.
fn check_metric(entry: &Value) -> Result<Vec<String>> {
    let entry = entry.as_array().context("no entry")?;
    if let Some(expression) = entry[0]["expression"].as_str() {
        return check_expression(expression);
    }
    let words: Vec<&str> = entry.iter().filter_map(Value::as_str).collect();
    ensure!(words[0] == NAMESPACE, "{entry:?}");
    let metric = PublishedMetric::ALL.into_iter().find(|metric| metric.name() == words[1]);
    let metric = metric.with_context(|| format!("nobody publishes {}", words[1]))?;
    let (dimensions, values): (Vec<_>, Vec<_>) = words[2..].chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    ensure!(dimensions == metric.dimensions(), "{} has other dimensions than {dimensions:?}", words[1]);
    ensure!(values[..2] == ["rehearsal", "web"], "{entry:?}");
    Ok(vec![words[1].to_owned()])
}

/// An expression is a search for metrics of the balancer, or arithmetic with others of its panel.
fn check_expression(expression: &str) -> Result<Vec<String>> {
    let Some((_, search)) = expression.split_once("SEARCH('") else { return Ok(Vec::new()) };
    ensure!(expression.len() <= 1024, "CloudWatch takes no longer expression: {expression}");
    let (schema, terms) = search.split_once('}').context("no schema")?;
    ensure!(schema == "{AWS/ApplicationELB,LoadBalancer,TargetGroup", "{expression}");
    let names: Vec<&str> = terms.split("MetricName=\"").skip(1).filter_map(|t| t.split('"').next()).collect();
    ensure!(!names.is_empty(), "{expression}");
    for name in &names {
        ensure!(alb::publishes(name), "no balancer publishes {name}");
    }
    let group = terms.split("TargetGroup=").nth(1).and_then(|term| term.split('\'').next());
    let group = group.context("no target group")?;
    ensure!(["shop-us-prd-web-01-tg", "shop-us-prd-web-02-tg"].contains(&group), "{group}");
    Ok(names.into_iter().map(str::to_owned).collect())
}
