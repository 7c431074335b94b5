//! One run: a world from a seed, an execution in it, and what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use model::trace::Trace;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::checks::{self, Broken, Limits};
use crate::cloud::{Change, Cloud, Execution};
use crate::definition::Definition;
use crate::draw::generator;
use crate::functions::{self, Functions, SUBSTITUTIONS};
use crate::history::History;
use crate::incidents;
use crate::jsonata::Engine;
use crate::machine::{Answer, Ended, Failure, Machine};
use crate::play;
use crate::plot::{Plot, Stop};
use crate::world::lock;

/// The error of an execution that somebody stopped, and its status.
pub(crate) const ABORTED: &str = "Aborted";
const ABORTED_STATUS: &str = "ABORTED";

/// The state machine, before the name of an execution.
const ARN: &str = "arn:aws:states:eu-central-1:123456789012:execution:failover:";

/// No execution goes on for longer than this, in hours of virtual time.
const LONGEST: u64 = 6;

/// How many minutes the world goes on after a run, before the next one or the end.
pub(crate) const AFTERWARDS: u64 = 3;

/// An execution that was stopped and is restored from then on, many times, would be a fault.
const RESTORES: usize = 5;

/// What came of one of the runs of a world, and of its restores.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The `status` of its output, or the name of its error; of one that was stopped, that of its restore.
    pub ending: String,
    /// Names of states in their order; of one that was stopped, those of its restore.
    pub path: Vec<String>,
    /// What both fleets held afterwards, for each route of the first app that there was.
    pub weights: Vec<[u32; 2]>,
    /// The summary of its output, or its cause.
    pub said: String,
    /// Everything that happened, where a scenario says what must; one that was stopped is there with its restore.
    pub history: String,
    /// How often it set weights, before anybody stopped it.
    pub stages: usize,
}

/// What came of a world.
#[derive(Clone, Debug)]
pub struct Report {
    /// The world.
    pub plot: Plot,
    /// `Completed`, or the name of the error with which the last execution failed.
    pub ending: String,
    /// The output, or the cause.
    pub said: Value,
    /// How long all executions took, in seconds of virtual time, with the time between them.
    pub seconds: f64,
    /// Events of the last one's history.
    pub events: usize,
    /// Names of their states in their order.
    pub path: Vec<String>,
    /// Each run.
    pub runs: Vec<Ran>,
    /// Every change of what the fleets got.
    pub changes: Vec<Change>,
    /// Polls.
    pub polls: usize,
    /// Requests of users during the run, and how many of them failed.
    pub users: [u64; 2],
    /// What does not hold.
    pub broken: Vec<Broken>,
    /// Everything that happened, as text.
    pub history: String,
    /// How often functions have called each API.
    pub calls: BTreeMap<String, usize>,
    /// What the model is shown of it.
    pub trace: Trace,
}

impl Report {
    /// How often functions have called an API.
    pub fn calls(&self, action: &str) -> usize {
        self.calls.get(action).copied().unwrap_or(0)
    }
}

/// What a thread needs for its runs.
pub struct Stage {
    engine: Engine,
    definition: Definition,
    base: SdkConfig,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a run found, and what it left.
pub(crate) struct Scene<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) ended: &'a Ended,
    pub(crate) report: &'a Report,
    pub(crate) run: &'a Run,
    pub(crate) before: &'a Before,
    pub(crate) rules: &'a str,
}

impl Scene<'_> {
    /// Whether a scenario ends with a restore that a person starts, knowing what is ill and what was found.
    pub(crate) fn is_a_persons_restore(&self) -> bool {
        let last = self.report.plot.inputs.last();
        last.is_some_and(|input| input["operation"] == "restore")
    }
}

/// What the last execution was, and all of them together.
#[derive(Default)]
pub(crate) struct Run {
    /// Its ARN.
    pub(crate) execution: String,
    /// What the fleets of each app got as it began; a restore is a part of what it restores.
    pub(crate) found: Vec<[f64; 2]>,
    /// What follows from all plans.
    pub(crate) limits: Limits,
}

/// What others had before.
pub(crate) struct Before {
    pub(crate) rules: String,
    pub(crate) neighbour: Neighbour,
}

/// What a rule of somebody else holds.
pub(crate) type Neighbour = (Vec<(String, u32)>, BTreeMap<String, String>);

thread_local! {
    static METRICS: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

impl Stage {
    /// Reads the definition and what evaluates its expressions.
    ///
    /// # Errors
    /// Where something is missing; `make tools` installs it.
    pub fn new() -> Result<Self, String> {
        failover::aws::publish_to(|line| METRICS.with_borrow_mut(|lines| lines.push(line.clone())));
        let engine = Engine::new(&root())?;
        let file = root().join("statemachine/failover.asl.json");
        let definition = Definition::read(&file, &SUBSTITUTIONS, &engine)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let base = runtime.map_err(|error| error.to_string())?.block_on(functions::base());
        Ok(Self { engine, definition, base })
    }

    /// What evaluates expressions.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes the run of a plot.
    ///
    /// # Panics
    /// Where no runtime can be built.
    pub fn run(&self, plot: Plot) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        // What the SDK draws: jitter of its retries, and ids of its calls.
        fastrand::seed(plot.seed);
        failover::aws::pace::begin_anew();
        METRICS.with_borrow_mut(Vec::clear);
        let report = runtime.block_on(async {
            clock::virtual_time::begin(plot.begins);
            LocalSet::new().run_until(self.live(plot)).await
        });
        clock::virtual_time::end();
        report
    }

    async fn live(&self, plot: Plot) -> Report {
        // The SDK keeps what its retries may cost for the whole process, by region: each run has its own.
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let region = format!("eu-run-{:09}", RUNS.fetch_add(1, Ordering::Relaxed));
        let cloud = Arc::new(Cloud::build(plot.clone(), &region).await);
        let before = Before { rules: cloud.rules().await, neighbour: of_neighbour(&cloud) };
        cloud.alb.refill();
        // In scenarios people restore by hand and remove tags, of which the replay knows nothing.
        let watched = if plot.scenario.is_some() { 0 } else { plot.inputs.len() };
        cloud.watch((0..watched).map(|number| format!("{ARN}{number}-0")).collect());
        let config = functions::config(&self.base, &cloud, &region);
        let functions = Functions::deploy(&config, Arc::clone(&cloud), plot.seed);
        for (after, incident) in plot.incidents.clone() {
            incidents::later(&cloud, after, incident);
        }
        let began = clock::Instant::now();
        let (mut run, mut history) = (Run::default(), History::default());
        let mut stops = plot.stops.iter().copied();
        let (mut ended, mut seconds, mut runs) = (Ok(Value::Null), 0.0, Vec::new());
        for (number, input) in plot.inputs.iter().enumerate() {
            incidents::before(&cloud, number).await;
            if number > 0 {
                tokio::time::sleep(Duration::from_secs(AFTERWARDS * 60)).await;
            }
            let written = history.text.len();
            run.found = cloud.shares();
            let moments = incidents::moments(&cloud, number);
            let (mut input, mut stages) = (input.clone(), 0);
            for again in 0..=RESTORES {
                run.execution = format!("{ARN}{number}-{again}");
                let stop =
                    if plot.scenario.is_some() { play::stop(&plot, number, again) } else { stops.next() };
                ended = self.execute(&cloud, &functions, &input, stop, (&mut run, &mut history)).await;
                cloud.note_end(&run.execution, format!("{ARN}{number}-{}", again + 1), &ended);
                seconds = began.elapsed().as_secs_f64();
                if again == 0 {
                    stages = *cloud.stages.borrow();
                }
                let was_stopped = ended.as_ref().is_err_and(|failure| failure.error == ABORTED);
                let Some(after) = stop.filter(|_| was_stopped).and_then(|stop| stop.restored_after) else {
                    break;
                };
                // By EventBridge, or by a person who was told of nothing.
                tokio::time::sleep(Duration::from_secs_f64(after)).await;
                input = json!({ "operation": "restore", "execution": run.execution });
            }
            for moment in moments {
                moment.abort();
            }
            runs.push(ran(&cloud, &ended, (&history, written), stages));
            if ended.is_err() && plot.scenario.is_none() {
                break;
            }
        }
        let until = clock::now();
        tokio::time::sleep(Duration::from_secs(AFTERWARDS * 60)).await;
        cloud.meanwhile();
        let rules = cloud.rules().await;
        let mut report = report(plot, &cloud, &ended, seconds, until.as_second(), history);
        report.history = report.history.replace(&region, "eu-central-1");
        report.runs = runs;
        let scene = Scene {
            cloud: &cloud,
            ended: &ended,
            report: &report,
            run: &run,
            before: &before,
            rules: &rules,
        };
        let broken = checks::all(&scene);
        report.broken = broken;
        report
    }

    /// Carries out an execution, until it ends or somebody stops it.
    async fn execute(
        &self,
        cloud: &Arc<Cloud>,
        functions: &Rc<Functions>,
        input: &Value,
        stop: Option<Stop>,
        (run, history): (&mut Run, &mut History),
    ) -> Ended {
        let (arn, began) = (run.execution.clone(), clock::now());
        cloud.stages.send_replace(0);
        let running = Execution {
            status: "RUNNING",
            input: input.clone(),
            began,
            ended: None,
            error: None,
            history: Vec::new(),
        };
        lock(&cloud.executions).insert(arn.clone(), running);
        let invoke = |name: &str, payload: String| -> Answer { functions.invoke(&arn, name, payload) };
        let rng = generator(cloud.plot.seed, &arn);
        let started = format!("{began:.3}");
        let kept = std::mem::take(history);
        let mut machine =
            Machine::new(&self.definition, &self.engine, &invoke, rng, kept, (&arn, &started, input));
        let outcome = tokio::select! {
            biased;
            () = stopped(cloud, stop) => None,
            ended = tokio::time::timeout(Duration::from_secs(LONGEST * 3600), machine.run()) => Some(ended),
        };
        *lock(&cloud.watched) = None;
        let (status, ended) = match outcome {
            None => (ABORTED_STATUS, Err(Failure { error: ABORTED.to_owned(), cause: String::new() })),
            Some(Err(_)) => ("RUNNING", Err(Failure { error: "Endless".to_owned(), cause: String::new() })),
            Some(Ok(ended)) => (if ended.is_ok() { "SUCCEEDED" } else { "FAILED" }, ended),
        };
        run.limits.add(machine.variable("plan"));
        *history = std::mem::take(&mut machine.history);
        if let Some(execution) = lock(&cloud.executions).get_mut(&arn) {
            execution.status = status;
            execution.ended = (status != "RUNNING").then(clock::now);
            execution.error = ended.as_ref().err().map(|failure| failure.error.clone());
            execution.history = history.over(match status {
                ABORTED_STATUS => "ExecutionAborted",
                "SUCCEEDED" => "ExecutionSucceeded",
                _ => "ExecutionFailed",
            });
        }
        ended
    }
}

/// Ends once it is time to stop an execution.
async fn stopped(cloud: &Cloud, stop: Option<Stop>) {
    match stop {
        None => std::future::pending().await,
        Some(stop) => incidents::until(cloud, stop.at).await,
    }
}

/// What the neighbour's rule holds now.
pub(crate) fn of_neighbour(cloud: &Cloud) -> Neighbour {
    (cloud.alb.weights(&cloud.site.neighbour), cloud.alb.tags(&cloud.site.neighbour))
}

/// What came of a run, which has just ended.
fn ran(cloud: &Cloud, ended: &Ended, (history, written): (&History, usize), stages: usize) -> Ran {
    let ending = match ended {
        Ok(output) => output["status"].as_str().unwrap_or_default().to_owned(),
        Err(failure) => failure.error.clone(),
    };
    let first = history.path.iter().rposition(|state| *state == "PlanShift").unwrap_or(0);
    let path = history.path[first..].to_vec();
    let said = match ended {
        Ok(output) => output["summary"].as_str().unwrap_or_default().to_owned(),
        Err(failure) => failure.cause.clone(),
    };
    let weights = cloud.standing(0).into_iter().map(|route| {
        let held = cloud.alb.weights(&route);
        let of_fleet =
            |group: &String| held.iter().find(|(arn, _)| arn == group).map_or(0, |(_, weight)| *weight);
        let groups = &cloud.site.apps[0].groups;
        [of_fleet(&groups[0]), of_fleet(&groups[1])]
    });
    let weights = weights.collect();
    let history = cloud.plot.scenario.is_some().then(|| history.text[written..].to_owned());
    Ran { ending, said, path, weights, history: history.unwrap_or_default(), stages }
}

fn report(plot: Plot, cloud: &Cloud, ended: &Ended, seconds: f64, until: i64, history: History) -> Report {
    let mut users = [0; 2];
    for world in &cloud.worlds {
        let world = lock(world);
        let place = |second: i64| usize::try_from((second - world.first).div_euclid(60)).unwrap_or(0);
        let last = place(until).min(world.minutes.len());
        for counted in world.minutes[place(plot.begins.as_second())..last].iter().flatten() {
            users[0] += u64::from(counted.requests);
            users[1] += u64::from(counted.failed());
        }
    }
    let (ending, said) = match ended {
        Ok(output) => ("Completed".to_owned(), output.clone()),
        Err(failure) => (failure.error.clone(), json!(failure.cause)),
    };
    Report {
        ending,
        said,
        seconds,
        events: history.events,
        polls: history.text.matches("StateEntered CheckMetrics").count(),
        path: history.path,
        runs: Vec::new(),
        changes: lock(&cloud.changes).clone(),
        users,
        broken: Vec::new(),
        history: history.text,
        calls: cloud.faults.calls(),
        trace: cloud.trace(),
        plot,
    }
}
