//! The command `failover`, as a person types it: in a folder with the settings of a stack, by the
//! names of apps alone.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use alb::Intercept;
use anyhow::{Context, Result, bail, ensure};
use rehearsal::{ACCOUNT, App, Forward, Ground, RouteKind, Site, aim, cli, elsewhere, root};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::permissions::OPERATOR;
use crate::support::{RATE, check_nothing_lost, check_weights};

/// How long a command may take before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_mins(10);

/// A deployment of an older version.
const OLD: &str = "failover-old";

/// A bake that nobody waits for here.
const LONG: &str = "10m";

/// Builds the command, once, and says where it is.
pub async fn built() -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let built = BUILT.get_or_try_init(|| async {
        let mut cargo = elsewhere("cargo");
        cargo.current_dir(root()).args(["build", "--quiet", "--locked", "--package", "failover-cli"]);
        let output = cargo.kill_on_drop(true).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Beside the folder of the tests.
        let tests = std::env::current_exe()?;
        let folder = tests.ancestors().nth(2).context("a test in a folder of its own")?;
        anyhow::Ok(folder.join("failover"))
    });
    built.await.cloned()
}

/// Points the command at the local AWS and its balancer.
pub fn aimed<'a>(command: &'a mut Command, ground: &Ground) -> &'a mut Command {
    let alb = ground.alb.endpoint();
    aim(command, ground.endpoint()).envs([
        ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", alb.as_str()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", alb.as_str()),
        // Passed on; noted, so that the role of operators can be held against it.
        ("AWS_ENDPOINT_URL_SFN", alb.as_str()),
        ("AWS_SDK_UA_APP_ID", OPERATOR),
        ("USER", "ada"),
    ])
}

/// Somebody with a terminal, in a folder that holds the settings of the deployment.
struct Desk<'a> {
    ground: &'a Ground,
    folder: TempDir,
    program: PathBuf,
}

impl<'a> Desk<'a> {
    /// For the apps of a balancer of this name.
    async fn new(ground: &'a Ground, balancer: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("failover-operating-").tempdir()?;
        std::fs::create_dir(folder.path().join("infra"))?;
        std::fs::write(folder.path().join("infra/failover.env"), format!("LoadBalancerName={balancer}\n"))?;
        let input = json!({
            "bake": "3s", "poll": "1s", "period": "1s",
            "criteria": { "longerPeriods": 8, "bothUnhealthyFor": "5s", "slowSeconds": 3 },
        });
        std::fs::write(folder.path().join("fast.json"), input.to_string())?;
        let long = json!({ "bake": LONG, "poll": "1s", "period": "1s", "criteria": input["criteria"] });
        std::fs::write(folder.path().join("long.json"), long.to_string())?;
        Ok(Self { ground, folder, program: built().await? })
    }

    fn command(&self, typed: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).args(typed.split_whitespace()).kill_on_drop(true);
        aimed(&mut command, self.ground);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn output(&self, typed: &str) -> Result<Output> {
        timeout(STUCK_AFTER, self.command(typed).output())
            .await
            .context(typed.to_owned())?
            .context("cannot run it")
    }

    /// Types a command that has to end like this, and returns what it prints.
    async fn types(&self, typed: &str, code: i32) -> Result<String> {
        let output = self.output(typed).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.code() == Some(code), "failover {typed}: {}\n{shown}{said}", output.status);
        // No colour where there is no terminal.
        ensure!(!shown.contains('\u{1b}'), "{shown:?}");
        Ok(format!("{shown}{said}"))
    }

    fn watches(&self, typed: &str) -> Result<Watcher> {
        let mut child = self.command(typed).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("what it shows")?).lines();
        Ok(Watcher { child, lines, shown: Vec::new() })
    }
}

/// A command that goes on in another terminal.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    shown: Vec<String>,
}

impl Watcher {
    async fn until(&mut self, text: &str) -> Result<()> {
        while let Some(line) = timeout(STUCK_AFTER, self.lines.next_line()).await.context("stuck")?? {
            self.shown.push(line);
            if self.shown.last().is_some_and(|line| line.contains(text)) {
                return Ok(());
            }
        }
        bail!("it ended without {text:?}: {}", self.shown.join("\n"))
    }

    /// Reads on to its end: how it ended, and all that it has shown.
    async fn end(mut self) -> Result<(Option<i32>, String)> {
        while let Some(line) = timeout(STUCK_AFTER, self.lines.next_line()).await.context("stuck")?? {
            self.shown.push(line);
        }
        let status = timeout(STUCK_AFTER, self.child.wait()).await??;
        Ok((status.code(), self.shown.join("\n")))
    }
}

fn holds(shown: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    Ok(())
}

async fn site<'a>(ground: &'a Ground, name: &str) -> Result<(Site<'a>, Desk<'a>)> {
    Ok((Site::new(ground, name).await?, Desk::new(ground, name).await?))
}

async fn app<'a>(site: &'a Site<'a>, name: &str) -> Result<App<'a>> {
    site.app(name, &[RouteKind::Host, RouteKind::Path], Forward::Weighted([100, 0])).await
}

pub async fn a_run_is_started_watched_approved_paused_and_rolled_back_by_name(ground: &Ground) -> Result<()> {
    let (site, desk) = site(ground, "by-name").await?;
    let (app, other) = (app(&site, "by-name").await?, app(&site, "beside").await?);
    let traffic = app.traffic(RATE);
    let before = desk.types("status", 0).await?;
    holds(&before, &["beside", "by-name", "prod1  live", "100 %", "2 of 2 healthy", "possible: ", "shift"])?;
    let options = "--stages 30,60,100 --approve-before 60 --input";
    let planned = desk.types(&format!("plan by-name --release v42 {options} fast.json"), 0).await?;
    holds(&planned, &["prod1 70 %, prod2 30 %", "once approved", "nothing was touched", "CHECKED"])?;

    let started = desk.types(&format!("shift by-name --release v42 {options} fast.json"), 0).await?;
    holds(&started, &["Started by-name-shift-v42-2", "Watch it: failover watch by-name"])?;
    let mut watcher = desk.watches("watch by-name")?;
    watcher.until("waits for an approval of 60 %").await?;
    holds(
        &desk.types("status by-name", 0).await?,
        &["going on: shift v42, stage 1 of 3: prod1 70 %, prod2 30 %"],
    )?;
    let refused = desk.types("promote beside", 3).await?;
    holds(&refused, &["no run of beside is going on", "failover history beside"])?;
    let approved = desk.types("approve by-name", 0).await?;
    holds(
        &approved,
        &[
            "Asked approve-60 of by-name-shift-v42",
            "Followed: stage 2 of 3 has begun: prod1 40 %, prod2 60 %",
        ],
    )?;
    let paused: Value = serde_json::from_str(&desk.types("pause by-name --json", 0).await?)?;
    ensure!(paused["asked"] == "pause" && paused["followed"].is_string(), "{paused}");
    let rolled_back = desk.types("rollback by-name", 0).await?;
    holds(&rolled_back, &["Followed: the run puts back what it found"])?;
    let (code, shown) = watcher.end().await?;
    ensure!(code == Some(1), "{code:?}: {shown}");
    holds(
        &shown,
        &[
            "stage 1 of 3: prod1 70 %, prod2 30 %",
            "[ROLLED BACK] by-name: the shift went back by itself",
            "TRAFFIC   prod1 100 %, prod2 0 % (read from the balancer",
            "USERS     not any more",
            "somebody asked for it",
            "DO        Look into v42 on prod2",
        ],
    )?;
    check_weights(&app, [100, 0]).await?;
    check_nothing_lost(&app, &traffic)?;

    let history = desk.types("history by-name --since 1h", 0).await?;
    holds(&history, &["shift v42", "RolledBack", "by-name-shift-v42-2"])?;
    ensure!(history.lines().count() == 2, "a plan is no run: {history}");
    desk.types("report by-name", 0).await?;
    let page = std::fs::read_to_string(desk.folder.path().join("report.html"))?;
    holds(&page, &["somebody asked for it"])?;
    check_weights(&other, [100, 0]).await
}

pub async fn a_whole_cycle_is_typed_by_name(ground: &Ground) -> Result<()> {
    let (site, desk) = site(ground, "typed").await?;
    let app = app(&site, "typed").await?;
    let traffic = app.traffic(RATE);
    for (typed, told) in [
        ("drain typed --watch --input fast.json", "failover shift typed"),
        ("shift typed --release v2 --stages 40,100 --watch --input fast.json", "failover balance typed"),
        ("failback typed --watch --input fast.json", "failover shift typed"),
    ] {
        let shown = desk.types(typed, 0).await?;
        holds(&shown, &["[OK] typed: ", "TRAFFIC   prod1", "USERS     not ", told])?;
    }
    check_weights(&app, [100, 0]).await?;
    let json = desk.types("drain typed --watch --json --input fast.json", 0).await?;
    let last: Value = serde_json::from_str(json.lines().last().context("nothing was printed")?)?;
    ensure!(last["message"]["tag"] == "OK" && last["ending"] == "SUCCEEDED", "{last}");
    check_nothing_lost(&app, &traffic)
}

pub async fn what_cannot_be_asked_says_why_and_what_instead(ground: &Ground) -> Result<()> {
    let (site, desk) = site(ground, "asked").await?;
    let app = app(&site, "asked").await?;
    for (typed, parts) in [
        ("shift askde", &["there is no app askde behind asked", "Did you mean asked?"][..]),
        ("status askde", &["Did you mean asked?"]),
        ("watch askde", &["Did you mean asked?"]),
        ("watch asked", &["no run of asked is going on"]),
        ("shfit asked", &["'shift'"]),
        ("shift asked --stages 50,10,100", &["`stages`"]),
        ("status --stack failovr", &["there is no arn:aws:states:", "did you mean --stack failover?"]),
    ] {
        holds(&desk.types(typed, 3).await?, parts)?;
    }
    // Without settings it goes by what is deployed, which is for another balancer.
    std::fs::rename(desk.folder.path().join("infra"), desk.folder.path().join("gone"))?;
    holds(&desk.types("shift asked", 3).await?, &["there is no app asked behind rehearsal"])?;
    old_stack(ground).await?;
    holds(
        &desk.types(&format!("status --stack {OLD}"), 3).await?,
        &["does not say what it is for", "deploy this version"],
    )?;
    std::fs::rename(desk.folder.path().join("gone"), desk.folder.path().join("infra"))?;

    // Refused by the deployment itself.
    app.set(1, alb::Behaviour::Dead);
    let refused = until_refused(&desk).await?;
    holds(&refused, &["[REFUSED] asked: the shift did not begin", "USERS     not touched", "prod2"])?;
    check_weights(&app, [100, 0]).await?;

    let mark = app.mark();
    ground.fail(move |call| {
        let read = call.application == Some(OPERATOR) && call.action == "DescribeTargetHealth";
        let error =
            || Intercept::Error { status: 403, code: "AccessDenied".into(), message: "not allowed".into() };
        (read && mark.is_in(call.parameters)).then(error)
    });
    holds(&desk.types("status", 3).await?, &["AccessDenied", "not allowed"])?;
    ground.fail(|call| {
        let starts = call.application == Some(OPERATOR)
            && call.action == "StartExecution"
            && call.parameters.iter().any(|(_, value)| value.contains("asked-drain"));
        starts.then(|| Intercept::Error {
            status: 400,
            code: "AccessDeniedException".into(),
            message: "not authorized".into(),
        })
    });
    holds(&desk.types("drain asked", 3).await?, &["not authorized", "operators' role"])?;
    let mut cut_off = desk.command("status");
    cut_off.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1");
    let output = timeout(STUCK_AFTER, cut_off.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3) && said.contains("AWS cannot be reached"), "{said}");
    Ok(())
}

/// Makes a state machine as it was deployed before it said which balancer it is for.
async fn old_stack(ground: &Ground) -> Result<()> {
    let definition = json!({ "Comment": "Moves traffic.", "StartAt": "Done", "States": { "Done": { "Type": "Succeed" } } });
    let definition = definition.to_string();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/release");
    let make = [
        "stepfunctions",
        "create-state-machine",
        "--name",
        OLD,
        "--role-arn",
        &role,
        "--definition",
        &definition,
    ];
    cli(ground.endpoint(), &make).await.map(drop)
}

/// Types a shift until the balancer has seen that the targets are dead.
async fn until_refused(desk: &Desk<'_>) -> Result<String> {
    for _ in 0..30 {
        let health = desk.types("status asked --json", 0).await?;
        if health.contains("\"healthyTargets\":0") {
            return desk.types("shift asked", 1).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("the targets do not die")
}

pub async fn who_stops_watching_leaves_the_run_alone(ground: &Ground) -> Result<()> {
    let (site, desk) = site(ground, "left-alone").await?;
    let app = app(&site, "left-alone").await?;
    let _traffic = app.traffic(RATE);
    desk.types("shift left-alone --stages 30,100 --input long.json", 0).await?;
    let mut watcher = desk.watches("watch left-alone")?;
    watcher.until("stage 1 of 2").await?;
    let id = watcher.child.id().context("it runs")?.to_string();
    ensure!(std::process::Command::new("kill").args(["-INT", &id]).status()?.success());
    let output = timeout(STUCK_AFTER, watcher.child.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(130), "{:?}: {said}", output.status);
    holds(&said, &["goes on", "failover watch left-alone", "failover rollback left-alone"])?;
    holds(&desk.types("status left-alone", 0).await?, &["going on: shift, stage 1 of 2"])?;
    holds(&desk.types("rollback left-alone", 0).await?, &["Followed: "])?;
    Ok(())
}
