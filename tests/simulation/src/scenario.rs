//! Scenarios of the rehearsal, played in virtual time: the same files, so that both are held to the same path
//! of states and the same ending.
//!
//! There a second stands for a minute. Here it is one: periods, polls and bakes are those that ship, and
//! everything that a file counts in seconds takes as many minutes. What a file asks for that is not provided
//! for here is refused by its name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::draw::generator;
use crate::fleet::Ailment;
use crate::plot::{self, Incident, MINUTE, Moment, Plot, Stop, Trouble, When};
use crate::run::{Ran, root};

/// A scenario, as far as it is provided for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(rename = "description")]
    _description: String,
    #[serde(default)]
    app: App,
    #[serde(default)]
    users: Users,
    #[serde(default)]
    input: Map<String, Value>,
    runs: Vec<Run>,
    /// Of requests and calls, which are not made one by one.
    #[serde(default, rename = "limits")]
    _limits: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct App {
    /// There are always two.
    #[serde(default)]
    routes: Vec<String>,
    #[serde(default)]
    weights: Option<Weights>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Users {
    rate: f64,
    history_seconds: f64,
}

impl Default for Users {
    fn default() -> Self {
        Self { rate: 120.0, history_seconds: 2.0 }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    prod1: u32,
    prod2: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Run {
    #[serde(default)]
    before: Vec<Action>,
    operation: String,
    #[serde(default)]
    input: Map<String, Value>,
    #[serde(default)]
    meanwhile: Vec<Then>,
    ends: String,
    weights: Weights,
    stages: Option<usize>,
    #[serde(default)]
    path: Vec<String>,
    /// Words for the figures of seconds, which are others here.
    #[serde(default, rename = "says")]
    _says: Vec<String>,
    #[serde(default, rename = "lastStates")]
    _last_states: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Then {
    stage: Option<usize>,
    #[serde(default)]
    after_seconds: f64,
    #[serde(rename = "do")]
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Action {
    Fleet {
        name: Fleet,
        behaves: Behaves,
    },
    Users {
        percent: f64,
    },
    SomebodyElseSets(Weights),
    Stop,
    /// Some minutes pass before each run.
    Wait {
        #[serde(rename = "seconds")]
        _seconds: f64,
    },
    UntilHealthy,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Fleet {
    Prod1,
    Prod2,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Behaves {
    Healthy,
    Dead,
    Errors { percent: f64 },
    Resets { percent: f64 },
    Capacity { per_second: f64 },
    Slow { percent: f64, seconds: f64 },
}

/// The usual response time of a fleet, in seconds.
const USUAL: f64 = 0.02;

impl Action {
    fn incident(&self) -> Option<Incident> {
        Some(match *self {
            Self::Fleet { name, behaves } => {
                let nothing = Ailment::default();
                let what = match behaves {
                    Behaves::Healthy | Behaves::Capacity { .. } => nothing,
                    Behaves::Dead => Ailment { dead: 1.0, ..nothing },
                    Behaves::Errors { percent } => Ailment { errors: percent / 100.0, ..nothing },
                    Behaves::Resets { percent } => Ailment { resets: percent / 100.0, ..nothing },
                    Behaves::Slow { percent, seconds } => {
                        Ailment { slow: (percent / 100.0, seconds / USUAL), ..nothing }
                    }
                };
                let capacity = match behaves {
                    Behaves::Capacity { per_second } => Some(per_second / MINUTE),
                    _ => None,
                };
                Incident::Fleet(name as usize, what, capacity)
            }
            Self::Users { percent } => Incident::Users(percent / 100.0),
            Self::SomebodyElseSets(Weights { prod1, prod2 }) => Incident::Sets([prod1, prod2]),
            Self::Stop | Self::Wait { .. } | Self::UntilHealthy => return None,
        })
    }
}

/// A scenario that is played in both places.
#[derive(Debug)]
pub struct Scenario {
    file: File,
}

impl Scenario {
    /// Those of the library in which every run states its path, by name.
    ///
    /// # Errors
    /// Where one cannot be read, or asks for what is not provided for.
    pub fn library() -> Result<BTreeMap<String, Self>, String> {
        let folder = root().join("tests/rehearsal/scenarios");
        let files = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let mut all = BTreeMap::new();
        for path in files.flatten().map(|entry| entry.path()) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".yaml")) else {
                continue;
            };
            let told = |error: &dyn std::fmt::Display| format!("{name}: {error}");
            let text = std::fs::read_to_string(&path).map_err(|error| told(&error))?;
            let value: Value = yaml_serde::from_str(&text).map_err(|error| told(&error))?;
            let states_path = |run: &Value| run["path"].is_array();
            if value["runs"].as_array().is_some_and(|runs| runs.iter().all(states_path)) {
                let file = serde_json::from_value(value).map_err(|error| told(&error))?;
                all.insert(name.to_owned(), Self { file });
            }
        }
        Ok(all)
    }

    /// The world of it.
    pub fn plot(&self) -> Plot {
        let file = &self.file;
        let mut plot = plot::calm(0, &mut generator(0, "plot"));
        plot.kind = "a scenario";
        let routes = file.app.routes.len().max(1) as f64;
        plot.rate = file.users.rate * routes / MINUTE;
        plot.unrest = 0.0;
        plot.retries = 0.0;
        plot.late = (30.0, 0.0);
        for fleet in &mut plot.fleets {
            (fleet.targets, fleet.usual, fleet.base) = (2, USUAL, 0.0);
            // Whatever comes, unless the file says something else.
            (fleet.capacity, fleet.warm) = (plot.rate.max(1.0) * 10.0, plot.rate);
            fleet.client_errors = 0.0;
        }
        if let Some(Weights { prod1, prod2 }) = file.app.weights {
            plot.found = [prod1, prod2];
        }
        #[expect(clippy::cast_possible_truncation, reason = "some minutes")]
        let history = file.users.history_seconds as i64;
        plot.history = history.max(1);
        plot.inputs = file.runs.iter().map(|run| input(&file.input, run)).collect();
        let mut moments = Vec::new();
        for (number, run) in file.runs.iter().enumerate() {
            for what in run.before.iter().filter_map(Action::incident) {
                match what {
                    // As far back as anything is known, so that it was noticed.
                    Incident::Fleet(fleet, what, capacity) if number == 0 => {
                        plot.troubles.push(Trouble::of_fleet(fleet, f64::NEG_INFINITY, what));
                        let fleet = &mut plot.fleets[fleet];
                        fleet.capacity = capacity.unwrap_or(fleet.capacity);
                    }
                    what => moments.push(Moment { run: number, at: None, what }),
                }
            }
            for then in &run.meanwhile {
                let after = then.after_seconds * MINUTE;
                let at = then.stage.map_or(When::Seconds(after), |stage| When::Stage(stage, after));
                for action in &then.actions {
                    match (action.incident(), action) {
                        (Some(what), _) => moments.push(Moment { run: number, at: Some(at), what }),
                        (None, Action::Stop) => plot.stops.push(Stop { at, restored_after: Some(1.0) }),
                        (None, _) => {}
                    }
                }
            }
        }
        plot.scenario = Some(moments);
        plot
    }

    /// What is not as the file says it must be.
    pub fn differs(&self, runs: &[Ran]) -> Vec<String> {
        let mut all = Vec::new();
        if runs.len() != self.file.runs.len() {
            all.push(format!("{} runs instead of {}", runs.len(), self.file.runs.len()));
        }
        for (said, ran) in self.file.runs.iter().zip(runs) {
            let path = without_repeated_polls(&ran.path);
            let sum = f64::from(said.weights.prod1 + said.weights.prod2);
            let share = f64::from(said.weights.prod1) / sum;
            let mut must = |holds: bool, found: String| {
                if !holds {
                    all.push(format!("{}: {found}", said.operation));
                }
            };
            must(ran.ending == said.ends, format!("{} instead of {}", ran.ending, said.ends));
            must((ran.shares[0] - share).abs() < 0.01, format!("{:?}, not {:?}", ran.shares, said.weights));
            must(said.stages.is_none_or(|stages| stages == ran.stages), format!("{} stages", ran.stages));
            must(path == said.path, format!("went through {path:?}, not {:?}", said.path));
        }
        all
    }
}

/// The input of a run: that of the file, with minutes for seconds.
fn input(all: &Map<String, Value>, run: &Run) -> Value {
    let mut input = json!({});
    for over in [all, &run.input] {
        for (field, value) in over {
            let minutes = |text: &str| Some(format!("{}m", text.strip_suffix('s')?));
            let time = ["bake", "poll", "period"].contains(&field.as_str());
            let value = value.as_str().and_then(minutes).filter(|_| time).map_or(value.clone(), Value::from);
            input[field] = value;
        }
    }
    input["app"] = json!("web");
    input["operation"] = json!(run.operation);
    input
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
