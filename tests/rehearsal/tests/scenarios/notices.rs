//! What the team is told of a run, as subscribers of its topic and of the event bus get it.

use std::sync::Arc;
use std::time::Duration;

use alb::{Call, CallInfo, Intercept};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rehearsal::{ACCOUNT, App, Forward, Ground, REGION, RouteKind, Site, cli};
use serde_json::{Value, json};

use crate::support::{COMPLETED, RATE, check_failure, check_success, check_weights, input, path, run};

/// How long a message may take to its queue.
const DELIVERED_WITHIN: Duration = Duration::from_secs(20);

pub async fn the_team_is_told_before_the_first_write_and_after_the_end(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "told").await?;
    let app = site.app("told", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let mail = mailbox(ground, &app, "told-mail", "{\"app\": [\"told\"]}").await?;
    let machines = event_queue(ground, &app).await?;

    let stages = json!({ "stages": [40, 100], "release": "v2", "startedBy": "Kim" });
    let ended = run(ground, &input(&app, "shift", stages)).await?;
    check_success(&ended, &path(2, &COMPLETED))?;

    let mails = messages(ground, &mail, 2).await?;
    let [first, last] = mails.as_slice() else { unreachable!("two messages") };
    ensure!(first["Subject"] == "[BEGINS] told: shift, prod2 (release v2)", "{first}");
    let text = first["Message"].as_str().unwrap_or_default();
    ensure!(text.contains("prod1 60 %, prod2 40 %") && text.contains("Started by: Kim"), "{text}");
    ensure!(last["Subject"] == "[OK] told: shifted, prod2 carries all traffic", "{last}");
    let text = last["Message"].as_str().unwrap_or_default();
    let summary = ended.output["summary"].as_str().context("no summary")?;
    let begins = "TRAFFIC   prod1 0 %, prod2 100 %, read back\nUSERS     not harmed by it; ";
    ensure!(text.starts_with(begins) && text.contains(&format!("WHY       {summary}")), "{text}");
    ensure!(text.contains("prod1 60 %, prod2 40 %; ") && text.contains("prod1 0 %, prod2 100 %; "), "{text}");

    // Before the first write: the balancer knows when that was, the topic when it was told.
    let told: Timestamp = first["Timestamp"].as_str().context("no time")?.parse()?;
    let calls = ground.alb.calls();
    let of_app =
        |call: &&Arc<Call>| call.action == "ModifyRule" && call.parameter("RuleArn") == Some(&app.routes[0]);
    let written = calls.iter().find(of_app).context("no weights were written")?.at;
    ensure!(told < written, "told at {told}, written at {written}");

    // Machines get the same.
    let events = messages(ground, &machines, 2).await?;
    for (event, message) in events.iter().zip(&mails) {
        let detail = &event["detail"];
        ensure!(detail["text"] == message["Message"] && detail["subject"] == message["Subject"], "{event}");
        ensure!(
            detail["app"] == "told" && detail["startedBy"] == "Kim" && detail["pages"] == false,
            "{event}"
        );
    }
    ensure!(events[0]["detail-type"] == "Failover Run Started", "{}", events[0]);
    ensure!(events[1]["detail-type"] == "Failover Run Ended", "{}", events[1]);
    ensure!(events[1]["detail"]["status"] == "shifted", "{}", events[1]);
    ensure!(events[1]["detail"]["weights"] == json!({ "prod1": 0, "prod2": 100 }), "{}", events[1]);
    Ok(())
}

/// Whoever listens for one app hears of every run that it takes part in.
pub async fn a_run_of_several_apps_reaches_the_team_of_each(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "both-told").await?;
    let first = site.app("first-told", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let second = site.app("second-told", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = [first.traffic(RATE / 2), second.traffic(RATE / 2)];
    let mail = mailbox(ground, &second, "second-mail", "{\"app\": [\"second-told\"]}").await?;
    let machines = event_queue(ground, &second).await?;
    let mut drain = input(&first, "drain", json!({ "bake": "2s" }));
    drain["app"] = json!(["first-told", "second-told"]);
    check_success(&run(ground, &drain).await?, &path(1, &COMPLETED))?;
    let mails = messages(ground, &mail, 2).await?;
    ensure!(
        mails[1]["Subject"] == "[OK] first-told and second-told: drained, prod2 is ready for deployment",
        "{mails:?}"
    );
    let events = messages(ground, &machines, 2).await?;
    ensure!(events[1]["detail"]["app"] == json!(["first-told", "second-told"]), "{events:?}");
    Ok(())
}

pub async fn an_ending_that_pages_reaches_those_who_asked_for_no_more(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "pager").await?;
    let app = site.app("pager", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    let filter = "{\"app\": [\"pager\"], \"pages\": [\"true\"]}";
    let pager = mailbox(ground, &app, "pager-mail", filter).await?;
    let mut execution = ground.execute(&input(&app, "shift", json!({ "stages": [20, 100] }))).await?;
    execution.until_stage(1).await?;
    app.overwrite([33, 20]).await?;
    let cause = check_failure(&execution.finish().await?, "ExternalChange")?;

    let mails = messages(ground, &pager, 1).await?;
    ensure!(mails.len() == 1, "{mails:?}");
    ensure!(mails[0]["Subject"] == "[ACT NOW] pager: shift ended in ExternalChange", "{}", mails[0]);
    let text = mails[0]["Message"].as_str().unwrap_or_default();
    ensure!(
        text.starts_with("TRAFFIC   prod1 62 %, prod2 38 %, as the balancer says\n") && text.contains(&cause),
        "{text}"
    );
    Ok(())
}

pub async fn a_notice_that_cannot_be_sent_stops_nothing(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "untold").await?;
    let app = site.app("untold", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let _traffic = app.traffic(RATE);
    ground.fail(|call: &CallInfo<'_>| {
        let ours = call.parameters.iter().any(|(_, value)| value.contains("execution:failover:untold-"));
        let fault = match call.action {
            "Publish" => {
                Intercept::Error { status: 500, code: "InternalError".into(), message: "broken".into() }
            }
            "PutEvents" => {
                Intercept::Error { status: 403, code: "AccessDenied".into(), message: "no".into() }
            }
            _ => return None,
        };
        ours.then_some(fault)
    });
    let ended = run(ground, &input(&app, "shift", json!({ "stages": [40, 100] }))).await?;
    check_success(&ended, &path(2, &COMPLETED))?;
    check_weights(&app, [0, 100]).await
}

/// A queue that gets the messages of the topic that pass a filter.
pub async fn mailbox(ground: &Ground, app: &App<'_>, name: &str, filter: &str) -> Result<String> {
    let (url, arn) = queue(ground, name).await?;
    let attributes = json!({ "FilterPolicy": filter }).to_string();
    let topic = ground.notice_topic_arn.as_str();
    let subscribe =
        ["sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", &arn];
    cli(ground.endpoint(), &[&subscribe[..], &["--attributes", &attributes]].concat())
        .await
        .with_context(|| format!("{} has no mailbox", app.name))?;
    Ok(url)
}

/// A queue that gets the events about an app.
async fn event_queue(ground: &Ground, app: &App<'_>) -> Result<String> {
    let name = format!("{}-events", app.name);
    let (url, arn) = queue(ground, &name).await?;
    let pattern = json!({ "source": ["failover"], "detail": { "app": [app.name] } }).to_string();
    cli(ground.endpoint(), &["events", "put-rule", "--name", &name, "--event-pattern", &pattern]).await?;
    let target = format!("Id=queue,Arn={arn}");
    cli(ground.endpoint(), &["events", "put-targets", "--rule", &name, "--targets", &target]).await?;
    Ok(url)
}

async fn queue(ground: &Ground, name: &str) -> Result<(String, String)> {
    let made = cli(ground.endpoint(), &["sqs", "create-queue", "--queue-name", name]).await?;
    let url = made["QueueUrl"].as_str().context("a queue without URL")?.to_owned();
    Ok((url, format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")))
}

/// At least so many messages of a queue, in the order in which they were sent.
pub async fn messages(ground: &Ground, url: &str, count: usize) -> Result<Vec<Value>> {
    let deadline = tokio::time::Instant::now() + DELIVERED_WITHIN;
    let mut found: Vec<Value> = Vec::new();
    let receive = ["sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10"];
    let receive = [&receive[..], &["--wait-time-seconds", "5"]].concat();
    while found.len() < count {
        ensure!(tokio::time::Instant::now() < deadline, "only {found:?} arrived");
        let answer = cli(ground.endpoint(), &receive).await?;
        for message in answer["Messages"].as_array().into_iter().flatten() {
            found.push(serde_json::from_str(message["Body"].as_str().context("no body")?)?);
        }
    }
    let sent = |message: &Value| {
        let at = ["Timestamp", "time"].iter().find_map(|field| message[field].as_str());
        at.unwrap_or_default().to_owned()
    };
    found.sort_by_key(sent);
    Ok(found)
}
