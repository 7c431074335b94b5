//! The page about the development balancer, whose commands are run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site, aim, elsewhere, lambda_architecture, root, tool};
use serde_json::Value;

use crate::checkout;
use crate::support::{RATE, check_weights};

/// The functions are built already; the rest is what the Makefile does.
const MAKE: &str = r#"#!/bin/sh
set -eu
stack=${2#STACK=}
case "$1" in
    deploy)
        "$PYTHON" infra/settings.py "$stack" "infra/$stack.env" "target/$stack.settings"
        STACK=$stack SETTINGS=target/$stack.settings PARAMETERS="PropagationSeconds=2 $ARCHITECTURE" infra/deploy.sh
        ;;
    undeploy) "$PYTHON" infra/undeploy.py "$stack" ;;
esac
"#;

pub async fn every_command_of_the_page_works(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "shop-us-page").await?;
    let app = site.app("page", &[RouteKind::Path, RouteKind::Default], Forward::Fixed(0)).await?;
    let _traffic = app.traffic(RATE);
    let checkout = checkout::copy(ground, "dev-alb")?;
    let page = fs::read_to_string(root().join("infra/dev-alb.md"))?;
    // The first one is the names.
    let script = commands(&page)[1..].join("\n");
    let names = format!(
        "stack=failover-page\nmail=team@shop.example\nbalancer=shop-us-page\napp=page\npattern=shop-us-prd-{{app}}-{{fleet}}-tg\n\
         groups=\"shop-us-prd-page-01-tg shop-us-prd-page-02-tg\"\nurl=http://127.0.0.1:{}/page/\n",
        site.port
    );
    // Seconds instead of minutes, a busy machine is no slow release, and nothing that ends early is left running.
    let quick = r#""poll": "1s", "period": "1s", "criteria": {"slowSeconds": 3}"#;
    let script = script
        .replace("sleep 5", "sleep 2")
        .replace("\"bake\": \"2m\"", "\"bake\": \"4s\"")
        .replace("\"app\": \"'$app'\"", &format!("\"app\": \"'$app'\", {quick}"));
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{names}\n{script}");
    let said = run(ground, &checkout, &script).await?;

    let endings: Vec<_> = said.lines().filter_map(ending).collect();
    let expected = ["planned", "drained", "shifted", "ABORTED", "restored", "balanced", "drained"];
    ensure!(endings == expected, "{said}");
    ensure!(said.contains("stickiness.enabled\tfalse"), "{said}");
    check_weights(&app, [0, 100]).await
}

/// The blocks of commands of a page.
fn commands(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

/// The ending in a line that tells of one.
fn ending(line: &str) -> Option<String> {
    let (status, rest) = line.split_once('\t')?;
    match status {
        "SUCCEEDED" => {
            let output: Value = serde_json::from_str(rest.rsplit_once('\t')?.1).ok()?;
            output["status"].as_str().map(str::to_owned)
        }
        "FAILED" | "ABORTED" | "TIMED_OUT" => Some(status.to_owned()),
        _ => None,
    }
}

async fn run(ground: &Ground, checkout: &Path, script: &str) -> Result<String> {
    let tools = checkout.join("tools");
    fs::create_dir(&tools)?;
    fs::write(tools.join("make"), MAKE)?;
    fs::set_permissions(tools.join("make"), fs::Permissions::from_mode(0o755))?;
    let installed = tool("aws").parent().context("a tool in a folder")?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools, installed].into_iter().chain(std::env::split_paths(&path)))?;
    let output = aim(&mut elsewhere("bash"), ground.endpoint())
        .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", ground.alb.endpoint())
        .env("PATH", path)
        .env("PYTHON", tool("python"))
        .env("ARCHITECTURE", format!("Architecture={}", lambda_architecture()))
        .current_dir(checkout)
        .args(["-eu", "-o", "pipefail", "-c", script])
        .kill_on_drop(true)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}
