//! Scenarios from files, played in virtual time: the same files as live, so that both are held to the same
//! path of states and the same ending.
//!
//! Live a second stands for a minute. Here it is one: periods, polls and bakes are those that ship, and
//! everything that a file counts in seconds takes as many minutes. Only what becomes
//! of calls to AWS is not stretched: what waits for them is not compressed live.

mod action;
pub mod variants;

use scenario::{Action, Behaves, CallFault, Fails, Load, RouteKind, Run, Scenario, Weights};
use serde_json::{Map, Value, json};

pub(crate) use self::action::carry_out;
use crate::draw::generator;
use crate::fleet::Ailment;
use crate::plot::{self, MINUTE, Moment, Plot, Stop, Trouble, When};
use crate::run::Ran;

/// The usual response time of a fleet, in seconds.
const USUAL: f64 = 0.02;

/// Targets of each fleet, as live.
const TARGETS: u32 = 2;

/// After so many seconds the event of a stop starts the restore.
const BY_EVENT: f64 = 1.0;

/// What a scenario asks for that only real requests and real processes have; nothing where it can be played
/// here.
pub fn only_live(scenario: &Scenario) -> Option<&'static str> {
    let users = &scenario.users;
    if scenario.app.sticky || users.sticky_percent > 0.0 {
        return Some("clients that keep cookies");
    }
    if users.slow_clients.is_some() || users.long_requests.is_some() {
        return Some("requests that take long");
    }
    if scenario.app.routes.contains(&RouteKind::SignedInHost) {
        return Some("users that sign in");
    }
    actions(scenario).find_map(|action| match action {
        Action::Calls(CallFault { fails: Fails::Killed, .. }) => Some("a process that is killed"),
        Action::Aws(aws) if aws.spread_seconds.get() > 0.0 => Some("weights that reach nodes late"),
        Action::Fleet { target: Some(_), behaves, .. } if *behaves != Behaves::Dead => Some("one bad target"),
        _ => None,
    })
}

fn actions(scenario: &Scenario) -> impl Iterator<Item = &Action> {
    scenario.runs.iter().flat_map(|run| {
        let meanwhile = run.meanwhile.iter().flat_map(|moment| &moment.actions);
        run.before.iter().chain(meanwhile)
    })
}

/// The world of a scenario.
pub fn plot(scenario: &Scenario) -> Plot {
    let mut plot = plot::calm(0, &mut generator(0, "plot"));
    plot.kind = "a scenario";
    plot.setup = scenario.app.clone();
    plot.found = both(match scenario.app.fixed_on {
        Some(fleet) => [100, 0].map(|weight| if fleet.index() == 0 { weight } else { 100 - weight }),
        None => scenario.app.weights.both(),
    });
    plot.rate = scenario.users.rate * scenario.app.routes.len() as f64 / MINUTE;
    plot.load = Load { rate: 1.0, ..scenario.users };
    plot.unrest = 0.0;
    plot.retries = 0.0;
    plot.late = action::LATE;
    for fleet in &mut plot.fleets {
        (fleet.targets, fleet.usual, fleet.base) = (TARGETS, USUAL, 0.0);
        // Whatever comes, unless the file says something else.
        (fleet.capacity, fleet.warm) = (plot.rate.max(1.0) * 10.0, plot.rate);
        fleet.client_errors = 0.0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an hour at most")]
    let history = scenario.users.history_seconds.get() as i64;
    plot.history = history.max(1);
    plot.inputs = scenario.runs.iter().map(|run| input(&scenario.input, run)).collect();
    let mut moments = Vec::new();
    for (number, run) in scenario.runs.iter().enumerate() {
        // As far back as anything is known, so that it was noticed.
        let long_ago = |action: &&Action| number == 0 && matches!(action, Action::Fleet { .. });
        for action in run.before.iter().filter(long_ago) {
            if let Action::Fleet { name, target, behaves } = action {
                let (fleet, (what, capacity)) = (name.index(), ailment(*behaves, *target));
                plot.troubles.push(Trouble::of_fleet(fleet, f64::NEG_INFINITY, what));
                plot.fleets[fleet].capacity = capacity.unwrap_or(plot.fleets[fleet].capacity);
            }
        }
        let before = run.before.iter().filter(|action| !long_ago(action)).cloned().collect();
        moments.push(Moment { run: number, at: None, actions: before });
        for then in &run.meanwhile {
            let after = then.after_seconds.get() * MINUTE;
            let at = then.stage.map_or(When::Seconds(after), |stage| When::Stage(stage, after));
            moments.push(Moment { run: number, at: Some(at), actions: then.actions.clone() });
        }
    }
    plot.scenario = Some(moments);
    plot
}

fn both([one, other]: [u16; 2]) -> [u32; 2] {
    [one.into(), other.into()]
}

/// What troubles a fleet that behaves so, and what each of its targets carries if that is limited.
fn ailment(behaves: Behaves, target: Option<usize>) -> (Ailment, Option<f64>) {
    let (nothing, share) = (Ailment::default(), |percent: f64| percent / 100.0);
    let dead = target.map_or(1.0, |_| 1.0 / f64::from(TARGETS));
    let what = match behaves {
        Behaves::Healthy | Behaves::Capacity { .. } => nothing,
        Behaves::Dead => Ailment { dead, ..nothing },
        Behaves::FailsChecks => Ailment { fails_checks: 1.0, ..nothing },
        Behaves::Errors { percent } => Ailment { errors: share(percent), ..nothing },
        Behaves::ClientErrors { percent } => Ailment { client_errors: share(percent), ..nothing },
        Behaves::Resets { percent } => Ailment { resets: share(percent), ..nothing },
        Behaves::Slow { percent, seconds } => {
            Ailment { slow: (share(percent), 1.0 + seconds.get() / USUAL), ..nothing }
        }
    };
    let capacity = match behaves {
        Behaves::Capacity { per_second } => Some(per_second / MINUTE),
        _ => None,
    };
    (what, capacity)
}

/// Who stops an execution of a scenario: the `again`th of its run, the first being 0.
pub(crate) fn stop(plot: &Plot, run: usize, again: usize) -> Option<Stop> {
    let stops = |moment: &&Moment| {
        moment.run == run && again == 0 && moment.actions.iter().any(|what| matches!(what, Action::Stop))
    };
    let moment = plot.scenario.iter().flatten().find(stops)?;
    Some(Stop { at: moment.at?, restored_after: Some(BY_EVENT) })
}

/// What is not as the file says it must be of endings and weights.
pub fn ends_otherwise(scenario: &Scenario, runs: &[Ran]) -> Vec<String> {
    let mut all = Vec::new();
    if runs.len() != scenario.runs.len() {
        all.push(format!("{} runs instead of {}", runs.len(), scenario.runs.len()));
    }
    for (said, ran) in scenario.runs.iter().zip(runs) {
        let (operation, ends) = (said.operation.word(), said.ends.to_string());
        if ran.ending != ends {
            all.push(format!("{operation}: {} instead of {ends}: {}", ran.ending, ran.said));
        }
        if !stand(said.weights, &ran.weights) {
            all.push(format!("{operation}: {:?}, not {}", ran.weights, said.weights));
        }
    }
    all
}

/// What is not as the file says it must be. Of its limits those of calls are held here: requests are not made
/// one by one.
pub fn differs(scenario: &Scenario, runs: &[Ran], calls: impl Fn(&str) -> usize) -> Vec<String> {
    let mut all = ends_otherwise(scenario, runs);
    for (said, ran) in scenario.runs.iter().zip(runs) {
        let path = without_repeated_polls(&ran.path);
        let mut must = |holds: bool, found: String| {
            if !holds {
                all.push(format!("{}: {found}", said.operation.word()));
            }
        };
        must(said.stages.is_none_or(|stages| stages == ran.stages), format!("{} stages", ran.stages));
        must(said.path.is_empty() || path == said.path, format!("went through {path:?}"));
        must(path.ends_with(&said.last_states), format!("went through {path:?}"));
        let polls = polls(&ran.history);
        // Where it is played live, the words are about what happens there in seconds.
        for text in said.says.iter().filter(|_| scenario.live.is_none()) {
            let is_said = ran.said.contains(text) || polls.iter().any(|poll| poll.contains(text));
            must(is_said, format!("says nothing of {text:?}: {}; polls: {polls:#?}", ran.said));
        }
    }
    for (action, limit) in &scenario.limits.calls {
        if calls(action) > *limit {
            all.push(format!("{action} was called {} times, at most {limit} are allowed", calls(action)));
        }
    }
    all
}

/// Whether every route holds these weights, or the same in other numbers, as one that forwards to one fleet
/// alone does.
fn stand(said: Weights, routes: &[[u32; 2]]) -> bool {
    let said = both(said.both());
    !routes.is_empty()
        && routes.iter().all(|held| {
            held.iter().sum::<u32>() > 0
                && u64::from(held[0]) * u64::from(said[1]) == u64::from(held[1]) * u64::from(said[0])
        })
}

/// What polls came to, as `verdict: reason`.
fn polls(history: &str) -> Vec<String> {
    let answers =
        history.lines().filter_map(|line| line.split_once(" LambdaFunctionSucceeded CheckMetrics "));
    let read = answers.filter_map(|(_, answer)| serde_json::from_str::<Value>(answer).ok());
    let text = |answer: &Value, field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    read.map(|answer| format!("{}: {}", text(&answer, "verdict"), text(&answer, "reason"))).collect()
}

/// The input of a run: that of the file, with minutes for seconds.
fn input(all: &Map<String, Value>, run: &Run) -> Value {
    let mut input = json!({});
    for over in [all, &run.input] {
        for (field, value) in over {
            input[field] = in_minutes(field, value);
        }
    }
    input["app"] = json!("web");
    input["operation"] = json!(run.operation.word());
    input
}

/// A field in minutes, where it is a time of the run.
fn in_minutes(field: &str, value: &Value) -> Value {
    const TIMES: [&str; 4] = ["bake", "poll", "period", "bothUnhealthyFor"];
    let minutes = |text: &str| Some(format!("{}m", text.strip_suffix('s')?));
    match value {
        Value::String(text) if TIMES.contains(&field) => minutes(text).map_or(value.clone(), Value::from),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), in_minutes(name, value))).collect()
        }
        other => other.clone(),
    }
}

/// How often a stage is polled is a matter of time; that it is polled is a matter of the path.
fn without_repeated_polls(states: &[String]) -> Vec<String> {
    const POLL: [&str; 3] = ["Bake", "CheckMetrics", "IsHealthy"];
    let mut path: Vec<String> = Vec::new();
    for state in states {
        path.push(state.clone());
        let repeated = path.rchunks(3).take(2).filter(|end| *end == POLL).count() == 2;
        if repeated {
            path.truncate(path.len() - 3);
        }
    }
    path
}
