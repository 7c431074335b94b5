//! Hooks: functions of the team's own, and what each of their answers leads to.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use rehearsal::{App, Event, Forward, Ground, RouteKind, Site, Stack, cli, deploy, hook_function, tool};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::checkout;
use crate::support::{
    COMPLETED, RATE, REFUSED, ROLLED_BACK, check_failure, check_success, check_traffic, check_weights, input,
    path, run, writes,
};

/// It keeps every event and answers as it was told for the moment, by default with `advance`.
const FUNCTION: &str = r#"
import json, os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(os.environ["FOLDER"]) / event["plan"]["app"]
    (folder / f"call-{time.time_ns()}.json").write_text(json.dumps(event))
    answers = json.loads((folder / "answers.json").read_text())
    answer = answers.get(event["moment"], {"verdict": "advance"})
    if "takes" in answer:
        time.sleep(answer["takes"])
    if "raises" in answer:
        raise RuntimeError(answer["raises"])
    return answer
"#;

/// Seconds that the function itself may take.
const TIMEOUT: &str = "3";

/// The hook of one app: what it answers, and how it was called.
struct Hook {
    folder: PathBuf,
}

impl Hook {
    async fn new(ground: &Ground, app: &App<'_>, answers: Value) -> Result<Self> {
        static MADE: OnceCell<()> = OnceCell::const_new();
        let folder = ground.folder().join("hook").join(&app.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("answers.json"), answers.to_string())?;
        MADE.get_or_try_init(|| make(ground)).await?;
        Ok(Self { folder })
    }

    /// The events of all calls so far, in their order.
    fn calls(&self) -> Result<Vec<Value>> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder)?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
        files.retain(|file| !file.ends_with("answers.json"));
        files.sort();
        files.iter().map(|file| Ok(serde_json::from_slice(&fs::read(file)?)?)).collect()
    }

    /// Checks at which moments it was called, and returns the events.
    fn check(&self, moments: &[&str]) -> Result<Vec<Value>> {
        let calls = self.calls()?;
        let called: Vec<&str> = calls.iter().filter_map(|call| call["moment"].as_str()).collect();
        ensure!(called == moments, "called at {called:?} instead of {moments:?}");
        Ok(calls)
    }
}

/// Makes the one function, with a version.
async fn make(ground: &Ground) -> Result<()> {
    let folder = ground.folder().join("hook");
    fs::write(folder.join("hook.py"), FUNCTION)?;
    let zipped = ["-m", "zipfile", "-c", "hook.zip", "hook.py"];
    let zipped = Command::new(tool("python")).args(zipped).current_dir(&folder).status().await?;
    ensure!(zipped.success(), "the hook cannot be packaged");
    let arn = hook_function();
    let (_, name) = arn.rsplit_once(':').context("an ARN")?;
    let zip = format!("fileb://{}", folder.join("hook.zip").display());
    let environment = json!({ "Variables": { "FOLDER": folder } }).to_string();
    let role = "arn:aws:iam::000000000000:role/hook";
    let create = ["lambda", "create-function", "--function-name", name, "--runtime", "python3.13"];
    let create = [&create[..], &["--handler", "hook.handler", "--role", role, "--zip-file", &zip]].concat();
    let create = [&create[..], &["--timeout", TIMEOUT, "--environment", &environment, "--publish"]].concat();
    cli(ground.endpoint(), &create).await.map(drop)
}

/// One hook at every moment, by the function or by its first version.
fn everywhere() -> Value {
    let (function, version) = (hook_function(), format!("{}:1", hook_function()));
    json!({ "beforeRun": function, "afterStage": version })
}

fn shift(app: &App<'_>, hooks: &Value) -> Value {
    input(app, "shift", json!({ "stages": [40, 100], "hooks": hooks }))
}

/// The path to the end of so many stages, with a hook before the run and after each of them.
fn hooked(stages: usize, end: &[&str]) -> Vec<String> {
    let mut hooked = Vec::new();
    for state in path(stages, &[]) {
        let after = state == "IsHealthy";
        if state == "ClaimRoutes" {
            hooked.extend(["CallBeforeRun", "IsReady"].map(str::to_owned));
        }
        hooked.push(state);
        if after {
            hooked.extend(["CallAfterStage", "IsHealthy"].map(str::to_owned));
        }
    }
    hooked.extend(end.iter().map(|state| (*state).to_owned()));
    hooked
}

pub async fn a_healthy_run_calls_them_in_order_with_what_it_knows(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "hooked").await?;
    let app = site.app("hooked", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let hook = Hook::new(ground, &app, json!({})).await?;
    let moments = ["beforeRun", "afterStage", "afterStage"];
    let expected = hooked(2, &COMPLETED);
    for (number, (live, standby)) in [("prod1", "prod2"), ("prod2", "prod1")].into_iter().enumerate() {
        let shifted = run(ground, &shift(&app, &everywhere())).await?;
        check_success(&shifted, &expected)?;
        let calls = hook.check(&moments.repeat(number + 1))?;
        let [begun, first, last] = &calls[number * moments.len()..] else { unreachable!("three calls") };
        for call in [begun, first, last] {
            ensure!(call["plan"]["live"] == live && call["last"] == (call == last), "{call}");
        }
        ensure!(begun["progress"]["timeline"] == json!([]) && begun["figures"].is_null(), "{begun}");
        for (call, stages, percent) in [(first, 1, 40), (last, 2, 100)] {
            let timeline = call["progress"]["timeline"].as_array().context("no timeline")?;
            ensure!(timeline.len() == stages, "{call}");
            let last = timeline.last().context("no stage")?;
            ensure!(last["weights"][standby] == percent && last["verdict"] == "advance", "{call}");
            ensure!(last["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{call}");
            ensure!(call["figures"].is_object(), "{call}");
        }
        ensure!(shifted.output["live"] == standby, "{shifted:?}");
    }
    check_weights(&app, [100, 0]).await?;
    check_traffic(&traffic, 0).await
}

/// A hook that does not let its run go on.
struct Case {
    name: &'static str,
    moment: &'static str,
    answer: fn() -> Value,
    says: &'static str,
}

const CASES: [Case; 7] = [
    Case {
        name: "refuse-run",
        moment: "beforeRun",
        answer: || json!({ "verdict": "rollBack", "reason": "the error budget is spent" }),
        says: "the hook beforeRun (release-hook) says roll back: the error budget is spent",
    },
    Case {
        name: "crash-run",
        moment: "beforeRun",
        answer: || json!({ "raises": "a bug of ours" }),
        says: "a bug of ours",
    },
    Case {
        name: "late-run",
        moment: "beforeRun",
        answer: || json!({ "takes": 5 }),
        says: "failed: Sandbox.Timedout: Task timed out after 3.00 seconds",
    },
    Case {
        name: "refuse-stage",
        moment: "afterStage",
        answer: || json!({ "verdict": "rollBack", "reason": "the queue grows" }),
        says: "the hook afterStage (release-hook:1) says roll back: the queue grows",
    },
    Case {
        name: "crash-stage",
        moment: "afterStage",
        answer: || json!({ "raises": "a bug of ours" }),
        says: "a bug of ours",
    },
    Case {
        name: "late-stage",
        moment: "afterStage",
        answer: || json!({ "takes": 5 }),
        says: "failed: Sandbox.Timedout: Task timed out after 3.00 seconds",
    },
    Case {
        name: "nonsense-stage",
        moment: "afterStage",
        answer: || json!([{ "verdict": "advance" }]),
        says: "answered neither advance nor rollBack, but [{\"verdict\":\"advance\"}]",
    },
];

pub async fn whatever_is_no_advance_ends_the_run(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "refusing").await?;
    let one = async |(number, case): (usize, &Case)| {
        // In both directions.
        let before = [[100, 0], [0, 100]][number % 2];
        not_passed(ground, &site, case, before).await.with_context(|| case.name)
    };
    try_join_all(CASES.iter().enumerate().map(one)).await.map(drop)
}

async fn not_passed(
    ground: &Ground,
    site: &Site<'_>,
    Case { name, moment, answer, says }: &Case,
    before: [u16; 2],
) -> Result<()> {
    let app = site.app(name, &[RouteKind::Host], Forward::Weighted(before)).await?;
    let _traffic = app.traffic(RATE / 4);
    let hook = Hook::new(ground, &app, json!({ (*moment): answer() })).await?;
    let ended = run(ground, &shift(&app, &everywhere())).await?;
    check_weights(&app, before).await?;
    if *moment == "beforeRun" {
        let cause = check_failure(&ended, "PlanRejected")?;
        let begins = format!("{name}: nothing was touched, since the hook beforeRun (release-hook) ");
        ensure!(cause.starts_with(&begins) && cause.contains(says), "{cause}");
        let asked: &[&str] = if answer().get("verdict").is_some() {
            &["CallBeforeRun", "IsReady"]
        } else {
            &["CallBeforeRun"]
        };
        let expected = [&REFUSED[..1], &["IsReady"], asked, &REFUSED[1..]].concat();
        ensure!(ended.path == expected, "{:?}", ended.path);
        ensure!(writes(ground, &app.routes).is_empty(), "a run that was refused has written");
        return hook.check(&["beforeRun"]).map(drop);
    }
    let cause = check_failure(&ended, "RolledBack")?;
    ensure!(cause.contains(says), "{cause}");
    // A crash is not tried again: a hook that was called may have done something.
    let answered = answer().is_array() || answer().get("verdict").is_some();
    let mut expected = hooked(1, &ROLLED_BACK);
    if !answered {
        // A call that fails needs no verdict to be followed.
        let called = expected.iter().position(|state| state == "CallAfterStage").context("no call")?;
        expected.remove(called + 1);
    }
    ensure!(ended.path == expected, "{:?}", ended.path);
    hook.check(&["beforeRun", "afterStage"])?;
    // Whose roles they are is as it was.
    let live = if before[0] == 100 { "prod1" } else { "prod2" };
    let tags = app.tags().await?;
    ensure!(tags.get("failover:live").is_none_or(|tag| tag == live), "{tags:?}");
    Ok(())
}

pub async fn a_function_that_is_not_the_deployments_is_refused_by_name(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "stranger").await?;
    let app = site.app("stranger", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let hook = Hook::new(ground, &app, json!({})).await?;
    let mut hooks = everywhere();
    hooks["afterStage"] = hook_function().replace("release-hook", "release-hook-2").into();
    let ended = run(ground, &shift(&app, &hooks)).await?;
    let cause = check_failure(&ended, "PlanRejected")?;
    ensure!(
        cause.contains("`hooks.afterStage`: the state machine may not invoke arn:aws:lambda:"),
        "{cause}"
    );
    ensure!(cause.contains("HookFunctions") && cause.ends_with("Nothing was touched."), "{cause}");
    ensure!(ended.path == REFUSED, "{:?}", ended.path);

    // One that is allowed and not there fails when it is called.
    let gone = json!({ "beforeRun": format!("{}:99", hook_function()) });
    let cause = check_failure(&run(ground, &shift(&app, &gone)).await?, "PlanRejected")?;
    ensure!(cause.contains("(release-hook:99) failed: Lambda.ResourceNotFoundException: "), "{cause}");

    // Who has nothing to do asks nobody.
    let dry = input(&app, "shift", json!({ "hooks": everywhere(), "dryRun": true }));
    let planned = run(ground, &dry).await?;
    ensure!(planned.output["plan"]["hooks"] == everywhere(), "{planned:?}");
    ensure!(planned.path == ["PlanShift", "IsReady", "Untouched"], "{:?}", planned.path);
    app.overwrite([50, 50]).await?;
    let even = json!({ "hooks": everywhere(), "standby": "prod2" });
    let even = run(ground, &input(&app, "balance", even)).await?;
    ensure!(even.output["status"] == "unchanged", "{even:?}");
    ensure!(writes(ground, &app.routes) == ["ModifyRule"], "a run has written");
    hook.check(&[]).map(drop)
}

/// A run that is stopped while it waits for a hook is restored, and nobody is asked for that.
pub async fn a_restore_calls_no_hook(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "hook-stop").await?;
    let app = site.app("hook-stop", &[RouteKind::Host], Forward::Weighted([0, 100])).await?;
    let _traffic = app.traffic(RATE / 2);
    let hook = Hook::new(ground, &app, json!({ "afterStage": { "takes": 2, "verdict": "advance" } })).await?;
    let mut execution = ground.execute(&shift(&app, &everywhere())).await?;
    execution.until_stage(1).await?;
    execution.until(|event| *event == Event::Entered("CallAfterStage".into())).await?;
    // Stopped while the function is at it, as far as that can be had from outside.
    while hook.calls()?.len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    execution.stop().await?;
    let restored = ground.restore_of(&execution.arn).await?.finish().await?;
    ensure!(restored.output["status"] == "restored", "{restored:?}");
    hook.check(&["beforeRun", "afterStage"])?;
    check_weights(&app, [0, 100]).await
}

/// The deployment's hooks, and the time-out of the state itself, which is shorter here than it ships.
pub async fn the_deployments_hook_is_called_and_waited_for_no_longer_than_said(
    ground: &Ground,
) -> Result<()> {
    let copy = checkout::copy(ground, "hooking")?;
    let definition = copy.join("statemachine/failover.asl.json");
    let shipped = fs::read_to_string(&definition)?;
    let (before, state) = shipped.split_once("\"CallBeforeRun\": {").context("no such state")?;
    let sooner = state.replacen("\"TimeoutSeconds\": 60", "\"TimeoutSeconds\": 1", 1);
    ensure!(sooner != state, "the state has another time-out");
    fs::write(&definition, format!("{before}\"CallBeforeRun\": {{{sooner}"))?;
    let function = hook_function();
    let parameters = format!("HookFunctions={function} Hooks='{{\"beforeRun\": \"{function}:1\"}}'");
    let stack = Stack { checkout: copy, ..Stack::new("hooking", &parameters) };
    let stack = deploy(ground.endpoint(), &stack).await?;

    let site = Site::new(ground, "hooking").await?;
    let app = site.app("hooking", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let hook = Hook::new(ground, &app, json!({ "beforeRun": { "takes": 2 } })).await?;
    let plain = input(&app, "shift", json!({}));
    let ended = ground.execute_on(&stack, &plain).await?.finish().await?;
    let cause = check_failure(&ended, "PlanRejected")?;
    let says =
        "hooking: nothing was touched, since the hook beforeRun (release-hook:1) did not answer within 60 s.";
    ensure!(cause == says, "{cause}");
    hook.check(&["beforeRun"])?;

    // Who wants none says so.
    let none = input(&app, "shift", json!({ "hooks": {}, "dryRun": true }));
    let planned = ground.execute_on(&stack, &none).await?.finish().await?;
    ensure!(planned.output["plan"]["hooks"].is_null(), "{planned:?}");
    ensure!(writes(ground, &app.routes).is_empty(), "a run that was refused has written");
    Ok(())
}
