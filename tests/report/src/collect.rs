//! From AWS to a recording: the history of an execution, and what the balancer counted meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::MetricDataQuery;
use aws_sdk_sfn::types::HistoryEvent;
use failover::aws::metrics;
use failover::aws::metrics::Series;
use failover::model::samples::{FleetSamples, OwnErrors, Sample as Counted, Samples, whole};
use failover::model::{Plan, PlannedApp, Progress, StageRecord, Weights};
use failover::run::unanswered::attribute;
use failover::wire::{Check, Planned, Probed, RollBackEnding, RolledBack};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{App, Figure, Poll, Recording, Run, Sample, Step, What};

/// So many periods before and after the run are shown with it.
const AROUND: u32 = 5;

/// What there is to draw of one execution.
///
/// # Errors
/// If AWS does not answer, or the execution is none of this version of the project.
pub async fn recording(
    step_functions: &aws_sdk_sfn::Client,
    cloudwatch: &aws_sdk_cloudwatch::Client,
    execution: &str,
) -> Result<Recording> {
    let (run, plan) = run(step_functions, execution).await?;
    let ended = run.ended_at.unwrap_or_else(Timestamp::now);
    let mut recording = Recording {
        title: execution.rsplit(':').next().unwrap_or(execution).to_owned(),
        fleets: [String::new(), String::new()],
        from: run.started_at,
        until: ended,
        period_seconds: 60,
        runs: Vec::new(),
        apps: Vec::new(),
        events: Vec::new(),
        notices: Vec::new(),
        figures: Vec::new(),
    };
    if let Some(plan) = plan {
        let period = plan.period_seconds;
        let around = SignedDuration::from_secs((AROUND * period).into());
        recording.title = format!("{}: {}", plan.app, plan.operation.word());
        recording.period_seconds = period;
        recording.from = period_start(run.started_at - around, period)?;
        recording.until = period_start((ended + around).min(Timestamp::now()), period)?;
        recording.fleets = fleets(&plan);
        recording.apps = samples(cloudwatch, &plan, recording.from, recording.until).await?;
        recording.figures = figures(&run, &recording);
    }
    recording.runs.push(run);
    Ok(recording)
}

/// What each fleet did during the run, app by app.
fn figures(run: &Run, recording: &Recording) -> Vec<Figure> {
    use failover::verdict::words::{number, percent};
    let during =
        |sample: &&Sample| sample.at >= run.started_at && run.ended_at.is_none_or(|ended| sample.at < ended);
    let mut figures = Vec::new();
    for app in &recording.apps {
        for (fleet, samples) in recording.fleets.iter().zip(&app.samples) {
            let name =
                if recording.apps.len() > 1 { format!("{fleet} of {}", app.name) } else { fleet.clone() };
            let sum =
                |count: fn(&Sample) -> u64| samples.iter().filter(during).map(count).sum::<u64>() as f64;
            let (requests, failures) = (sum(|s| s.requests), sum(|s| s.failures));
            figures.extend([
                Figure::new(format!("requests to {name} during the run"), number(requests)),
                Figure::new(format!("of them failed on {name}"), percent(failures / requests.max(1.0))),
            ]);
        }
    }
    figures
}

/// A run with its plan, if it got so far as to have one.
///
/// # Errors
/// If Step Functions does not answer, or the execution is none of this version of the project.
pub async fn run(client: &aws_sdk_sfn::Client, execution: &str) -> Result<(Run, Option<Plan>)> {
    let told = client.describe_execution().execution_arn(execution).send().await;
    let told = told.with_context(|| format!("cannot describe {execution}"))?;
    let pages = client.get_execution_history().execution_arn(execution).include_execution_data(true);
    let mut pages = pages.into_paginator().send();
    let mut found = Found::default();
    while let Some(page) = pages.next().await {
        for event in page.context("cannot read the history")?.events() {
            found.read(event)?;
        }
    }
    let input: Value = serde_json::from_str(told.input().unwrap_or_default()).unwrap_or_default();
    let output: Value = serde_json::from_str(told.output().unwrap_or_default()).unwrap_or_default();
    let text = |value: &Value, field: &str| value[field].as_str().map(str::to_owned);
    let plan = found.plan;
    let run = Run {
        execution: execution.to_owned(),
        operation: text(&input, "operation").unwrap_or_else(|| "shift".into()),
        release: text(&input, "release"),
        started_at: time(told.start_date())?,
        ended_at: told.stop_date().map(time).transpose()?,
        before: plan.as_ref().map(before).unwrap_or_default(),
        steps: found.steps,
        polls: found.polls,
        odds_needed: plan.as_ref().map(|plan| 1.0 / plan.criteria.alpha),
        succeeded: told.status().as_str() == "SUCCEEDED",
        ending: text(&output, "status")
            .or_else(|| told.error().map(str::to_owned))
            .unwrap_or_else(|| told.status().as_str().to_owned()),
        sentence: told.cause().map(str::to_owned).or_else(|| text(&output, "summary")).unwrap_or_default(),
    };
    Ok((run, plan))
}

/// The weights found at the start, by app.
fn before(plan: &Plan) -> BTreeMap<String, Weights> {
    plan.apps.iter().map(|app| (app.name.clone(), app.before.clone())).collect()
}

/// What the history has told so far.
#[derive(Default)]
struct Found {
    state: String,
    plan: Option<Plan>,
    steps: Vec<Step>,
    polls: Vec<Poll>,
}

impl Found {
    fn read(&mut self, event: &HistoryEvent) -> Result<()> {
        if let Some(entered) = event.state_entered_event_details() {
            entered.name().clone_into(&mut self.state);
            return Ok(());
        }
        // AWS names the task of a function after it; others name every task alike.
        let of_function = event.lambda_function_succeeded_event_details().and_then(|task| task.output());
        let of_task = event.task_succeeded_event_details().and_then(|task| task.output());
        let Some(answer) = of_function.or(of_task) else { return Ok(()) };
        let at = time(event.timestamp())?;
        match self.state.as_str() {
            "PlanShift" => {
                let Planned { plan, outcome, .. } = read(answer)?;
                self.plan = plan.or(outcome.plan.map(|plan| *plan));
            }
            "SetWeights" => self.set(&read::<Progress>(answer)?),
            "CheckMetrics" => {
                let Check { verdict, reason, figures, .. } = read(answer)?;
                self.polls.push(Poll { at, verdict, reason, figures });
            }
            "ProbeApp" => {
                let answer: Probed = read(answer)?;
                if let Some(poll) = self.polls.last_mut() {
                    (poll.verdict, poll.reason) = (answer.verdict, answer.reason);
                }
            }
            "RollBack" | "RollBackOn" => self.rolled_back(at, &read(answer)?),
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, progress: &Progress) {
        let of = self.plan.as_ref().map_or(0, |plan| plan.stages.len());
        let Some(StageRecord { stage, recheck, weights, started_at, .. }) = progress.timeline.last() else {
            return;
        };
        let what = if *recheck { What::Recheck(stage + 1, of) } else { What::Stage(stage + 1, of) };
        self.steps.push(Step { at: *started_at, weights: weights.clone(), app: None, what });
    }

    /// A rollback looks twice; it is shown once.
    fn rolled_back(&mut self, at: Timestamp, answer: &RolledBack) {
        let Some(plan) = &self.plan else { return };
        let again = self.steps.last().is_some_and(|step| step.what == What::RollBack);
        if again || matches!(answer.ending, RollBackEnding::Halted | RollBackEnding::Unchanged) {
            return;
        }
        let weights = plan.apps.iter().map(|app| match answer.over.get(&app.name) {
            Some(percent) => plan.weights(*percent),
            None => app.before.clone(),
        });
        let weights: Vec<Weights> = weights.collect();
        let alike = weights.iter().all(|other| *other == weights[0]);
        for (app, weights) in plan.apps.iter().zip(weights).take(if alike { 1 } else { plan.apps.len() }) {
            let app = (!alike).then(|| app.name.clone());
            self.steps.push(Step { at, weights, app, what: What::RollBack });
        }
    }
}

fn read<Answer: DeserializeOwned>(text: &str) -> Result<Answer> {
    serde_json::from_str(text).context("the history is not of this version of the project")
}

/// The names of both fleets of a plan, in the order in which they are shown.
pub fn fleets(plan: &Plan) -> [String; 2] {
    let mut fleets = [plan.live.clone(), plan.standby.clone()];
    fleets.sort();
    fleets
}

/// What the balancer counted of the fleets of every app of a plan from one time to another, in the order
/// of their names.
///
/// # Errors
/// If CloudWatch does not answer.
pub async fn samples(
    client: &aws_sdk_cloudwatch::Client,
    plan: &Plan,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<App>> {
    let mut apps = Vec::new();
    for app in &plan.apps {
        apps.push(App { name: app.name.clone(), samples: of_app(client, plan, app, from, until).await? });
    }
    Ok(apps)
}

async fn of_app(
    client: &aws_sdk_cloudwatch::Client,
    plan: &Plan,
    app: &PlannedApp,
    from: Timestamp,
    until: Timestamp,
) -> Result<[Vec<Sample>; 2]> {
    let mut fleets = [(&plan.live, &app.live_group), (&plan.standby, &app.standby_group)];
    fleets.sort();
    let queries = queries(plan, app, fleets.map(|(_, group)| group.as_str()));
    let mut series = metrics::fetch(client, queries, from.as_second(), until.as_second()).await?;
    let unanswered = unanswered(&series, until);
    let mut of_fleet = |number: usize| -> Result<Vec<Sample>> {
        let mut take = |id: &str| series.remove(&format!("{id}_{number}")).unwrap_or_default();
        let [requests, target_5xx, connection_errors, slow, hung] =
            ["requests", "failed", "refused", "slow", "hung"].map(&mut take);
        let (usual, healthy) = (take("usual"), take("healthy"));
        let step = usize::try_from(plan.period_seconds.max(1))?;
        let known = |series: &Series, at: i64| series.get(&at).copied();
        // Every period is there, also those in which the balancer had nothing to count.
        (from.as_second()..until.as_second())
            .step_by(step)
            .map(|at| {
                let count = |series| whole(known(series, at).unwrap_or(0.0));
                Ok(Sample {
                    at: seconds(at)?,
                    requests: count(&requests),
                    failures: count(&target_5xx)
                        + count(&connection_errors)
                        + count(&hung)
                        + unanswered[number]
                            .iter()
                            .find(|sample| sample.at == at)
                            .map_or(0, |s| s.unanswered),
                    slow: count(&slow),
                    usual_seconds: known(&usual, at),
                    healthy: known(&healthy, at).map(|hosts| u32::try_from(whole(hosts)).unwrap_or(u32::MAX)),
                })
            })
            .collect()
    };
    Ok([of_fleet(0)?, of_fleet(1)?])
}

/// What each fleet left unanswered, as the run's own verdict counts it, but over the whole run at once.
fn unanswered(series: &BTreeMap<String, Series>, until: Timestamp) -> [Vec<Counted>; 2] {
    let count =
        |id: &str, at: i64| series.get(id).and_then(|series| series.get(&at)).copied().map_or(0, whole);
    let fleet = |number: usize| {
        let requests = series.get(&format!("requests_{number}"));
        let of_period = |at: &i64| Counted {
            at: *at,
            requests: count(&format!("requests_{number}"), *at),
            answers: ["ok", "moved", "refusals", "failed"]
                .map(|id| count(&format!("{id}_{number}"), *at))
                .iter()
                .sum(),
            connection_errors: count(&format!("refused_{number}"), *at),
            ..Counted::default()
        };
        let samples = requests.into_iter().flat_map(BTreeMap::keys).map(of_period).collect();
        FleetSamples { samples, ..FleetSamples::default() }
    };
    let own = ["own_502", "own_504"].into_iter().filter_map(|id| series.get(id)).flat_map(BTreeMap::keys);
    let own: BTreeSet<i64> = own.copied().collect();
    let own = own.into_iter().map(|at| OwnErrors {
        at,
        unanswered: count("own_502", at) + count("own_504", at),
        no_target: 0,
    });
    let mut both = [Samples {
        now: until,
        live: fleet(0),
        standby: fleet(1),
        balancer_errors: own.collect(),
        alarms: Vec::new(),
    }];
    attribute(&mut both, &[]);
    let [Samples { live, standby, .. }] = both;
    [live.samples, standby.samples]
}

fn queries(plan: &Plan, app: &PlannedApp, target_group_arns: [&str; 2]) -> Vec<MetricDataQuery> {
    let period = i32::try_from(plan.period_seconds).unwrap_or(60);
    let [slow, hung] = [app.slow_seconds, app.hung_seconds].map(|seconds| format!("TC({seconds}:)"));
    let asked = [
        ("requests", "RequestCount", "Sum"),
        ("ok", "HTTPCode_Target_2XX_Count", "Sum"),
        ("moved", "HTTPCode_Target_3XX_Count", "Sum"),
        ("refusals", "HTTPCode_Target_4XX_Count", "Sum"),
        ("failed", "HTTPCode_Target_5XX_Count", "Sum"),
        ("refused", "TargetConnectionErrorCount", "Sum"),
        ("slow", "TargetResponseTime", slow.as_str()),
        ("hung", "TargetResponseTime", hung.as_str()),
        ("usual", "TargetResponseTime", "p95"),
        ("healthy", "HealthyHostCount", "Minimum"),
    ];
    let of_fleet = |(number, arn): (usize, &str)| {
        asked.map(|(id, metric, statistic)| {
            let dimensions = vec![metrics::of_balancer(&plan.load_balancer_arn), metrics::of_group(arn)];
            metrics::query(format!("{id}_{number}"), metric, statistic, dimensions, period)
        })
    };
    let of_balancer = ["502", "504"].map(|status| {
        let dimensions = vec![metrics::of_balancer(&plan.load_balancer_arn)];
        let metric = format!("HTTPCode_ELB_{status}_Count");
        metrics::query(format!("own_{status}"), &metric, "Sum", dimensions, period)
    });
    target_group_arns.into_iter().enumerate().flat_map(of_fleet).chain(of_balancer).collect()
}

/// The start of the period in which a time lies.
///
/// # Errors
/// Never for a time of our age.
pub fn period_start(at: Timestamp, period_seconds: u32) -> Result<Timestamp> {
    let period = i64::from(period_seconds.max(1));
    seconds(at.as_second().div_euclid(period) * period)
}

fn time(at: &DateTime) -> Result<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos())?).context("a time beyond all calendars")
}

fn seconds(second: i64) -> Result<Timestamp> {
    Timestamp::from_second(second).context("a time beyond all calendars")
}
