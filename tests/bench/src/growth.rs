//! What a poll and a shift ask of AWS, and how that grows with routes and with length.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alb::Call;
use anyhow::{Context, Result, ensure};
use aws_sdk_sfn::types::HistoryEvent;
use rehearsal::{Forward, Ground, Load, RouteKind, SCHEDULED_APP, Site};
use serde_json::{Value, json};

use crate::report::{Goal, Section, figure};

/// Routes and seconds of bake of each run. Stages are two, a poll comes every second.
const RUNS: [(usize, u32); 4] = [(1, 4), (1, 40), (8, 4), (64, 4)];
const STAGES: f64 = 2.0;

/// Requests a second, enough to judge by.
const RATE: u32 = 60;

/// The limits of Step Functions: bytes that go in or out of a state, and events of an execution.
const PAYLOAD: usize = 256 * 1024;
const EVENTS: f64 = 25_000.0;

/// List prices of us-east-1, in US cents: a state transition, a metric that is read, a request to a
/// function, a second of 128 MB on arm64.
const TRANSITION: f64 = 2.5 / 1000.0;
const METRIC: f64 = 1.0 / 1000.0;
const INVOCATION: f64 = 0.2 / 10_000.0;
const SECOND: f64 = 0.125 * 0.001_333_34;

/// The states of one poll.
const POLL: [&str; 3] = ["Bake", "CheckMetrics", "IsHealthy"];
/// That of one stage, beside its polls.
const STAGE: [&str; 1] = ["SetWeights"];

/// What one state took part in, over all its visits.
#[derive(Clone, Default)]
struct Visits {
    count: f64,
    /// Events of the history, as AWS writes it.
    events: f64,
    calls: f64,
    metrics: f64,
    seconds: f64,
}

/// One execution, counted.
struct Counted {
    routes: usize,
    states: BTreeMap<String, Visits>,
    /// The largest thing that went in or out of a state or a function, in bytes.
    payload: usize,
}

/// Counts real executions.
pub async fn measure(ground: &Ground) -> Result<Section> {
    let mut runs = Vec::new();
    for (number, (routes, bake)) in RUNS.into_iter().enumerate() {
        runs.push(count(ground, &format!("growth-{number}"), routes, bake).await?);
    }
    let rows = runs.iter().map(|run| {
        let calls = |states: &[&str]| json!(run.each(states, |visits| visits.calls));
        vec![
            json!(run.routes),
            json!(run.visits("CheckMetrics")),
            calls(&["PlanShift"]),
            calls(&["ClaimRoutes"]),
            calls(&["SetWeights"]),
            calls(&["CheckMetrics"]),
            json!(run.sum(&["SwapRoles", "ReleaseRoutes"], |visits| visits.calls)),
            json!(run.each(&["CheckMetrics"], |visits| visits.metrics)),
            json!(run.poll_events()),
            json!(run.payload as f64 / 1024.0),
        ]
    });
    let (first, longest, widest) = (&runs[0], &runs[1], &runs[3]);
    let lengths: Vec<String> = [(10, 600.0), (60, 3600.0), (360, 21_600.0)]
        .into_iter()
        .map(|(minutes, seconds)| format!("{minutes} min: {}", longest.shift(seconds)))
        .collect();
    let polls_that_fit = ((EVENTS - longest.other_events(5.0)) / longest.poll_events()).floor();
    let [poll_seconds, polls_per_check] = pace_of_a_day(ground).await?;
    let checks = (24.0 * 3600.0 / poll_seconds / polls_per_check).ceil();
    Ok(Section {
        title: "What a shift asks of AWS",
        method: format!(
            "Shifts of two stages, counted in the balancer's log and in the execution's history. AWS writes one event \
             more for every invocation than the local AWS does; it is added. A poll costs {} state transitions and {} \
             cents. Extrapolated linearly to a shift of five stages at a poll of 30 s, watched for {}. A history holds \
             {polls_that_fit} invocations that poll in such a shift. For one of 24 hours the plan says: a poll every \
             {poll_seconds} s, {polls_per_check} for each invocation.",
            POLL.len(),
            figure(longest.poll_cents()),
            lengths.join("; "),
        ),
        columns: vec![
            "routes",
            "polls",
            "calls of the plan",
            "of the claim",
            "of a stage",
            "of a poll",
            "of the end",
            "metrics a poll",
            "events a poll",
            "largest payload KiB",
        ],
        rows: rows.collect(),
        goals: vec![
            Goal::new(
                "a poll asks no more of AWS after ten times as many polls",
                format!("{} and {} calls", figure(first.poll_calls()), figure(longest.poll_calls())),
                longest.poll_calls() <= first.poll_calls(),
            ),
            Goal::new(
                "64 routes within the payload of a state (256 KiB)",
                format!("{:.0} KiB", widest.payload as f64 / 1024.0),
                widest.payload < PAYLOAD,
            ),
            Goal::new(
                "24 hours at a poll of 30 s within 25,000 events",
                format!("a poll every {poll_seconds} s, {checks} invocations, {polls_that_fit} fit"),
                poll_seconds <= 30.0 && checks <= polls_that_fit,
            ),
        ],
    })
}

/// How often the plan of a shift over 24 hours polls, in seconds, and how often for each invocation.
async fn pace_of_a_day(ground: &Ground) -> Result<[f64; 2]> {
    let site = Site::new(ground, "growth-day").await?;
    let app = site.app("growth-day", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let input = json!({ "app": app.name, "bake": "4h 48m", "poll": "30s", "dryRun": true });
    let ended = ground.execute(&input).await?.finish().await?;
    let plan = &ended.output["plan"];
    let number =
        |field: &str| plan[field].as_f64().with_context(|| format!("no {field} in {:?}", ended.cause));
    Ok([number("pollSeconds")?, number("pollsPerCheck")?])
}

async fn count(ground: &Ground, name: &str, routes: usize, bake: u32) -> Result<Counted> {
    let site = Site::new(ground, name).await?;
    let app = site.app(name, &vec![RouteKind::Host; routes], Forward::Weighted([100, 0])).await?;
    // All routes are for the same host: the first takes all of its requests.
    let _users = app.users(Load::steady(RATE.div_ceil(u32::try_from(routes)?)), Duration::from_mins(5));
    let calls_before = ground.alb.calls_len();
    let input = json!({
        "app": name, "stages": [50, 100], "bake": format!("{bake}s"), "poll": "1s", "period": "1s",
        "criteria": { "slowSeconds": 1 },
    });
    let mut execution = ground.execute(&input).await?;
    while execution.next().await?.is_some() {}
    let history = execution.history().await?;
    let ended = execution.finish().await?;
    ensure!(ended.status == "SUCCEEDED", "{name}: {:?}", ended.cause);
    // A schedule of the deployment looks for its app every minute.
    let of_schedule = |call: &Call| call.parameters.iter().any(|(_, value)| value.contains(SCHEDULED_APP));
    let mut calls = ground.alb.calls_since(calls_before);
    calls.retain(|call| !of_schedule(call));
    Ok(Counted { routes, states: states(&history, &calls)?, payload: payload(&history)? })
}

/// Milliseconds since the epoch.
fn at(event: &HistoryEvent) -> Result<i64> {
    Ok(event.timestamp.to_millis()?)
}

/// Gives every event, and every call, to the state that was entered last.
fn states(history: &[HistoryEvent], calls: &[Arc<Call>]) -> Result<BTreeMap<String, Visits>> {
    let mut states: BTreeMap<String, Visits> = BTreeMap::new();
    let mut current = String::from("the execution");
    let mut calls = calls.iter().peekable();
    for event in history {
        let now = at(event)?;
        while let Some(call) = calls.next_if(|call| call.at.as_millisecond() < now) {
            let state = states.entry(current.clone()).or_default();
            state.calls += 1.0;
            let is_metric = |name: &str| name.starts_with("MetricDataQueries") && name.ends_with(".Id");
            state.metrics += call.parameters.iter().filter(|(name, _)| is_metric(name)).count() as f64;
        }
        if let Some(entered) = &event.state_entered_event_details {
            entered.name.clone_into(&mut current);
        }
        let state = states.entry(current.clone()).or_default();
        match event.r#type.as_str() {
            kind if kind.ends_with("StateEntered") => {
                state.count += 1.0;
                state.events += 1.0;
                state.seconds -= now as f64 / 1000.0;
            }
            kind if kind.ends_with("StateExited") => {
                state.events += 1.0;
                state.seconds += now as f64 / 1000.0;
            }
            // Scheduled and started.
            "TaskScheduled" => state.events += 2.0,
            _ => state.events += 1.0,
        }
    }
    Ok(states)
}

/// The most that goes in or out anywhere: what the history shows, and the plan with its progress,
/// which travel as variables into every function.
fn payload(history: &[HistoryEvent]) -> Result<usize> {
    let mut largest = 0;
    let mut plan = Value::Null;
    for event in history {
        let entered = event.state_entered_event_details.as_ref().and_then(|details| details.input.as_deref());
        let left = event.state_exited_event_details.as_ref().and_then(|details| details.output.as_deref());
        let answered =
            event.task_succeeded_event_details.as_ref().and_then(|details| details.output.as_deref());
        largest = [entered, left, answered].into_iter().flatten().map(str::len).fold(largest, usize::max);
        let Some(answer) = answered.map(serde_json::from_str::<Value>).transpose()? else { continue };
        if answer["plan"].is_object() {
            plan = answer["plan"].clone();
        }
        let argument = json!({ "plan": plan, "progress": answer["progress"], "figures": answer["figures"] });
        largest = largest.max(argument.to_string().len());
    }
    ensure!(plan.is_object(), "the history shows no plan");
    Ok(largest)
}

impl Counted {
    fn visits(&self, state: &str) -> f64 {
        self.states.get(state).map_or(0.0, |visits| visits.count)
    }

    fn sum(&self, states: &[&str], figure: impl Fn(&Visits) -> f64) -> f64 {
        states.iter().filter_map(|state| self.states.get(*state)).map(figure).sum()
    }

    /// For each visit of the first of these states.
    fn each(&self, states: &[&str], figure: impl Fn(&Visits) -> f64) -> f64 {
        self.sum(states, figure) / self.visits(states[0])
    }

    fn poll_calls(&self) -> f64 {
        self.each(&["CheckMetrics"], |visits| visits.calls)
    }

    fn poll_events(&self) -> f64 {
        self.each(&POLL, |visits| visits.events)
    }

    fn poll_cents(&self) -> f64 {
        let metrics = self.each(&["CheckMetrics"], |visits| visits.metrics);
        let seconds = self.each(&["CheckMetrics"], |visits| visits.seconds);
        POLL.len() as f64 * TRANSITION + metrics * METRIC + INVOCATION + seconds * SECOND
    }

    /// Events of an execution of so many stages beside its polls.
    fn other_events(&self, stages: f64) -> f64 {
        let all: f64 = self.states.values().map(|visits| visits.events).sum();
        let (poll, stage) = (self.sum(&POLL, |v| v.events), self.sum(&STAGE, |v| v.events));
        all - poll - stage + stage / STAGES * stages
    }

    /// A shift of five stages that is watched for so many seconds at a poll of 30 s.
    fn shift(&self, seconds: f64) -> String {
        let polls = (seconds / 30.0).ceil();
        let others: f64 =
            self.states.iter().filter(|(name, _)| !POLL.contains(&name.as_str())).map(|(_, v)| v.count).sum();
        let stage = self.sum(&STAGE, |visits| visits.count) / STAGES;
        let transitions = polls * POLL.len() as f64 + others - stage * STAGES + stage * 5.0;
        let cents = polls * self.poll_cents() + (transitions - polls * POLL.len() as f64) * TRANSITION;
        format!(
            "{polls} polls, {transitions:.0} transitions, {:.0} events, {} cents",
            polls * self.poll_events() + self.other_events(5.0),
            figure(cents)
        )
    }
}
