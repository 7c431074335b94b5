//! Two stacks side by side in one account and region, the second deployed as a person would who has
//! never done it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use rehearsal::{Forward, Ground, RouteKind, Site, Stack, aim, cli, deploy, elsewhere, root, tool};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::try_join;

use crate::support::{COMPLETED, RATE, check_success, check_weights, input, path, writes};

const DEV: &str = "failover-dev";

pub async fn a_second_stack_by_its_guide_leaves_the_first_alone(ground: &Ground) -> Result<()> {
    let sites = [Site::new(ground, "shop-us-prd").await?, Site::new(ground, "shop-us-dev").await?];
    // Both stacks know it as `stacks`, each by its own pattern.
    let prod = sites[0].app("stacks", &[RouteKind::Host], Forward::Weighted([50, 50])).await?;
    let dev = sites[1].app("dev-stacks", &[RouteKind::Host], Forward::Weighted([50, 50])).await?;
    let _traffic = [prod.traffic(RATE / 2), dev.traffic(RATE / 2)];

    let settings = Settings::new(ground);
    let dev_stack =
        Stack { settings: Some(settings.complete.clone()), parameters: String::new(), ..Stack::new(DEV, "") };
    settings.make(ground).await?;
    let dev_machine = deploy(ground.endpoint(), &dev_stack).await?;
    let (in_prod, in_dev) = (resources(ground, "failover").await?, resources(ground, DEV).await?);
    ensure!(in_prod.len() > 30 && in_dev.len() > 30, "{in_prod:?} {in_dev:?}");
    let shared: Vec<_> = in_prod.intersection(&in_dev).collect();
    ensure!(shared.is_empty(), "both stacks have {shared:?}");
    let foreign: Vec<_> = in_dev.iter().filter(|name| !name.contains(DEV)).collect();
    ensure!(foreign.is_empty(), "not named after the stack: {foreign:?}");
    let role = in_dev.iter().find(|name| name.contains("OperatorRole")).context("no role for operators")?;
    check_operators(ground, role).await?;
    check_alarms(ground, DEV, ":failover-dev-alarms").await?;
    check_alarms(ground, "failover", ":people").await?;

    let drain = |standby: &str| input(&prod, "drain", json!({ "standby": standby }));
    let dev_run = async { ground.execute_on(&dev_machine, &drain("prod1")).await?.finish().await };
    let prod_run = async { ground.execute(&drain("prod2")).await?.finish().await };
    let (dev_drained, prod_drained) = try_join!(dev_run, prod_run)?;
    for (drained, app, weights) in [(&dev_drained, &dev, [0, 100]), (&prod_drained, &prod, [100, 0])] {
        check_success(drained, &path(2, &COMPLETED))?;
        ensure!(drained.output["routes"] == json!(app.routes), "{}", drained.output);
        check_weights(app, weights).await?;
    }

    // What is stopped in one of them is restored there, and the other one is not even asked.
    let written = writes(ground, &prod.routes).len();
    // However long it takes until it is stopped, it is not over by then.
    let shift = input(&prod, "shift", json!({ "stages": [30, 100], "approveBefore": [100] }));
    let mut stopped = ground.execute_on(&dev_machine, &shift).await?;
    stopped.until_stage(1).await?;
    let refused = undeploy(ground).await?;
    let said = text(&refused);
    ensure!(!refused.status.success() && said.contains("is running. Wait for its end"), "{said}");
    ensure!(resources(ground, DEV).await? == in_dev, "something was removed");
    stopped.stop().await?;
    let restored = ground.restore_of(&stopped.arn).await?.finish().await?;
    ensure!(restored.output["status"] == "restored", "{restored:?}");
    check_weights(&dev, [0, 100]).await?;
    ensure!(writes(ground, &prod.routes).len() == written, "the other stack wrote");
    check_weights(&prod, [100, 0]).await?;

    let removed = undeploy(ground).await?;
    ensure!(removed.status.success(), "{}", text(&removed));
    let machine = ["stepfunctions", "describe-state-machine", "--state-machine-arn", &dev_machine];
    ensure!(cli(ground.endpoint(), &machine).await.is_err(), "the stack is still there");
    check_weights(&dev, [0, 100]).await
}

/// Removes the second stack, as `make undeploy` does.
async fn undeploy(ground: &Ground) -> Result<Output> {
    let mut python = elsewhere(tool("python"));
    python.arg(root().join("infra/undeploy.py")).arg(DEV);
    Ok(aim(&mut python, ground.endpoint()).kill_on_drop(true).output().await?)
}

/// Reserves instances for a function, or no longer.
async fn reserve(ground: &Ground, function: &str, instances: Option<&str>) -> Result<()> {
    let function = ["--function-name", function];
    let command = match instances {
        Some(number) => vec!["put-function-concurrency", "--reserved-concurrent-executions", number],
        None => vec!["delete-function-concurrency"],
    };
    cli(ground.endpoint(), &[&["lambda"], &command[..], &function].concat()).await.map(drop)
}

/// The physical names of all resources of a stack.
async fn resources(ground: &Ground, stack: &str) -> Result<BTreeSet<String>> {
    let command = ["cloudformation", "describe-stack-resources", "--stack-name", stack];
    let names = ["--query", "StackResources[].PhysicalResourceId"];
    let resources = cli(ground.endpoint(), &[&command[..], &names].concat()).await?;
    Ok(serde_json::from_value(resources)?)
}

/// Checks that every alarm of a stack tells one topic, and that what cannot be started is kept.
async fn check_alarms(ground: &Ground, stack: &str, topic: &str) -> Result<()> {
    let named = format!("{stack}-");
    let alarms = ["cloudwatch", "describe-alarms", "--query", "MetricAlarms[].[AlarmName, AlarmActions]"];
    let alarms: Vec<(String, Vec<String>)> = serde_json::from_value(cli(ground.endpoint(), &alarms).await?)?;
    let other = format!("{DEV}-");
    let ours = alarms
        .iter()
        .filter(|(name, _)| name.starts_with(&named) && (stack == DEV || !name.starts_with(&other)));
    let ours: Vec<_> = ours.collect();
    ensure!(ours.len() >= 18, "{alarms:?}");
    let told = |actions: &[String]| matches!(actions, [one] if one.ends_with(topic));
    ensure!(ours.iter().all(|(_, actions)| told(actions)), "{ours:?}");
    let rule = format!("{stack}-restore");
    let targets = cli(ground.endpoint(), &["events", "list-targets-by-rule", "--rule", &rule]).await?;
    let letters = targets["Targets"][0]["DeadLetterConfig"]["Arn"].as_str();
    ensure!(letters.is_some_and(|arn| arn.ends_with(&format!(":{stack}-dead-letters"))), "{targets}");
    Ok(())
}

/// Checks that these principals alone may be operators, and of this stack alone.
async fn check_operators(ground: &Ground, role: &str) -> Result<()> {
    let trust = ["iam", "get-role", "--role-name", role, "--query", "Role.AssumeRolePolicyDocument"];
    let trust = cli(ground.endpoint(), &trust).await?;
    let trusted = trust["Statement"].as_array().context("no trust")?;
    ensure!(trusted.len() == 1 && trusted[0]["Principal"] == json!({ "AWS": OPERATORS }), "{trust}");
    let policy = ["iam", "get-role-policy", "--role-name", role, "--policy-name", "operate"];
    let policy = cli(ground.endpoint(), &[&policy[..], &["--query", "PolicyDocument"]].concat()).await?;
    let (asking, operating): (Vec<_>, Vec<_>) =
        policy["Statement"].as_array().context("no policy")?.iter().partition(|s| !s["Condition"].is_null());
    // Of a run that is going on they may ask things, by one tag on target groups.
    ensure!(asking.len() == 1 && asking[0]["Action"] == "elasticloadbalancing:AddTags", "{policy}");
    let keys = &asking[0]["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"];
    ensure!(*keys == json!(["failover:request"]), "{policy}");
    ensure!(asking[0]["Resource"].as_str().is_some_and(|arn| arn.ends_with(":targetgroup/*")), "{policy}");
    let (reading, operating): (Vec<_>, Vec<_>) = operating.into_iter().partition(|s| s["Resource"] == "*");
    // What the command shows of the apps, which AWS can narrow to no resource, they may read alone.
    ensure!(reading.len() == 1, "{policy}");
    for action in reading[0]["Action"].as_array().context("no actions")? {
        let (service, call) =
            action.as_str().and_then(|action| action.split_once(':')).context("an action")?;
        let reads = match service {
            "elasticloadbalancing" => call.starts_with("Describe"),
            service => service == "cloudwatch" && call == "GetMetricData",
        };
        ensure!(reads, "{action}");
    }
    for statement in operating {
        let resource = statement["Resource"].as_str().context("one resource")?;
        let of_this_stack = [format!("stateMachine:{DEV}"), format!("execution:{DEV}:*")];
        ensure!(of_this_stack.iter().any(|end| resource.ends_with(end)), "{statement}");
        for action in statement["Action"].as_array().context("no actions")? {
            let action = action.as_str().context("an action by name")?;
            ensure!(action.starts_with("states:") && !action.contains('*'), "{statement}");
        }
    }
    let attached = ["iam", "list-attached-role-policies", "--role-name", role];
    let attached = cli(ground.endpoint(), &attached).await?;
    ensure!(attached["AttachedPolicies"] == json!([]), "{attached}");
    Ok(())
}

/// The file of settings of a stack, and what `make deploy` makes of it.
struct Settings {
    file: PathBuf,
    complete: PathBuf,
}

impl Settings {
    fn new(ground: &Ground) -> Self {
        let folder = ground.folder().join("stacks");
        Self { file: folder.join("failover-dev.env"), complete: folder.join("failover-dev.settings") }
    }

    /// First without a terminal, then in one, then without again.
    async fn make(&self, ground: &Ground) -> Result<()> {
        std::fs::create_dir_all(self.file.parent().context("a file in a folder")?)?;
        let refused = self.run(ground, None).await?;
        ensure!(!refused.status.success(), "it went on without settings");
        let said = text(&refused);
        ensure!(said.contains(&format!("{} is missing", self.file.display())), "{said}");

        reserve(ground, "failover-send-notice", Some("901")).await?;
        let declined =
            self.run(ground, Some(&["shop-us-dev", DEV_PATTERN, "", "stacks", "none", ""])).await?;
        reserve(ground, "failover-send-notice", None).await?;
        let said = text(&declined);
        ensure!(!declined.status.success() && !self.file.exists(), "{said}");
        ensure!(said.contains("Nothing is reserved") && said.contains("ReservedConcurrency=0"), "{said}");

        // Somebody who errs wherever one can.
        let answers = ["nobody's", "shop-us-dev", "shop", "nothing-{app}-{fleet}", "", "stacks", DEV_PATTERN];
        let asked =
            self.run(ground, Some(&[&answers[..], &["", "", "", "nobody", DEV_MAIL, "y"]].concat())).await?;
        let said = text(&asked);
        ensure!(asked.status.success(), "{said}");
        for sentence in [
            "Choose one of them",
            "{fleet} is required",
            "The target group of prod1 would be nothing-stacks-01, which does not exist",
            "It forwards to shop-us-prd-dev-stacks-01-tg, shop-us-prd-dev-stacks-02-tg",
            "prod1 is shop-us-prd-dev-stacks-01-tg and prod2 is shop-us-prd-dev-stacks-02-tg",
            "may change the rules and listeners of that balancer and of no other",
            "Somebody has to be told, or nobody by name",
            "NoticeEmail=nobody: Empty, or a mail address",
        ] {
            ensure!(said.contains(sentence), "it did not say {sentence}:\n{said}");
        }
        let expected = format!(
            "LoadBalancerName=shop-us-dev\nTargetGroupPattern={DEV_PATTERN}\nFleets=prod1=01,prod2=02\nBalanceApp=stacks\n\
             NoticeEmail={DEV_MAIL}\n"
        );
        let written = std::fs::read_to_string(&self.file)?;
        ensure!(written == expected, "{written}");

        // What nobody would notice until it matters.
        for (line, sentence) in [
            ("Operator=x", ":6: Operator is no parameter of the template"),
            ("Operators=*", ":6: Operators=*: Empty, or ARNs such as"),
            ("Fleets=blue=1,green=2", ":6: Fleets is there twice"),
            ("ProbeSubnets=subnet-0a1b", ": ProbeSubnets needs ProbeSecurityGroups"),
            ("ProbeSecurityGroups=sg-0a1b", ": ProbeSecurityGroups needs ProbeSubnets"),
            ("PropagationSeconds=21", ":6: PropagationSeconds=21: 1 to 20"),
            ("AlarmTopicArn=nobody", ":6: AlarmTopicArn=nobody: Empty, none, or the ARN"),
            ("PropagationSeconds=soon", ":6: PropagationSeconds=soon: a whole number"),
            (
                "Freezes=2026-11-27, 2026-12-18..2027-01-04, 2027-04-01, 2027-05-01, 2027-05-13",
                ", of at most 64",
            ),
        ] {
            std::fs::write(&self.file, format!("{expected}{line}\n"))?;
            let refused = self.run(ground, None).await?;
            let said = text(&refused);
            ensure!(!refused.status.success() && said.contains(sentence), "{line}: {said}");
        }
        // Nobody is left without alarms by a line that is missing.
        let mail = format!("NoticeEmail={DEV_MAIL}\n");
        let nobody = expected.replace(&mail, "");
        for (settings, told) in [(nobody.clone(), false), (format!("{nobody}AlarmTopicArn=none\n"), true)] {
            std::fs::write(&self.file, settings)?;
            let answer = self.run(ground, None).await?;
            let said = text(&answer);
            ensure!(answer.status.success() == told, "{said}");
            ensure!(told || said.contains("nobody would be told of a failure"), "{said}");
        }
        std::fs::write(&self.file, format!("{expected}Operators={}\n", OPERATORS.join(",")))?;
        let again = self.run(ground, None).await?;
        ensure!(again.status.success() && again.stdout.is_empty(), "{}", text(&again));
        Ok(())
    }

    /// Runs the script with these answers typed into a terminal, or without one.
    async fn run(&self, ground: &Ground, answers: Option<&[&str]>) -> Result<Output> {
        let script = root().join("infra/settings.py");
        let command = [&tool("python"), &script, Path::new(DEV), &self.file, &self.complete];
        let mut python = elsewhere(tool("python"));
        if answers.is_some() {
            python.args(["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"]).args(command);
        } else {
            python.args(&command[1..]);
        }
        let mut child = aim(&mut python, ground.endpoint())
            .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", ground.alb.endpoint())
            .stdin(if answers.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let (Some(answers), Some(mut keyboard)) = (answers, child.stdin.take()) {
            keyboard.write_all((answers.join("\n") + "\n").as_bytes()).await?;
        }
        Ok(child.wait_with_output().await?)
    }
}

const OPERATORS: [&str; 2] =
    ["arn:aws:iam::123456789012:role/release", "arn:aws:iam::123456789012:user/people/ada"];

const DEV_MAIL: &str = "team@shop.example";

const DEV_PATTERN: &str = "shop-us-prd-dev-{app}-{fleet}-tg";

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
