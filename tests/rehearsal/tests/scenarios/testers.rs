//! The standby before the users: who sees it, what it takes to start a shift, and that its secret is kept.

use std::process::Stdio;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alb::Intercept;
use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::types::RuleCondition;
use failover::aws::listener;
use failover::model::weights::GroupWeight;
use futures_util::future::select_all;
use rehearsal::{App, Ended, Event, FLEETS, Forward, Ground, RouteKind, Site, aim, cli, root, tool};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::notices::{mailbox, messages};
use crate::report::draw;
use crate::support::{
    COMPLETED, RATE, ROLLED_BACK, check_failure, check_nothing_lost, check_success, check_traffic,
    check_weights, input, path, run, writes,
};

/// What the testers of these scenarios send.
const SECRET: &str = "rehearsed-by-testers-7Qf";

/// The page of a release, as testers see it.
fn probing(app: &App<'_>, release: &str) -> Value {
    json!({
        "stages": [30, 100],
        "probes": [{ "path": "/", "headers": { "host": app.host() }, "json": { "/release": release } }],
        "addresses": { "standby": app.public() },
    })
}

/// The same as an operation that moves to an even split.
fn balancing(app: &App<'_>, release: &str) -> Value {
    let mut probing = probing(app, release);
    probing["stages"] = json!([50]);
    probing
}

/// Checks which fleet testers see, and what it runs.
async fn check_testers(app: &App<'_>, fleet: usize, release: &str) -> Result<()> {
    let seen = app.tester(SECRET).await?;
    ensure!(seen == [FLEETS[fleet], release], "{}: testers see {seen:?}", app.name);
    Ok(())
}

/// Where a rule leads.
async fn groups(app: &App<'_>, rule: &str) -> Result<Vec<GroupWeight>> {
    listener::groups(&app.actions(rule).await?).context("no forward")
}

/// Runs an execution to its end. Whenever weights were set, testers see this fleet. Returns its ARN too.
async fn watched(
    ground: &Ground,
    app: &App<'_>,
    input: &Value,
    fleet: usize,
    release: &str,
) -> Result<(String, Ended)> {
    let mut execution = ground.execute(input).await?;
    let arn = execution.arn.clone();
    let mut stages = 0;
    while let Some(event) = execution.next().await? {
        if matches!(&event, Event::Left(state, _) if state == "SetWeights") {
            check_testers(app, fleet, release).await?;
            stages += 1;
        }
    }
    ensure!(stages > 0, "no weights were set");
    Ok((arn, execution.finish().await?))
}

/// In both directions, on a rule for users and a default action.
pub async fn testers_see_the_standby_through_whole_cycles(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "testers").await?;
    let routes = [RouteKind::Host, RouteKind::Default];
    let app = site.app("testers", &routes, Forward::Weighted([100, 0])).await?;
    let rule = site.testers(&app, 1, SECRET, false).await?;
    let mail = mailbox(ground, &app, "testers-mail", "{\"app\": [\"testers\"]}").await?;
    let traffic = app.traffic(RATE);
    let (mut executions, mut before) = (Vec::new(), "v1");
    for (live, standby, release) in [(0, 1, "v2"), (1, 0, "v3")] {
        let written = writes(ground, from_ref(&rule)).len();
        let drain = input(&app, "drain", json!({}));
        let (arn, drained) = watched(ground, &app, &drain, standby, before).await?;
        // From an even split it goes down in two.
        let stages = if standby == 1 { 1 } else { 2 };
        check_success(&drained, &path(stages, &COMPLETED))?;
        ensure!(drained.output["routes"] == json!(app.routes), "{}", drained.output);
        executions.push(arn);

        app.deploy(standby, release);
        check_testers(&app, standby, release).await?;
        check_traffic(&traffic, if standby == 1 { 0 } else { 100 }).await?;

        let shift = input(&app, "shift", probing(&app, release));
        let (arn, shifted) = watched(ground, &app, &shift, standby, release).await?;
        ensure!(shifted.output["status"] == "shifted", "{shifted:?}");
        ensure!(shifted.path[2..5] == ["ProbeStandby", "IsReady", "ClaimRoutes"], "{shifted:?}");
        let reason = shifted.output["stages"][1]["reason"].as_str().unwrap_or_default();
        ensure!(reason.ends_with("; application probes pass on standby"), "{reason}");
        // The roles have swapped, and the only write leads test traffic to what is the standby now.
        check_testers(&app, live, before).await?;
        ensure!(groups(&app, &rule).await? == [GroupWeight::new(&app.groups[live], 100)], "one group alone");
        let now = writes(ground, from_ref(&rule));
        ensure!(now.len() == written + 1 && now.last().is_some_and(|write| write == "ModifyRule"), "{now:?}");
        executions.push(arn);

        app.deploy(live, release);
        let balance = input(&app, "balance", balancing(&app, release));
        let (arn, balanced) = watched(ground, &app, &balance, live, release).await?;
        ensure!(balanced.output["status"] == "balanced", "{balanced:?}");
        ensure!(writes(ground, from_ref(&rule)).len() == written + 1, "a rule in step was written to");
        executions.push(arn);
        before = release;
    }
    check_weights(&app, [50, 50]).await?;
    check_nothing_lost(&app, &traffic)?;
    let tags = rule_tags(ground, &rule).await?;
    ensure!(tags.is_empty(), "a test-traffic rule was taken for a route: {tags:?}");
    check_secret(ground, &executions, &mail).await
}

async fn rule_tags(ground: &Ground, rule: &str) -> Result<Vec<String>> {
    let answer = ground.balancer.describe_tags().resource_arns(rule).send().await?;
    let tags = answer.tag_descriptions().iter().flat_map(|found| found.tags());
    Ok(tags.map(|tag| format!("{tag:?}")).collect())
}

/// Checks that the secret is in no history, log, notice or report, each of which is there.
async fn check_secret(ground: &Ground, executions: &[String], mail: &str) -> Result<()> {
    let mut told = Vec::new();
    for arn in executions {
        let history =
            ["stepfunctions", "get-execution-history", "--execution-arn", arn, "--include-execution-data"];
        told.push(("PlanShift", cli(ground.endpoint(), &history).await?.to_string()));
        let told_end = ["stepfunctions", "describe-execution", "--execution-arn", arn];
        told.push(("testers", cli(ground.endpoint(), &told_end).await?.to_string()));
    }
    for function in ["plan-shift", "probe-app", "swap-roles"] {
        let group = format!("/aws/lambda/failover-{function}");
        let events = ["logs", "filter-log-events", "--log-group-name", &group];
        told.push(("answered", cli(ground.endpoint(), &events).await?.to_string()));
    }
    told.push(("failover", std::fs::read_to_string(ground.folder().join("local-aws.log"))?));
    told.push(("shifted", json!(messages(ground, mail, 2 * executions.len()).await?).to_string()));
    let file = ground.folder().join("testers.html");
    draw(ground, &executions[1], &file).await?;
    told.push(("prod1", std::fs::read_to_string(file)?));
    for (known, text) in told {
        ensure!(text.contains(known), "{known} is not in {text}");
        ensure!(!text.to_lowercase().contains(&SECRET.to_lowercase()), "the secret is in {text}");
    }
    Ok(())
}

/// The path of a run that its probes to the standby refuse.
const REFUSED_BY_PROBES: [&str; 7] =
    ["PlanShift", "IsReady", "ProbeStandby", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Failed"];

pub async fn a_release_that_fails_before_any_user_is_moved_is_refused(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "early").await?;
    for (name, weights, standby) in [("early-1", [100, 0], 1), ("early-2", [0, 100], 0)] {
        let app = site.app(name, &[RouteKind::Host], Forward::Weighted(weights)).await?;
        let rule = site.testers(&app, standby, SECRET, false).await?;
        let traffic = app.traffic(RATE);
        app.deploy(standby, "v0");
        let written = [app.routes.clone(), vec![rule.clone()]].concat();
        // Where the live fleet fails as well, the standby still has to pass: the run could not advance.
        for (release, shown) in [("v1", "v0"), ("v9", "v0")] {
            let refused = run(ground, &input(&app, "shift", probing(&app, release))).await?;
            let cause = check_failure(&refused, "PlanRejected")?;
            let says = format!("standby fails GET /: /release is \"{shown}\" instead of \"{release}\"");
            ensure!(cause.contains(&says) && cause.contains("Nothing was touched"), "{cause}");
            ensure!(refused.path == REFUSED_BY_PROBES, "{:?}", refused.path);
        }
        let mut quiet = balancing(&app, "v1");
        quiet["skipIfBlocked"] = true.into();
        let unchanged = run(ground, &input(&app, "balance", quiet)).await?;
        ensure!(unchanged.output["status"] == "unchanged", "{unchanged:?}");
        ensure!(writes(ground, &written).is_empty(), "a run that was refused has written");
        ensure!(app.tags().await?.is_empty(), "{:?}", app.tags().await?);
        check_weights(&app, weights).await?;
        check_testers(&app, standby, "v0").await?;

        // The live fleet and what users see may fail: the standby is the cure.
        let mut cure = probing(&app, "v0");
        cure["addresses"] = json!({
            "standby": app.public(), "public": app.public(), "prod1": app.address(0), "prod2": app.address(1),
        });
        let shifted = run(ground, &input(&app, "shift", cure)).await?;
        ensure!(shifted.output["status"] == "shifted", "{shifted:?}");
        check_testers(&app, 1 - standby, "v1").await?;
        check_nothing_lost(&app, &traffic)?;
    }
    Ok(())
}

pub async fn a_rule_that_is_out_of_step_holds_up_a_shift_until_a_drain(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "astray").await?;
    for (name, weights, live) in [("astray-1", [100, 0], 0), ("astray-2", [0, 100], 1)] {
        let app = site.app(name, &[RouteKind::Host], Forward::Weighted(weights)).await?;
        let rule = site.testers(&app, live, SECRET, false).await?;
        let _traffic = app.traffic(RATE);
        let (lives, stands) = (FLEETS[live], FLEETS[1 - live]);
        let says = format!("leads them to {lives}, while {stands} is the standby; a `drain` puts it in step");
        for asked in [input(&app, "shift", json!({})), input(&app, "balance", balancing(&app, "v1"))] {
            let cause = check_failure(&run(ground, &asked).await?, "PlanRejected")?;
            ensure!(cause.contains(&says), "{cause}");
        }
        ensure!(writes(ground, &[app.routes.clone(), vec![rule]].concat()).is_empty(), "it was refused");
        let drained = run(ground, &input(&app, "drain", json!({}))).await?;
        check_success(&drained, &path(1, &COMPLETED))?;
        check_testers(&app, 1 - live, "v1").await?;
        check_weights(&app, weights).await?;
        // What comes behind the rule for users, testers never get to.
        site.testers(&app, 1 - live, "nobody-gets-this-far", true).await?;
        let cause = check_failure(&run(ground, &input(&app, "shift", json!({}))).await?, "PlanRejected")?;
        ensure!(cause.contains("comes after rule ") && cause.contains("smaller priority"), "{cause}");
        // On the way back nobody asks for testers, and they are led on.
        let back = run(
            ground,
            &input(
                &app,
                "failback",
                json!({ "addresses": { "standby": app.public() },
            "probes": [{ "path": "/" }] }),
            ),
        )
        .await?;
        ensure!(back.output["status"] == "failedBack", "{back:?}");
        check_testers(&app, live, "v1").await?;
    }
    Ok(())
}

pub async fn testers_who_cannot_be_led_on_move_no_user(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "left").await?;
    let app = site.app("left", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let rule = site.testers(&app, 1, SECRET, false).await?;
    let traffic = app.traffic(RATE);
    let denied = Arc::new(AtomicBool::new(true));
    let (armed, about) = (Arc::clone(&denied), rule.clone());
    ground.fail(move |call| {
        let ours = call.action == "ModifyRule" && call.parameters.iter().any(|(_, value)| *value == about);
        let error = || Intercept::Error { status: 403, code: "AccessDenied".into(), message: "no".into() };
        (ours && armed.load(Ordering::Relaxed)).then(error)
    });
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [40, 100] }))).await?;
    let cause = check_failure(&ended, "RolesNotRecorded")?;
    for says in [
        "Traffic is fine",
        "test traffic may go to prod2, which is live, instead of prod1",
        "AccessDenied",
        "`drain`",
    ] {
        ensure!(cause.contains(says), "{cause}");
    }
    check_weights(&app, [0, 100]).await?;
    ensure!(app.tags().await?["failover:live"] == "prod2", "the roles are recorded");
    check_traffic(&traffic, 100).await?;
    check_testers(&app, 1, "v1").await?;

    denied.store(false, Ordering::Relaxed);
    check_success(&run(ground, &input(&app, "drain", json!({}))).await?, &path(1, &COMPLETED))?;
    check_testers(&app, 0, "v1").await?;
    check_nothing_lost(&app, &traffic)
}

/// A rule that is gone holds nobody up; one that is for users now is never written to.
pub async fn a_rule_that_changes_during_a_run_moves_no_user(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "changes").await?;
    let gone = site.app("gone", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let rule = site.testers(&gone, 1, SECRET, false).await?;
    let _traffic = gone.traffic(RATE);
    let stages = json!({ "stages": [40, 100] });
    let mut execution = ground.execute(&input(&gone, "shift", stages.clone())).await?;
    execution.until_stage(1).await?;
    ground.balancer.delete_rule().rule_arn(rule).send().await?;
    check_success(&execution.finish().await?, &path(2, &COMPLETED))?;
    check_weights(&gone, [0, 100]).await?;

    let lost = site.app("lost", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let rule = site.testers(&lost, 1, SECRET, false).await?;
    let _traffic = lost.traffic(RATE);
    let mut execution = ground.execute(&input(&lost, "shift", stages)).await?;
    execution.until_stage(1).await?;
    let host = RuleCondition::builder().field("host-header").values("users.example").build();
    ground.balancer.modify_rule().rule_arn(&rule).conditions(host).send().await?;
    let cause = check_failure(&execution.finish().await?, "RolesNotRecorded")?;
    ensure!(cause.contains("has lost its condition on x-failover-standby and is left alone"), "{cause}");
    ensure!(groups(&lost, &rule).await? == [GroupWeight::new(&lost.groups[1], 100)], "it was written to");
    check_weights(&lost, [0, 100]).await
}

pub async fn a_drain_says_that_testers_have_to_pause(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "loud").await?;
    let app = site.app("loud", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    site.testers(&app, 1, SECRET, false).await?;
    let _traffic = app.traffic(RATE);
    let tester = async || {
        loop {
            if let Err(error) = app.tester(SECRET).await {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Several, so that a machine that is busy does not make them pause.
    let testers = select_all((0..5).map(|_| Box::pin(tester())));
    let drain = input(&app, "drain", json!({}));
    let ended = tokio::select! {
        ended = run(ground, &drain) => ended?,
        (error, ..) = testers => return Err(error),
    };
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains("test traffic counts as well, so it has to pause"), "{cause}");
    ensure!(ended.path == path(1, &ROLLED_BACK), "{:?}", ended.path);
    check_weights(&app, [100, 0]).await
}

pub async fn probes_of_the_standby_need_a_rule_for_testers(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "untested").await?;
    let app = site.app("untested", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let refused = run(ground, &input(&app, "shift", probing(&app, "v1"))).await?;
    let cause = check_failure(&refused, "PlanRejected")?;
    ensure!(
        cause.contains("`addresses`: standby: ") && cause.contains("`make testers APP=untested`"),
        "{cause}"
    );
    // One that is removed between the plan and the probes refuses the run as well.
    let rule = site.testers(&app, 1, SECRET, false).await?;
    let about = rule.clone();
    ground.fail(move |call| {
        let ours = call.action == "DescribeRules"
            && call.application.is_some_and(|who| who.ends_with("probe-app"))
            && call.parameters.iter().any(|(_, value)| *value == about);
        let gone = || Intercept::Error { status: 400, code: "RuleNotFound".into(), message: "gone".into() };
        ours.then(gone)
    });
    let refused = run(ground, &input(&app, "shift", probing(&app, "v1"))).await?;
    let cause = check_failure(&refused, "PlanRejected")?;
    ensure!(cause.contains("for test traffic, is gone") && cause.contains("Nothing was touched"), "{cause}");
    ensure!(refused.path == REFUSED_BY_PROBES, "{:?}", refused.path);
    ensure!(writes(ground, &[app.routes.clone(), vec![rule]].concat()).is_empty(), "it was refused");

    // A crash there refuses the run too.
    let crashed = site.app("crashed", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let rule = site.testers(&crashed, 1, SECRET, false).await?;
    let (about, server) = (rule.clone(), ground.alb.address());
    ground.fail(move |call| {
        let ours = call.action == "DescribeRules"
            && call.application.is_some_and(|who| who.ends_with("probe-app"))
            && call.parameters.iter().any(|(_, value)| *value == about);
        if ours {
            let _ = rehearsal::kill::client(call.peer, server);
        }
        ours.then_some(Intercept::ResetBefore)
    });
    let refused = run(ground, &input(&crashed, "shift", probing(&crashed, "v1"))).await?;
    let cause = check_failure(&refused, "PlanRejected")?;
    ensure!(cause.contains("Nothing was touched"), "{cause}");
    ensure!(refused.path == REFUSED_BY_PROBES, "{:?}", refused.path);
    ensure!(writes(ground, &crashed.routes).is_empty(), "it was refused");
    check_weights(&crashed, [100, 0]).await
}

/// As `make testers` and `make undeploy` run it, against the local AWS's own balancers: CloudFormation there
/// knows no others.
pub async fn the_rule_comes_and_goes_by_the_template(ground: &Ground) -> Result<()> {
    let site = Made::new(ground).await?;
    let settings = ground.folder().join("made.env");
    let weighted = ground.folder().join("made-weighted.env");
    std::fs::write(&settings, "LoadBalancerName=made\nTargetGroupPattern=made-{app}-{fleet}-tg\n")?;
    std::fs::write(
        &weighted,
        "LoadBalancerName=made\nTargetGroupPattern=shop-us-prd-made-{app}-{fleet}-tg\n",
    )?;
    let (settings, weighted) = (settings.display().to_string(), weighted.display().to_string());
    let script = async |stack: &str, what: &str, given: &[(&str, &str)]| -> Result<(bool, String)> {
        let mut python = Command::new(tool("python"));
        python.arg(root().join("infra/testers.py"));
        python.args(match what {
            "add" => vec!["add", stack, &settings, "web"],
            "add-weighted" => vec!["add", stack, &weighted, "web"],
            _ => vec![what, stack],
        });
        let run = aim(&mut python, ground.endpoint()).envs(given.iter().copied());
        let run =
            run.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let said = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
        Ok((run.status.success(), said))
    };
    let (made, said) = script("made", "add", &[]).await?;
    ensure!(!made && said.contains("SECRET"), "{said}");
    ensure!(site.testers().await?.is_empty(), "{said}");
    // The local AWS knows no weights, so what they tell is asked of our balancer, as far as that goes.
    let ours = ground.alb.endpoint();
    let weighted = Site::new(ground, "made").await?;
    let web = weighted.app("made-web", &[RouteKind::Host], Forward::Weighted([0, 100])).await?;
    let ours = [("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", &ours[..])];
    let (_, said) = script("made", "add-weighted", &ours).await?;
    ensure!(
        said.contains(&format!("TargetGroupArn={}", web.groups[0])) && said.contains("Priority="),
        "{said}"
    );
    web.overwrite([50, 50]).await?;
    let (_, said) = script("made", "add-weighted", &ours).await?;
    ensure!(said.contains("cannot be told"), "{said}");

    let (made, said) = script("made", "add", &[("SECRET", SECRET)]).await?;
    ensure!(made && said.contains("go to prod2, the standby of web") && !said.contains(SECRET), "{said}");
    let is = |rule: &Value, group: &str, priority: &str| {
        let header = json!({ "HttpHeaderName": "x-failover-standby", "Values": [SECRET] });
        let conditions = rule["Conditions"].as_array().is_some_and(|conditions| {
            conditions.len() == 1
                && conditions[0]["Field"] == "http-header"
                && conditions[0]["HttpHeaderConfig"] == header
        });
        let actions = rule["Actions"].as_array().is_some_and(|actions| {
            actions.len() == 1 && actions[0]["Type"] == "forward" && actions[0]["TargetGroupArn"] == group
        });
        conditions && actions && rule["Priority"] == priority
    };
    let rules = site.testers().await?;
    ensure!(rules.len() == 1 && is(&rules[0], &site.groups[1], "9"), "{rules:?}");

    // The roles have swapped since; what is not given stays.
    site.send_users_to(1).await?;
    let (made, said) = script("made", "add", &[("PRIORITY", "5")]).await?;
    ensure!(made && said.contains("go to prod1"), "{said}");
    let rules = site.testers().await?;
    ensure!(rules.len() == 1 && is(&rules[0], &site.groups[0], "5"), "{rules:?}");

    let (removed, said) = script("failover", "remove", &[]).await?;
    ensure!(removed && said.is_empty() && site.testers().await?.len() == 1, "of another stack: {said}");
    let (removed, said) = script("made", "remove", &[]).await?;
    ensure!(removed && said.contains("Removed made-testers-web"), "{said}");
    ensure!(site.testers().await?.is_empty(), "{:?}", site.testers().await?);
    ensure!(site.rules().await?.len() == 2, "rules for users stay: {:?}", site.rules().await?);
    Ok(())
}

/// A balancer of the local AWS, with a rule for users.
struct Made<'a> {
    ground: &'a Ground,
    listener: String,
    rule: String,
    groups: [String; 2],
}

impl<'a> Made<'a> {
    async fn new(ground: &'a Ground) -> Result<Self> {
        let elb = async |arguments: &[&str], found: &str| -> Result<String> {
            let made = cli(ground.endpoint(), &[&["elbv2"], arguments].concat()).await?;
            made.pointer(found).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("{made}"))
        };
        let mut groups = Vec::new();
        for name in ["made-web-01-tg", "made-web-02-tg"] {
            let group = [
                "create-target-group",
                "--name",
                name,
                "--protocol",
                "HTTP",
                "--port",
                "80",
                "--vpc-id",
                "vpc-1",
            ];
            groups.push(elb(&group, "/TargetGroups/0/TargetGroupArn").await?);
        }
        let balancer = ["create-load-balancer", "--name", "made", "--subnets", "subnet-1", "subnet-2"];
        let balancer = elb(&balancer, "/LoadBalancers/0/LoadBalancerArn").await?;
        let nothing = "Type=fixed-response,FixedResponseConfig={StatusCode=404}";
        let listener =
            ["create-listener", "--load-balancer-arn", &balancer, "--protocol", "HTTP", "--port", "80"];
        let listener =
            elb(&[&listener[..], &["--default-actions", nothing]].concat(), "/Listeners/0/ListenerArn")
                .await?;
        let groups: [String; 2] = groups.try_into().expect("two of them");
        let forward = format!("Type=forward,TargetGroupArn={}", groups[0]);
        let rule = ["create-rule", "--listener-arn", &listener, "--priority", "10", "--conditions"];
        let rule = [&rule[..], &["Field=path-pattern,Values=/*", "--actions", &forward]].concat();
        let rule = elb(&rule, "/Rules/0/RuleArn").await?;
        Ok(Self { ground, listener, rule, groups })
    }

    async fn send_users_to(&self, fleet: usize) -> Result<()> {
        let forward = format!("Type=forward,TargetGroupArn={}", self.groups[fleet]);
        let modify = ["elbv2", "modify-rule", "--rule-arn", &self.rule, "--actions", &forward];
        cli(self.ground.endpoint(), &modify).await.map(drop)
    }

    async fn rules(&self) -> Result<Vec<Value>> {
        let describe = ["elbv2", "describe-rules", "--listener-arn", &self.listener];
        let rules = cli(self.ground.endpoint(), &describe).await?;
        Ok(rules["Rules"].as_array().cloned().unwrap_or_default())
    }

    async fn testers(&self) -> Result<Vec<Value>> {
        let rules = self.rules().await?.into_iter();
        Ok(rules.filter(|rule| rule.to_string().contains("x-failover-standby")).collect())
    }
}
