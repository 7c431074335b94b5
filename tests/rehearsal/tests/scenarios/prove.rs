//! `make prove` against the local balancer: what it finds, what it leaves, and whom it believes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use alb::{CallInfo, Intercept};
use anyhow::{Context, Result, ensure};
use rehearsal::{Ground, aim, cli, lambda_architecture, root, tool};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// Everything that it makes is named so.
const PREFIX: &str = "failover-prove-";

/// What the local balancer is held to by these rows; all others may wait for AWS.
const PROVEN: [&str; 58] = [
    "add-tags-two-resources",
    "remove-tags-two-resources",
    "describe-rules-21",
    "describe-target-groups-21",
    "describe-listeners-21",
    "describe-load-balancers-21",
    "describe-tags-21",
    "describe-rules-default",
    "describe-rules-default-mixed",
    "describe-rules-unknown",
    "describe-tags-unknown",
    "describe-tags-mixed",
    "tag-a-default-rule",
    "target-stickiness-alone",
    "target-stickiness-behind-rule",
    "target-stickiness-with-group-stickiness",
    "weights-left-out",
    "one-group-shown-both-ways",
    "duration-zero",
    "six-groups",
    "tag-characters",
    "modify-default-rule",
    "delete-default-rule",
    "rule-made-anew",
    "conditions-stay",
    "group-in-use",
    "attributes-of-a-group",
    "listener-by-tcp",
    "https-without-certificate",
    "target-of-another-kind",
    "health-of-an-empty-group",
    "health-unattached",
    "health-at-weight-0",
    "health-draining",
    "unknown-parameter",
    "networks-are-told",
    "security-group-name-once",
    "security-group-rules",
    "account-concurrency",
    "bucket-of-nobody",
    "stack-of-nobody-is-deleted",
    "new-and-gone",
    "attributes-of-a-balancer",
    "unknown-attribute-of-a-balancer",
    "health-at-once",
    "health-with-anomalies",
    "weight-read-after-write",
    "tag-read-after-write",
    "tc-of-a-target-group",
    "percentiles-of-a-target-group",
    "five-hundred-and-one-queries",
    "metric-data-messages",
    "parts-of-a-result",
    "hundred-and-one-alarm-names",
    "hundred-rules",
    "listener-goes-with-its-rules",
    "balancer-goes-with-its-listeners",
    "balancer-goes-twice",
];

/// What the local AWS answers in another way than AWS is taken to: it knows no images, and deletes whatever it is
/// told to.
const REFUTED_HERE: [&str; 2] = ["image-by-its-name", "security-group-in-use"];

/// The row that the balancer is made to lie about.
const LIED_ABOUT: &str = "duration-zero";

/// How long a run may take before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_mins(3);

/// A run with files of its own.
struct Run {
    folder: TempDir,
    command: Command,
}

impl Run {
    fn new(ground: &Ground) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("failover-prove-").tempdir()?;
        let mut command = Command::new(tool("python"));
        aim(&mut command, ground.endpoint())
            .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", ground.alb.endpoint())
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", ground.alb.endpoint())
            .current_dir(folder.path())
            .arg(root().join("tests/prove/prove.py"))
            .args(["--report", "found", "--port", &ground.alb.reserve_port()?.to_string()])
            // Those of the local AWS, of two zones. With a third zone it would ask about targets there, and the
            // balancer does not know which address is where.
            .args(["--subnets", "subnet-00000001", "subnet-00000002"])
            // It takes targets of this machine only. Nothing listens on port 80.
            .args(["--address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(Self { folder, command })
    }

    /// Runs it to its end; its exit code, and what it prints.
    async fn output(&mut self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let output = timeout(STUCK_AFTER, self.command.args(arguments).output()).await??;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join(".prove.json")
    }

    /// The rows of its report that can be asked here.
    fn rows(&self) -> Result<Vec<Value>> {
        let report = std::fs::read_to_string(self.folder.path().join("found.json"))?;
        let report: Value = serde_json::from_str(&report)?;
        let rows = report["rows"].as_array().context("no rows")?;
        ensure!(rows.iter().any(|row| row["byHand"] == true), "what needs a stack is not listed: {rows:?}");
        let listed = |claim: &str| rows.iter().any(|row| row["claim"] == claim);
        let open =
            alb::ledger::rows()?.into_iter().filter(|row| row.settled != "yes" && row.proved_by.is_empty());
        let missing: Vec<_> = open.map(|row| row.does).filter(|claim| !listed(claim)).collect();
        ensure!(missing.is_empty(), "open, and not in the table: {missing:?}");
        Ok(rows.iter().filter(|row| row["byHand"] == false).cloned().collect())
    }
}

/// The names of the rows with a verdict.
fn with(rows: &[Value], verdict: &str) -> Vec<String> {
    let found = rows.iter().filter(|row| row["verdict"] == verdict);
    found.map(|row| row["row"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Everything on the balancer that it has made.
async fn left(ground: &Ground) -> Result<Vec<String>> {
    let balancers = ground.balancer.describe_load_balancers().send().await?;
    let groups = ground.balancer.describe_target_groups().send().await?;
    let balancers = balancers.load_balancers().iter().filter_map(|found| found.load_balancer_name());
    let groups = groups.target_groups().iter().filter_map(|found| found.target_group_name());
    Ok(balancers.chain(groups).filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect())
}

/// One after the other: none of them may find what another one is about to remove.
pub async fn what_is_claimed_is_asked_and_nothing_stays(ground: &Ground) -> Result<()> {
    its_own_tests_pass(ground).await?;
    nothing_is_made_unasked_or_left_behind(ground).await?;
    what_is_claimed_is_found_and_a_lie_too(ground).await
}

async fn what_is_claimed_is_found_and_a_lie_too(ground: &Ground) -> Result<()> {
    let mut run = Run::new(ground)?;
    let (code, said) = run.output(&["--yes"]).await?;
    let rows = run.rows().with_context(|| said.clone())?;
    let (proven, refuted) = (with(&rows, "proven"), with(&rows, "refuted"));
    let missing: Vec<_> = rows.iter().filter(|row| row["verdict"] != "proven").collect();
    for name in PROVEN {
        ensure!(proven.iter().any(|found| found == name), "{name} is not proven: {missing:#?}");
    }
    ensure!(3 * proven.len() >= 2 * rows.len(), "{} of {} rows: {missing:#?}", proven.len(), rows.len());
    ensure!(refuted == REFUTED_HERE && code == Some(1), "{code:?}: {missing:#?}");
    let page = std::fs::read_to_string(run.folder.path().join("found.md"))?;
    ensure!(page.contains("| add-tags-two-resources |"), "{page}");
    ensure!(!page.contains("000000000000"), "the account is in the report: {page}");
    ensure!(left(ground).await?.is_empty() && !run.state().exists(), "{:?}", left(ground).await?);

    ground.fail(|call: &CallInfo<'_>| {
        let of_a_run = call.parameters.iter().any(|(_, value)| value.contains(PREFIX));
        let zero = |(path, value): &(String, String)| path.ends_with(".DurationSeconds") && value == "0";
        let lies = call.action == "ModifyRule" && of_a_run && call.parameters.iter().any(zero);
        let (code, message) = ("InvalidLoadBalancerAction".to_owned(), "a lie".to_owned());
        lies.then_some(Intercept::Error { status: 400, code, message })
    });
    let mut run = Run::new(ground)?;
    let (code, said) = run.output(&["--yes"]).await?;
    let rows = run.rows().with_context(|| said.clone())?;
    let refuted = with(&rows, "refuted");
    ensure!(refuted == [&[LIED_ABOUT], &REFUTED_HERE[..]].concat() && code == Some(1), "{code:?}: {said}");
    ensure!(said.contains("HTTP 400 InvalidLoadBalancerAction: a lie"), "{said}");
    ensure!(left(ground).await?.is_empty() && !run.state().exists(), "{:?}", left(ground).await?);
    Ok(())
}

/// Nobody to ask, an interrupt, and an end that nothing can be done about.
async fn nothing_is_made_unasked_or_left_behind(ground: &Ground) -> Result<()> {
    let (code, said) = Run::new(ground)?.output(&[]).await?;
    ensure!(code == Some(3) && said.contains("nobody can be asked"), "{code:?}: {said}");

    for signal in ["-INT", "-KILL"] {
        let mut run = Run::new(ground)?;
        let child = run.command.arg("--yes").spawn()?;
        let id = child.id().context("it runs")?.to_string();
        let made = async {
            while !std::fs::read_to_string(run.state()).is_ok_and(|state| state.contains("\"rule\"")) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(STUCK_AFTER, made).await?;
        ensure!(std::process::Command::new("kill").args([signal, &id]).status()?.success());
        let output = timeout(STUCK_AFTER, child.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if signal == "-INT" {
            ensure!(output.status.code() == Some(3) && said.contains("stopped by SIGINT"), "{output:?}");
        } else {
            ensure!(!left(ground).await?.is_empty() && run.state().exists(), "it was not in the middle");
            let mut again = Run::new(ground)?;
            let state = run.state().display().to_string();
            let (code, said) = again.output(&["--clean", "--state", &state]).await?;
            ensure!(code == Some(0) && said.contains("has left"), "{code:?}: {said}");
        }
        ensure!(!run.state().exists(), "{signal}: {said}");
        let own = left(ground).await?;
        ensure!(own.is_empty(), "{signal}: {own:?}");
    }
    Ok(())
}

/// Rows that a stack beside the sandbox answers, and those of its runs with traffic.
const OF_A_STACK: [&str; 35] = [
    "deploys",
    "refuses",
    "refuses-quietly",
    "names-bad-input",
    "stopped-event",
    "executions-newest-first",
    "history-from-its-beginning",
    "history-in-pages",
    "unknown-execution",
    "unknown-state-machine",
    "unknown-stack",
    "deploys-again",
    "name-once",
    "stopped-is-shown",
    "history-shows-the-end",
    "definition-of-an-execution",
    "no-concurrency-reserved",
    "stack-events-newest-first",
    "nothing-to-update",
    "log-lines",
    "bucket-that-is-not-empty",
    "objects",
    "public-access-is-blocked",
    "behind-healthy",
    "drains",
    "shifts",
    "weights-spread",
    "answers-of-a-group",
    "minutes-come-late",
    "restores",
    "fails-back",
    "nobody-to-choose",
    "clients-that-hang-up",
    "web-sockets",
    "time-until-headers",
];

/// A deployment takes its time, above all on a machine with other work.
const DEPLOYED_WITHIN: Duration = Duration::from_mins(12);

/// A stack beside the sandbox: what it shows, and that it is gone, also where somebody interrupts.
pub async fn a_stack_beside_it_is_driven_and_gone(ground: &Ground) -> Result<()> {
    let with_stack = ["--yes", "--stack", lambda_architecture(), "--drive", "here"];
    let mut run = Run::new(ground)?;
    let output = timeout(DEPLOYED_WITHIN, run.command.args(with_stack).output()).await??;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let rows = run.rows().with_context(|| said.clone())?;
    let proven = with(&rows, "proven");
    for name in OF_A_STACK {
        ensure!(proven.iter().any(|found| found == name), "{name} is not proven: {said}");
    }
    nothing_is_left(ground, &run).await?;

    let mut run = Run::new(ground)?;
    let child = run.command.args(with_stack).spawn()?;
    let id = child.id().context("it runs")?.to_string();
    let deploys = async {
        while !std::fs::read_to_string(run.state()).is_ok_and(|state| state.contains("\"stack\"")) {
            sleep(Duration::from_millis(50)).await;
        }
        // In the middle of it.
        sleep(Duration::from_secs(2)).await;
    };
    timeout(DEPLOYED_WITHIN, deploys).await?;
    ensure!(std::process::Command::new("kill").args(["-INT", &id]).status()?.success());
    let output = timeout(DEPLOYED_WITHIN, child.wait_with_output()).await??;
    ensure!(output.status.code() == Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    nothing_is_left(ground, &run).await
}

/// Neither the sandbox nor the stack of a run is there any more.
async fn nothing_is_left(ground: &Ground, run: &Run) -> Result<()> {
    let own = left(ground).await?;
    ensure!(own.is_empty() && !run.state().exists(), "{own:?}");
    for (command, list) in [
        (["cloudformation", "list-stacks"], "StackSummaries"),
        (["lambda", "list-functions"], "Functions"),
        (["stepfunctions", "list-state-machines"], "stateMachines"),
        (["s3api", "list-buckets"], "Buckets"),
    ] {
        let listed = cli(ground.endpoint(), &command).await?;
        let there = |entry: &&Value| entry["StackStatus"] != "DELETE_COMPLETE";
        let found: Vec<_> = listed[list].as_array().into_iter().flatten().filter(there).collect();
        let ours = found.iter().find(|entry| entry.to_string().contains(PREFIX));
        ensure!(ours.is_none(), "{ours:?} is left");
    }
    Ok(())
}

async fn its_own_tests_pass(ground: &Ground) -> Result<()> {
    let (code, said) = Run::new(ground)?.output(&["--self-test"]).await?;
    ensure!(code == Some(0) && said.contains("OK"), "{code:?}: {said}");
    Ok(())
}
