//! Application probes, over real HTTP: what each of them leads to.

use std::sync::Arc;

use anyhow::{Result, ensure};
use rcgen::generate_simple_self_signed;
use rehearsal::{App, Ended, Event, Forward, Ground, RouteKind, Site, Stack, deploy};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::support::{COMPLETED, RATE, check_failure, check_success, check_weights, input, run, writes};

/// A stage that is probed at its first poll and before it is left.
const PROBED: [&str; 10] = [
    "SetWeights",
    "Bake",
    "CheckMetrics",
    "IsHealthy",
    "ProbeApp",
    "IsHealthy",
    "Bake",
    "CheckMetrics",
    "IsHealthy",
    "ProbeApp",
];

/// How a run begins that probes the standby first.
const BEGUN_PROBED: [&str; 7] =
    ["PlanShift", "IsReady", "ProbeStandby", "IsReady", "ClaimRoutes", "IsReady", "SendStartNotice"];

/// Runs an execution during which fleets change what they run, once they have passed the first probes.
async fn run_changing(ground: &Ground, input: &Value, change: impl Fn()) -> Result<Ended> {
    let mut execution = ground.execute(input).await?;
    execution.until(|event| matches!(event, Event::Entered(state) if state == "ClaimRoutes")).await?;
    change();
    execution.finish().await
}

/// The page of a release, by the balancer and by a target of each fleet.
fn probing(app: &App<'_>, release: &str) -> Value {
    let host = json!({ "host": app.host() });
    json!({
        "stages": [30, 100],
        "probes": [
            { "path": "/health", "headers": host, "text": "target" },
            { "path": "/", "headers": host, "json": { "/release": release } },
        ],
        "addresses": { "public": app.public(), "prod1": app.address(0), "prod2": app.address(1) },
    })
}

pub async fn a_release_whose_pages_are_right_goes_out(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "probed").await?;
    let app = site.app("probed", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let shifted = run(ground, &input(&app, "shift", probing(&app, "v1"))).await?;
    let stage = [&PROBED[..], &["IsHealthy"]].concat();
    let path = [&BEGUN_PROBED[..], &stage, &stage, &COMPLETED].concat();
    check_success(&shifted, &path.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    let reason = shifted.output["stages"][1]["reason"].as_str().unwrap_or_default();
    ensure!(reason.ends_with("; application probes pass on prod1, prod2 and public"), "{reason}");
    check_weights(&app, [0, 100]).await
}

/// In both directions, and though the balancer's counts say nothing against the standby.
pub async fn a_standby_with_the_wrong_page_is_rolled_back(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "wrong-page").await?;
    for (name, weights, standby) in [("page-1", [100, 0], 1), ("page-2", [0, 100], 0)] {
        let app = site.app(name, &[RouteKind::Host], Forward::Weighted(weights)).await?;
        let _traffic = app.traffic(RATE);
        let mut probing = probing(&app, "v1");
        // What users see changes from one request to the next; the fleets alone tell whose page it is.
        probing["addresses"].as_object_mut().expect("an object").remove("public");
        let ended =
            run_changing(ground, &input(&app, "shift", probing), || app.deploy(standby, "v0")).await?;
        let cause = check_failure(&ended, "RolledBack")?;
        let says = format!("prod{} fails GET /: /release is \"v0\" instead of \"v1\"", standby + 1);
        ensure!(cause.contains(&says), "{cause}");
        // Soon after the weights stand, before the stage is over.
        let begins = [&BEGUN_PROBED[..], &PROBED[..6], &["RollBack"]].concat();
        ensure!(ended.path[..begins.len()] == begins, "{:?}", ended.path);
        check_weights(&app, weights).await?;
    }
    Ok(())
}

pub async fn what_fails_on_both_fleets_waits_and_never_advances(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "both-pages").await?;
    let app = site.app("both-pages", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let both = |release| (0..2).for_each(|fleet| app.deploy(fleet, release));
    both("v2");
    let shift = input(&app, "shift", probing(&app, "v2"));
    let ended = run_changing(ground, &shift, || both("v1")).await?;
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("both fleets fail application probes: prod1 fails GET /: /release"), "{cause}");
    let stages = ended.path.iter().filter(|state| *state == "SetWeights").count();
    ensure!(stages == 1, "{stages} stages: {:?}", ended.path);
    let rounds = ended.path.iter().filter(|state| *state == "ProbeApp").count();
    ensure!(rounds > 1, "{rounds} rounds of probes: {:?}", ended.path);
    check_weights(&app, [100, 0]).await
}

/// A page that takes too long and a certificate that nobody has signed, each on the standby alone, where
/// no user has been moved to it yet.
pub async fn a_late_page_and_a_wrong_certificate_are_named(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "late-page").await?;
    let late = json!({ "path": "/", "headers": { "x-takes-milliseconds": "4000" }, "timeout": "1s" });
    let tls = json!({ "path": "/", "timeout": "2s" });
    let unsigned = format!("https://localhost:{}", unsigned().await?);
    for (name, probe, address, says) in [
        ("late", late, None, "prod2 fails GET /: no whole answer within 1s"),
        ("unsigned", tls, Some(unsigned), "the certificate of localhost is wrong: it is signed by nobody"),
    ] {
        let app = site.app(name, &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
        let _traffic = app.traffic(RATE);
        let address = address.unwrap_or_else(|| app.address(1));
        let probing = json!({ "stages": [30, 100], "probes": [probe], "addresses": { "prod2": address } });
        let cause = check_failure(&run(ground, &input(&app, "shift", probing)).await?, "PlanRejected")?;
        ensure!(cause.contains(says), "{cause}");
        ensure!(writes(ground, &app.routes).is_empty(), "a run that was refused has written");
        check_weights(&app, [100, 0]).await?;
    }
    Ok(())
}

/// A server on this machine with a certificate that it has signed itself.
async fn unsigned() -> Result<u16> {
    let made = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Nobody who checks it comes further than this.
            let _ = acceptor.accept(stream).await;
        }
    });
    Ok(port)
}

/// By the input, and by the parameters of a deployment that allows no loopback either.
pub async fn where_probes_must_not_go_is_refused_by_name(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "metadata").await?;
    let app = site.app("metadata", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let given =
        |addresses| input(&app, "shift", json!({ "probes": [{ "path": "/" }], "addresses": addresses }));
    let metadata = run(ground, &given(json!({ "prod2": "http://169.254.169.254" }))).await?;
    let cause = check_failure(&metadata, "PlanRejected")?;
    ensure!(cause.contains("`addresses`: prod2: ") && cause.contains("link-local"), "{cause}");

    let parameters =
        r#"Probes='[{"path": "/health", "text": "ok"}]' ProbeAddresses=public=https://shop.example"#;
    let stack = deploy(ground.endpoint(), &Stack::new("probing", parameters)).await?;
    let dry = input(&app, "shift", json!({ "dryRun": true }));
    let planned = ground.execute_on(&stack, &dry).await?.finish().await?;
    let plan = &planned.output["plan"]["probing"];
    ensure!(plan["probes"][0]["text"] == "ok", "{planned:?}");
    ensure!(plan["addresses"] == json!({ "metadata": { "public": "https://shop.example" } }), "{planned:?}");
    let loopback = given(json!({ "prod2": app.address(1) }));
    let loopback = ground.execute_on(&stack, &loopback).await?.finish().await?;
    let cause = check_failure(&loopback, "PlanRejected")?;
    ensure!(cause.contains("loopback"), "{cause}");
    ensure!(writes(ground, &app.routes).is_empty(), "a run that was refused has written");
    Ok(())
}
