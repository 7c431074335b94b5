//! The page of one execution, as `make report` draws it.

use std::path::Path;

use alb::Behaviour;
use anyhow::{Context, Result, ensure};
use rehearsal::play::rehearse;
use rehearsal::{Forward, Ground, RouteKind, Site, aim, root, tool};
use scenario::{Scenario, library_folder};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{RATE, input};

/// Draws the page of an execution with the program behind `make report`.
pub async fn draw(ground: &Ground, execution: &str, file: &Path) -> Result<()> {
    let drawn = aim(&mut Command::new(env!("CARGO_BIN_EXE_report")), ground.endpoint())
        .env("AWS_ENDPOINT_URL_CLOUDWATCH", ground.alb.endpoint())
        .args([execution, &file.display().to_string()])
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    Ok(())
}

/// The same, opened in a browser.
async fn report(ground: &Ground, execution: &str, file: &Path) -> Result<Value> {
    draw(ground, execution, file).await?;
    let seen = Command::new(tool("node"))
        .arg(root().join("tests/tools/browser.mjs"))
        .arg("look")
        .arg(file)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(seen.status.success(), "{}", String::from_utf8_lossy(&seen.stderr));
    Ok(serde_json::from_slice(&seen.stdout)?)
}

pub async fn an_execution_has_a_page_with_its_numbers(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "report").await?;
    let app = site.app("report", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    app.set(1, Behaviour::Errors { share: 0.5 });
    let execution =
        ground.execute(&input(&app, "shift", json!({ "stages": [20, 100], "release": "v2" }))).await?;
    let arn = execution.arn.clone();
    let ended = execution.finish().await?;
    ensure!(ended.error.as_deref() == Some("RolledBack"), "{ended:?}");

    let seen = report(ground, &arn, &ground.folder().join("report.html")).await?;
    for none in ["complaints", "violations", "overflows"] {
        ensure!(seen[none] == json!([]), "{none}: {}", seen[none]);
    }
    let text = seen["text"].as_str().context("no text")?;
    ensure!(text.contains(ended.cause.as_deref().unwrap_or_default()), "the cause is not in {text}");
    for (_, reason) in &ended.verdicts {
        ensure!(text.contains(reason.as_str()), "{reason} is not in {text}");
    }
    // What the page draws is what the users saw.
    let requests = |series: usize| -> f64 {
        let points = seen["charts"]["requests"]["series"][series]["points"].as_array();
        points.into_iter().flatten().filter_map(|point| point[1].as_f64()).sum()
    };
    let sent = traffic.iter().flat_map(rehearsal::Traffic::answers).count() as f64;
    let drawn = requests(0) + requests(1);
    ensure!(drawn > f64::from(RATE) && drawn <= sent, "{drawn} of {sent} requests are drawn");
    ensure!(requests(1) > 0.0, "the standby had requests");
    let measured = &seen["charts"]["weights"]["series"][2]["points"];
    let least = measured.as_array().into_iter().flatten().filter_map(|point| point[1].as_f64());
    let least = least.fold(100.0, f64::min);
    ensure!((60.0..95.0).contains(&least), "the share of prod1 was {least} % at least, at a weight of 80 %");
    Ok(())
}

/// There is nothing to draw, and all the more to say.
pub async fn a_rehearsal_that_is_refused_has_a_page_too(ground: &Ground) -> Result<()> {
    let name = "clients-are-bound-to-their-fleet";
    let scenario = Scenario::read(&library_folder().join(name).with_extension("yaml"))?;
    let page = ground.folder().join("refused.html");
    let report = rehearse(ground, "refused-page", (name, &scenario), &mut |_| {}, Some(&page)).await?;
    ensure!(report.problems.is_empty(), "{:?}", report.problems);
    let drawn = std::fs::read_to_string(page)?;
    for text in [&format!("Rehearsal: {name}"), "PlanRejected", "stickiness", "requests sent"] {
        ensure!(drawn.contains(text), "{text} is not in {drawn}");
    }
    Ok(())
}
