//! Scenarios as files: how users come, what is run, what fails meanwhile, and how it must end.
//!
//! `tests/rehearsal/scenarios` is a library of them, with a page that explains the format.

mod action;
mod fault;
mod load;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use failover::model::Operation;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use crate::action::Action;
pub use crate::fault::{Aws, Behaves, CallFault, Fails, PartialSeconds};
pub use crate::load::{Bursts, Drift, Load, Part};
pub use crate::words::{Ending, FLEETS, FleetName, RouteKind, Seconds, Weights};

/// A rehearsal in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What happens and what must come of it, in a sentence or two.
    pub description: String,
    /// What only real requests and real processes show of it: then tests play it live, too. Every scenario is
    /// played in virtual time that can be.
    pub live: Option<String>,
    /// The app before the first run.
    #[serde(default)]
    pub app: Setup,
    /// How users come.
    #[serde(default)]
    pub users: Load,
    /// What the input of every run holds besides `app` and `operation`.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// The runs, one after the other. The last one's ending is the scenario's.
    #[schemars(length(min = 1))]
    pub runs: Vec<Run>,
    /// What must not be exceeded.
    #[serde(default)]
    pub limits: Limits,
}

/// The app before the first run: both fleets run v1 and are well.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Setup {
    /// Whether each fleet has a rule of its own, for the hosts `one.shop.example` and `two.shop.example`.
    pub previews: bool,
    /// What its balancer is called; by the app's own name without it.
    pub balancer: Option<String>,
    /// What leads to it.
    pub routes: Vec<RouteKind>,
    /// The weights of every route.
    pub weights: Weights,
    /// Instead of weights: every route forwards to this fleet alone, as nobody has converted it yet.
    pub fixed_on: Option<FleetName>,
    /// Whether the routes bind each client to the fleet that it met first.
    pub sticky: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let weights = Weights { prod1: 100, prod2: 0 };
        Self {
            previews: false,
            balancer: None,
            routes: vec![RouteKind::Host],
            weights,
            fixed_on: None,
            sticky: false,
        }
    }
}

/// An execution, and what becomes of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// What is done before it starts, in order.
    #[serde(default)]
    pub before: Vec<Action>,
    /// What it does.
    #[schemars(with = "String", extend("enum" = ["drain", "shift", "balance", "failback", "restore"]))]
    pub operation: Operation,
    /// What its input holds besides; it goes before that of the scenario.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// What happens while it runs.
    #[serde(default)]
    pub meanwhile: Vec<Moment>,
    /// How it must end. One that is stopped ends as its restore does.
    pub ends: Ending,
    /// The weights that every route must hold afterwards.
    pub weights: Weights,
    /// How often it must have set weights: its stages and probes.
    pub stages: Option<usize>,
    /// All states of its path, repeated polls written once.
    #[serde(default)]
    pub path: Vec<String>,
    /// The states at the end of its path, repeated polls written once.
    #[serde(default)]
    pub last_states: Vec<String>,
    /// What must be found in its summary or cause, or in a poll written as `verdict: reason`.
    #[serde(default)]
    pub says: Vec<String>,
}

/// Something that happens during a run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    /// Once the run has set weights for the time of this number, the first being 1; without it from
    /// the start of the run.
    pub stage: Option<usize>,
    /// So many seconds later.
    #[serde(default)]
    pub after_seconds: Seconds,
    /// What happens then, in order.
    #[serde(rename = "do")]
    pub actions: Vec<Action>,
}

/// What must not be exceeded by the whole scenario.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Failed requests that no fault of a fleet explains.
    pub failed_by_shifting: usize,
    /// All failed requests, in percent of all.
    pub failed_percent: Option<f64>,
    /// Calls that name the app, by API, such as `ModifyRule: 0`.
    pub calls: BTreeMap<String, usize>,
}

impl Scenario {
    /// Reads a scenario from the text of a file.
    ///
    /// # Errors
    /// A sentence that names the field which is unknown, missing or wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let value: Value = yaml_serde::from_str(text).context("this is no YAML")?;
        serde_path_to_error::deserialize(value).map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// As [`Self::parse`], or if there is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// The input of one of its runs: bakes of seconds stand for bakes of minutes, periods of a second
    /// for those of a minute.
    pub fn input_of(&self, run: &Run, app: &str) -> Value {
        let mut input = json!({
            "bake": "4s", "poll": "1s", "period": "1s",
            "criteria": { "longerPeriods": 8, "bothUnhealthyFor": "5s", "slowSeconds": 0.5 },
        });
        merge(&mut input, &Value::Object(self.input.clone()));
        merge(&mut input, &Value::Object(run.input.clone()));
        merge(&mut input, &json!({ "app": app, "operation": run.operation }));
        input
    }
}

/// Puts `over` on top, object by object.
fn merge(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(value), Value::Object(over)) => {
            for (key, over) in over {
                merge(value.entry(key).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

/// Where the library is.
pub fn library_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rehearsal/scenarios")
}

/// The files of the library by name, in order.
///
/// # Errors
/// If the folder cannot be read.
pub fn library() -> Result<BTreeMap<String, PathBuf>> {
    let files = std::fs::read_dir(library_folder())?.map(|entry| Ok(entry?.path()));
    let files = files.collect::<Result<Vec<_>>>()?;
    let named = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let yaml = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    Ok(yaml.filter_map(|path| Some((named(&path)?, path))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str =
        "{ description: d, runs: [{ operation: shift, ends: shifted, weights: { prod1: 0, prod2: 100 } }] }";

    #[test]
    fn what_is_unknown_is_refused_by_name_and_place() {
        Scenario::parse(SHORTEST).unwrap();
        for (good, bad, told) in [
            ("ends:", "end:", "runs[0].end: unknown field `end`"),
            ("ends: shifted", "ends: shiftd", "runs[0].ends: unknown variant `shiftd`"),
            ("prod2: 100", "blue: 100", "runs[0].weights.blue: unknown field `blue`"),
            ("description: d", "descr: d", "descr: unknown field `descr`"),
            ("description: d", "description: d, users: { rat: 1 }", "users.rat: unknown field `rat`"),
            (
                "description: d",
                "description: d, users: { historySeconds: -1 }",
                "users.historySeconds: -1 seconds",
            ),
            ("operation: shift", "operation: shift, before: [{ deploi: {} }]", "unknown variant `deploi`"),
            (", weights: { prod1: 0, prod2: 100 }", "", "missing field `weights`"),
        ] {
            let text = SHORTEST.replace(good, bad);
            let error = format!("{:#}", Scenario::parse(&text).unwrap_err());
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn the_input_of_a_run_goes_before_that_of_the_scenario() {
        let text = SHORTEST.replace(
            "operation: shift",
            "operation: shift, input: { bake: 9s, criteria: { bothUnhealthyFor: 3s } }",
        );
        let text = text.replace("description: d", "description: d, input: { bake: 8s, poll: 2s }");
        let scenario = Scenario::parse(&text).unwrap();
        let input = scenario.input_of(&scenario.runs[0], "web");
        let criteria = json!({ "longerPeriods": 8, "bothUnhealthyFor": "3s", "slowSeconds": 0.5 });
        assert_eq!(
            input,
            json!({ "app": "web", "operation": "shift", "bake": "9s", "poll": "2s", "period": "1s", "criteria": criteria })
        );
    }

    /// `UPDATE=1 cargo test -p scenario schema` writes it anew.
    #[test]
    fn the_schema_is_that_of_the_type() {
        let path = library_folder().join("scenario.schema.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&schemars::schema_for!(Scenario)).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == text, "{} is out of date", path.display());
    }

    #[test]
    fn the_library_can_be_read_and_is_on_its_page() {
        let library = library().unwrap();
        assert!(library.len() >= 15, "{}", library.len());
        let page = std::fs::read_to_string(library_folder().join("README.md")).unwrap();
        for (name, path) in &library {
            let scenario = Scenario::read(path).unwrap();
            let row = page.lines().find(|line| line.starts_with(&format!("| [{name}]({name}.yaml) |")));
            let ending = scenario.runs.last().unwrap().ends;
            assert!(row.is_some_and(|row| row.ends_with(&format!("| `{ending}` |"))), "{name}: {row:?}");
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.starts_with("# yaml-language-server: $schema=scenario.schema.json\n"), "{path:?}");
        }
    }
}
