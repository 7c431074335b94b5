//! One run: a world from a seed, an execution in it, and what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::checks::{self, Broken};
use crate::cloud::{Change, Cloud, Execution};
use crate::definition::Definition;
use crate::draw::generator;
use crate::functions::{self, Functions, SUBSTITUTIONS};
use crate::history::History;
use crate::jsonata::Engine;
use crate::machine::{Answer, Ended, Failure, Machine};
use crate::plot::{Incident, Plot};
use crate::world::lock;

/// The state machine, before the name of an execution.
const ARN: &str = "arn:aws:states:eu-central-1:123456789012:execution:failover:";

/// No execution goes on for longer than this, in hours of virtual time.
const LONGEST: u64 = 6;

/// How many minutes the world goes on after the run.
const AFTERWARDS: u64 = 3;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The world.
    pub plot: Plot,
    /// `Completed`, or the name of the error with which the execution failed.
    pub ending: String,
    /// The output, or the cause.
    pub said: Value,
    /// How long the execution took, in seconds of virtual time.
    pub seconds: f64,
    /// Events of its history.
    pub events: usize,
    /// Names of its states in their order.
    pub path: Vec<String>,
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
    pub(crate) execution: &'a str,
    pub(crate) neighbour: &'a Neighbour,
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
        let neighbour = of_neighbour(&cloud);
        let config = functions::config(&self.base, &cloud, &region);
        let functions = Functions::deploy(&config, Arc::clone(&cloud), plot.seed);
        let stop = Rc::new(Notify::new());
        let restore = Rc::new(RefCell::new(false));
        for (after, incident) in plot.incidents.clone() {
            let (cloud, stop, restore) = (Arc::clone(&cloud), Rc::clone(&stop), Rc::clone(&restore));
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_secs_f64(after)).await;
                strike(&cloud, &incident, &stop, &restore).await;
            });
        }
        let first = format!("{ARN}run");
        let began = clock::Instant::now();
        let (mut ended, mut history) =
            self.execute(&cloud, &functions, (&first, &plot.input), &stop, History::default()).await;
        let mut execution = first.clone();
        if restore.take() {
            // What EventBridge does for an execution that was stopped.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let input = json!({ "operation": "restore", "execution": first });
            execution = format!("{ARN}restore");
            (ended, history) =
                self.execute(&cloud, &functions, (&execution, &input), &Notify::new(), history).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let until = clock::now();
        tokio::time::sleep(Duration::from_secs(AFTERWARDS * 60)).await;
        cloud.meanwhile();
        let mut report = report(plot, &cloud, &ended, seconds, until.as_second(), history);
        report.history = report.history.replace(&region, "eu-central-1");
        let scene = Scene {
            cloud: &cloud,
            ended: &ended,
            report: &report,
            execution: &execution,
            neighbour: &neighbour,
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
        (arn, input): (&str, &Value),
        stop: &Notify,
        history: History,
    ) -> (Ended, History) {
        let began = clock::now();
        let running = Execution { status: "RUNNING", input: input.clone(), began, ended: None, error: None };
        lock(&cloud.executions).insert(arn.to_owned(), running);
        let invoke = |name: &str, payload: String| -> Answer { functions.invoke(name, payload) };
        let seed = lock(&cloud.world).plot.seed;
        let rng = generator(seed, arn);
        let started = format!("{began:.3}");
        let mut machine =
            Machine::new(&self.definition, &self.engine, &invoke, rng, history, (arn, &started, input));
        let outcome = tokio::select! {
            biased;
            () = stop.notified() => None,
            ended = tokio::time::timeout(Duration::from_secs(LONGEST * 3600), machine.run()) => Some(ended),
        };
        let (status, ended) = match outcome {
            None => ("ABORTED", Err(Failure { error: "Aborted".to_owned(), cause: String::new() })),
            Some(Err(_)) => ("RUNNING", Err(Failure { error: "Endless".to_owned(), cause: String::new() })),
            Some(Ok(ended)) => (if ended.is_ok() { "SUCCEEDED" } else { "FAILED" }, ended),
        };
        if let Some(execution) = lock(&cloud.executions).get_mut(arn) {
            execution.status = status;
            execution.ended = (status != "RUNNING").then(clock::now);
            execution.error = ended.as_ref().err().map(|failure| failure.error.clone());
        }
        (ended, machine.history)
    }
}

/// What the neighbour's rule holds now.
pub(crate) fn of_neighbour(cloud: &Cloud) -> Neighbour {
    (cloud.alb.weights(&cloud.site.neighbour), cloud.alb.tags(&cloud.site.neighbour))
}

async fn strike(cloud: &Cloud, incident: &Incident, stop: &Notify, restore: &RefCell<bool>) {
    match incident {
        Incident::Stop { event_arrives } => {
            *restore.borrow_mut() = *event_arrives;
            stop.notify_waiters();
        }
        Incident::Terraform => cloud.set_weights(&cloud.site.routes[0], [100, 0]).await,
        Incident::Ask(what) => {
            let tag = [
                ("ResourceArns.member.1", cloud.site.routes[0].as_str()),
                ("Tags.member.1.Key", "failover:request"),
                ("Tags.member.1.Value", what),
            ];
            cloud.ask("AddTags", &tag).await;
        }
    }
}

fn report(plot: Plot, cloud: &Cloud, ended: &Ended, seconds: f64, until: i64, history: History) -> Report {
    let world = lock(&cloud.world);
    let place = |second: i64| usize::try_from((second - world.first).div_euclid(60)).unwrap_or(0);
    let during = &world.minutes[place(plot.begins.as_second())..place(until).min(world.minutes.len())];
    let sum =
        |what: fn(&crate::fleet::Counted) -> u32| during.iter().flatten().map(|c| u64::from(what(c))).sum();
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
        changes: lock(&cloud.changes).clone(),
        users: [sum(|counted| counted.requests), sum(|counted| counted.failed())],
        broken: Vec::new(),
        history: history.text,
        plot,
    }
}
