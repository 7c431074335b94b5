//! The shipped functions that write, with moto for a balancer.
//!
//! moto keeps a rule's actions exactly as they were sent, and turns a weight that was left out into
//! 1. What it shows is therefore what the functions have sent.

use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ProtocolEnum, Rule, RuleCondition, TargetDescription, TargetTypeEnum,
};
use failover::aws::{command, listener};
use failover::model::hooks::Hooks;
use failover::model::record;
use failover::model::weights::{GroupWeight, Percent, weight_of};
use failover::model::{
    Apps, Execution, Gate, Operation, Plan, PlannedApp, Progress, Route, RouteWeights, Stage,
};
use failover::verdict::Criteria;
use failover::wire::{ClaimRequest, Released, RollBackEnding, RollBackRequest, RolledBack, Step};
use jiff::Timestamp;
use rehearsal::{FLEETS, Ground, cli, tool};
use serde_json::{Value, json};

use super::{Moto, SECRET, beside, fixed_forward, forward, in_order, not_found, shown, sign_in, strict};

/// Shifts in two stages and rolls back, then tries the same after somebody else's change.
pub async fn work(ground: &Ground, moto: &Moto, endpoint: &str) -> Result<()> {
    let app = App::build(moto).await?;
    strict::check(moto, &app).await?;
    let execution = running(moto.server.endpoint()).await?;
    let plan = app.plan(&execution).await?;
    let set = async |progress: &Progress| {
        let step = Step { plan: plan.clone(), progress: progress.clone() };
        invoke(ground, endpoint, "failover-set-weights", &json!(step)).await
    };
    let untouched = app.rules().await?;

    // A run that does not hold its routes writes nothing.
    let unclaimed = set(&Progress::default()).await?;
    ensure!(unclaimed["errorType"] == "AwsRefused", "{unclaimed}");
    ensure!(app.rules().await? == untouched, "a run wrote without a claim");
    let claimed =
        invoke(ground, endpoint, "failover-claim-routes", &json!(ClaimRequest { plan: plan.clone() }))
            .await?;
    ensure!(claimed.is_null(), "{claimed}");
    app.check_tags(&plan, "").await?;

    let start = Progress::default();
    let first = app.twice(|| set(&start), &untouched, [80, 20]).await?;
    let mut progress: Progress = serde_json::from_value(first).context("set-weights answers a progress")?;
    let weights = plan.weights(percent(20));
    ensure!(progress.stage == 0 && progress.wait_seconds == 10, "{progress:?}");
    ensure!(progress.timeline.len() == 1 && progress.timeline[0].weights == weights, "{progress:?}");

    // As check-metrics does after a poll that advances.
    progress.stage = 1;
    let second = app.twice(|| set(&progress), &untouched, [0, 100]).await?;
    let progress: Progress = serde_json::from_value(second)?;
    ensure!(progress.stage == 1 && progress.timeline.len() == 2, "{progress:?}");

    let why = json!("12 % of the requests to prod2 failed.");
    let request = json!(RollBackRequest { plan: plan.clone(), why, earlier: None });
    let roll_back = || invoke(ground, endpoint, "failover-roll-back", &request);
    let answer = app.twice(roll_back, &untouched, [100, 0]).await?;
    let answer: RolledBack = serde_json::from_value(answer).context("roll-back answers a cause")?;
    ensure!(answer.ending == RollBackEnding::RolledBack && !answer.settled, "{answer:?}");
    ensure!(
        answer.cause.contains("12 % of the requests") && answer.cause.contains("prod1 100 %"),
        "{answer:?}"
    );

    let foreign = [(app.groups[0].as_str(), 33), (app.groups[1].as_str(), 67)];
    app.modify(&app.path, vec![forward(&foreign)]).await?;
    let before = app.marked().await?;
    for answer in [set(&start).await?, roll_back().await?] {
        ensure!(answer["errorType"] == "ExternalChange", "{answer}");
        let message = answer["errorMessage"].as_str().unwrap_or_default();
        ensure!(message.contains("prod1 33/prod2 67") && message.contains(&app.path), "{message}");
    }
    let after = app.rules().await?;
    ensure!(after == before, "an overtaken run wrote something: {after:#?}");

    let request = json!({
        "input": {}, "plan": plan, "progress": null, "claimed": true,
        "ended": { "ending": "RolledBack", "why": null, "rolledBack": null, "outcome": null },
    });
    let released = invoke(ground, endpoint, "failover-release-routes", &request).await?;
    let released: Released = serde_json::from_value(released).context("release-routes answers apps")?;
    ensure!(released.apps == ["web"], "{released:?}");
    app.check_tags(&plan, " released").await?;
    Ok(())
}

/// An execution that goes on for ever, in moto: nothing runs its states there.
async fn running(endpoint: &str) -> Result<String> {
    let definition =
        json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": 9, "End": true } } });
    let role = "arn:aws:iam::123456789012:role/failover";
    let made = cli(
        endpoint,
        &[
            "stepfunctions",
            "create-state-machine",
            "--name",
            "failover",
            "--role-arn",
            role,
            "--definition",
            &definition.to_string(),
        ],
    )
    .await?;
    let machine = made["stateMachineArn"].as_str().context("no state machine was made")?;
    let started =
        cli(endpoint, &["stepfunctions", "start-execution", "--state-machine-arn", machine]).await?;
    started["executionArn"].as_str().map(str::to_owned).context("nothing was started")
}

/// Invokes a function as a person does, and returns its answer or its error.
async fn invoke(ground: &Ground, endpoint: &str, function: &str, request: &Value) -> Result<Value> {
    let [payload, answer] = ["payload", "answer"]
        .map(|part| ground.folder().join(format!("second-opinion-{function}-{part}.json")));
    std::fs::write(&payload, request.to_string())?;
    let output = rehearsal::aim(&mut tokio::process::Command::new(tool("aws")), endpoint)
        .args(["lambda", "invoke", "--function-name", function])
        .args(["--payload", &format!("fileb://{}", payload.display())])
        .arg(&answer)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&std::fs::read(&answer)?)?)
}

fn percent(percent: u8) -> Percent {
    Percent::new(percent).expect("at most 100")
}

/// An app on moto, with a route of every kind and a rule of somebody else.
pub struct App<'a> {
    client: &'a Client,
    balancer: String,
    listener: String,
    pub groups: [String; 2],
    /// Weighted, after signing in.
    signed_in: String,
    /// A fixed forward, which nobody has converted yet.
    pub path: String,
    default_rule: String,
}

impl<'a> App<'a> {
    async fn build(moto: &'a Moto) -> Result<Self> {
        let (client, network) = (&moto.client, &moto.network);
        let subnets = Some(network.subnets.clone());
        let made = client.create_load_balancer().name("rehearsal").set_subnets(subnets).send().await?;
        let balancer = made.load_balancers().first().and_then(|b| b.load_balancer_arn());
        let balancer = balancer.context("no balancer was made")?.to_owned();
        let mut groups = Vec::new();
        for name in ["web-01", "web-02", "other"] {
            let call = client.create_target_group().name(name).protocol(ProtocolEnum::Http).port(80);
            let made = call.vpc_id(&network.vpc).target_type(TargetTypeEnum::Ip).send().await?;
            let arn = made.target_groups().first().and_then(|g| g.target_group_arn());
            let arn = arn.context("no group was made")?.to_owned();
            // moto takes every target for healthy.
            let target = TargetDescription::builder().id("10.0.0.10").port(80).build();
            client.register_targets().target_group_arn(&arn).targets(target).send().await?;
            groups.push(arn);
        }
        let [one, two, other]: [String; 3] = groups.try_into().expect("three names");
        let weighted = || forward(&[(&one, 100), (&two, 0)]);

        let call = client.create_listener().load_balancer_arn(&balancer).protocol(ProtocolEnum::Http);
        let made = call.port(80).default_actions(weighted()).send().await?;
        let listener = made.listeners().first().and_then(|l| l.listener_arn());
        let listener = listener.context("no listener was made")?.to_owned();
        let found = client.describe_rules().listener_arn(&listener).send().await?;
        let default_rule = found.rules().first().and_then(Rule::rule_arn).context("no default rule")?;
        let default_rule = default_rule.to_owned();

        let rule = async |priority: i32, field: &str, value: &str, actions: Vec<Action>| {
            let condition = RuleCondition::builder().field(field).values(value).build();
            let call = client.create_rule().listener_arn(&listener).priority(priority);
            let made = call.conditions(condition).set_actions(Some(actions)).send().await?;
            let arn = made.rules().first().and_then(Rule::rule_arn).map(str::to_owned);
            arn.context("no rule was made")
        };
        let secretive = in_order([sign_in(Some(SECRET), None), weighted()]);
        let signed_in = rule(10, "host-header", "web.shop.example", secretive).await?;
        let path = rule(20, "path-pattern", "/web/*", vec![fixed_forward(&one)]).await?;
        rule(30, "path-pattern", "/other/*", vec![fixed_forward(&other)]).await?;
        rule(40, "path-pattern", "/nothing/*", vec![not_found()]).await?;
        let groups = [one, two];
        Ok(Self { client, balancer, listener, groups, signed_in, path, default_rule })
    }

    /// The plan of a shift in two stages, as plan-shift would make it.
    async fn plan(&self, execution: &str) -> Result<Plan> {
        let routes = [
            (&self.signed_in, None, "rule 10 on port 80"),
            (&self.path, None, "rule 20 on port 80"),
            (&self.default_rule, Some(&self.listener), "the default action on port 80"),
        ];
        let mut planned = Vec::new();
        for (rule_arn, default_of, label) in routes {
            let actions = self.actions(rule_arn).await?;
            let held = listener::groups(&actions).context("no forward")?;
            let weight = |i: usize| weight_of(&held, &self.groups[i]).unwrap_or(0);
            let found = RouteWeights::from([0, 1].map(|i| (FLEETS[i].to_owned(), weight(i))));
            planned.push(Route {
                app: 0,
                arn: default_of.unwrap_or(rule_arn).clone(),
                rule_arn: rule_arn.clone(),
                default_of: default_of.cloned(),
                label: label.into(),
                before: found.clone(),
                found,
                revert_command: command::revert_command(default_of.map(String::as_str), rule_arn, &actions),
            });
        }
        let stage = |standby| Stage {
            standby_percent: percent(standby),
            bake_seconds: 60,
            gate: Gate::HealthyStandby,
        };
        Ok(Plan {
            version: record::VERSION,
            app: Apps::One("web".into()),
            apps: vec![PlannedApp {
                name: "web".into(),
                live_group: self.groups[0].clone(),
                standby_group: self.groups[1].clone(),
                before: [(FLEETS[0].into(), Percent::ALL), (FLEETS[1].into(), Percent::NONE)].into(),
                release: None,
                headroom: None,
                slow_seconds: 1.0,
                hung_seconds: 4.0,
                left_alone: false,
            }],
            operation: Operation::Shift,
            release: None,
            execution: Execution { arn: execution.to_owned(), started_at: Timestamp::now() },
            live: FLEETS[0].into(),
            standby: FLEETS[1].into(),
            load_balancer_arn: self.balancer.clone(),
            routes: planned,
            testers: Vec::new(),
            stages: vec![stage(20), stage(100)],
            may_write: [percent(20), percent(100)].into(),
            propagation_seconds: 15,
            predecessors: Vec::new(),
            done: false,
            gone: Vec::new(),
            lost: Vec::new(),
            excepted: Vec::new(),
            overridden: None,
            approval: None,
            poll_seconds: 10,
            polls_per_check: 1,
            period_seconds: 60,
            criteria: Criteria::default(),
            standby_unhealthy: None,
            probing: None,
            hooks: Hooks::default(),
            checks: Vec::new(),
        })
    }

    /// The rules that lead to the app.
    fn routes(&self) -> [&str; 3] {
        [&self.signed_in, &self.path, &self.default_rule]
    }

    async fn rules(&self) -> Result<Vec<Rule>> {
        let found = self.client.describe_rules().listener_arn(&self.listener).send().await?;
        Ok(found.rules.unwrap_or_default())
    }

    async fn actions(&self, rule: &str) -> Result<Vec<Action>> {
        let found = self.client.describe_rules().rule_arns(rule).send().await?;
        Ok(found.rules().first().context("no such rule")?.actions().to_vec())
    }

    async fn modify(&self, rule: &str, actions: Vec<Action>) -> Result<()> {
        if rule == self.default_rule {
            let call = self.client.modify_listener().listener_arn(&self.listener);
            call.set_default_actions(Some(actions)).send().await?;
        } else {
            self.client.modify_rule().rule_arn(rule).set_actions(Some(actions)).send().await?;
        }
        Ok(())
    }

    /// Leaves a mark on every route that any write would wipe out: `TargetGroupArn` beside several
    /// groups, which the functions never send and moto does not refuse.
    async fn marked(&self) -> Result<Vec<Rule>> {
        for rule in self.routes() {
            let mut actions = self.actions(rule).await?;
            let last = actions.pop().context("no actions")?;
            actions.push(beside(&self.groups[0], last));
            self.modify(rule, actions).await?;
        }
        self.rules().await
    }

    /// Invokes twice: the first time writes these weights, the second time nothing. Both answer the
    /// same, but for the time.
    async fn twice<Answer: Future<Output = Result<Value>>>(
        &self,
        invoke: impl Fn() -> Answer,
        untouched: &[Rule],
        weights: [u16; 2],
    ) -> Result<Value> {
        let answer = invoke().await?;
        self.check(untouched, weights).await?;
        let marked = self.marked().await?;
        let again = invoke().await?;
        let found = self.rules().await?;
        ensure!(found == marked, "a second invocation wrote something: {found:#?}");
        let timeless = |mut answer: Value| {
            for stage in answer.get_mut("timeline").and_then(Value::as_array_mut).into_iter().flatten() {
                stage["startedAt"] = Value::Null;
            }
            answer
        };
        ensure!(timeless(again.clone()) == timeless(answer.clone()), "{answer} first, {again} then");
        Ok(answer)
    }

    /// Checks that every route holds these weights, explicitly, and that nothing else has changed.
    async fn check(&self, untouched: &[Rule], weights: [u16; 2]) -> Result<()> {
        let desired: Vec<GroupWeight> =
            self.groups.iter().zip(weights).map(|(arn, weight)| GroupWeight::new(arn, weight)).collect();
        for (before, now) in untouched.iter().zip(self.rules().await?) {
            ensure!((before.rule_arn(), before.priority()) == (now.rule_arn(), now.priority()), "{now:#?}");
            ensure!(before.conditions() == now.conditions(), "{now:#?}");
            let arn = now.rule_arn().unwrap_or_default();
            if !self.routes().contains(&arn) {
                ensure!(before.actions() == now.actions(), "somebody else's rule was changed: {now:#?}");
                continue;
            }
            let actions = now.actions();
            ensure!(listener::groups(actions) == Some(desired.clone()), "{actions:#?}");
            ensure!(actions.iter().all(|a| a.target_group_arn().is_none()), "{actions:#?}");
            let signs_in = arn == self.signed_in;
            ensure!(actions.len() == if signs_in { 2 } else { 1 }, "{actions:#?}");
            if signs_in {
                let kept = in_order([sign_in(None, Some(true)), forward(&[])]);
                let [expected, found] = [&kept, actions].map(|actions| shown::actions(&actions[..1]));
                ensure!(found == expected, "the sign-in became {found:#}");
                ensure!(actions[1].order() == Some(2), "{actions:#?}");
            }
        }
        Ok(())
    }

    /// Checks what a claim that has reached so much leaves on the app's first target group.
    async fn check_tags(&self, plan: &Plan, reached: &str) -> Result<()> {
        let found = self.client.describe_tags().resource_arns(plan.apps[0].lock()).send().await?;
        let tags = found.tag_descriptions().first().map(shown::tags).unwrap_or_default();
        let expected = json!({
            "failover:live": FLEETS[0],
            "failover:claim": format!("{}{reached}", plan.execution.arn),
            "failover:request": "",
        });
        ensure!(tags["tags"] == expected, "{tags}");
        Ok(())
    }
}
