//! What Lambda has to start: time until the first answer, memory and size of every function, beside
//! an empty one and beside a twin in Python.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rehearsal::{App, Forward, Ground, RouteKind, Site, aim, root, tool};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::report::{Goal, Section, figure, median};
use crate::runtime::Function;

/// The clients of a function, by the names that boto3 knows them by.
const CLIENTS: [(&str, &str); 9] = [
    ("plan-shift", "elbv2 cloudwatch stepfunctions"),
    ("claim-routes", "elbv2 stepfunctions"),
    ("set-weights", "elbv2"),
    ("check-metrics", "elbv2 cloudwatch"),
    ("probe-app", "elbv2"),
    ("swap-roles", "elbv2"),
    ("roll-back", "elbv2"),
    ("release-routes", "elbv2"),
    ("send-notice", "sns events"),
];

/// The trusted roots of a machine in one file, which is all that Lambda's image has. Many keep a
/// folder beside it with a file for each, and a function that is not told would read that as well.
const ROOTS: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// Rounds of starts; each starts everything once, so that a busy moment meets all alike.
const ROUNDS: usize = 21;

/// Starts with AWS calls, and answers of the process that is then warm.
const WORKING_ROUNDS: usize = 5;
const WARM: usize = 60;

/// Those that meet an app as a run finds it, all on one fleet.
const FROM_THE_START: [&str; 2] = ["plan-shift", SET_WEIGHTS];

/// The one that has a whole twin.
const SET_WEIGHTS: &str = "set-weights";

const EXECUTION: &str = "arn:aws:states:us-east-1:000000000000:execution:failover:bench";

/// What is started.
struct Subject {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    clients: &'static str,
    /// Of the package that Lambda gets; unknown for Python, whose SDK comes with the runtime.
    zipped: Option<u64>,
    first_ms: Vec<f64>,
    busy_ms: Vec<f64>,
    memory: Vec<f64>,
    working: Option<Working>,
}

/// The same with real calls.
struct Working {
    first_ms: f64,
    warm_ms: f64,
    memory: f64,
    calls: Vec<String>,
}

/// Measures all functions.
pub async fn measure(ground: &Ground) -> Result<Section> {
    let folder = ground.folder().join("bench");
    let mut floor = Subject::built(&folder, "floor", "")?;
    let mut functions = Vec::new();
    let mut twins = Vec::new();
    for (name, clients) in CLIENTS {
        functions.push(Subject::built(&folder, name, clients)?);
        twins.push(Subject::twin(clients));
    }

    // Every one refuses such a request before it calls anybody; the empty one has nothing to refuse.
    let refused = json!({});
    for _ in 0..ROUNDS {
        floor.start(ground, &refused).await?;
        for (function, twin) in functions.iter_mut().zip(&mut twins) {
            function.start(ground, &refused).await?;
            twin.start(ground, &refused).await?;
        }
    }
    let site = Site::new(ground, "bench").await?;
    let routes = [RouteKind::Host, RouteKind::Path, RouteKind::Default];
    let app = site.app("bench", &routes, Forward::Weighted([100, 0])).await?;
    let events = events(ground, &app, &functions).await?;
    let roll_back = Subject::built(&folder, "roll-back", "elbv2")?;
    let event_of = |wanted: &str| events.iter().find(|(name, _)| *name == wanted).map(|(_, event)| event);
    let undo = event_of("roll-back").map(|event| (&roll_back, event));
    for function in &mut functions {
        if let Some(event) = event_of(&function.name) {
            let undo = undo.filter(|_| FROM_THE_START.contains(&function.name.as_str()));
            function.work(ground, &app, event, undo).await?;
        }
    }
    let place = functions.iter().position(|function| function.name == SET_WEIGHTS).context("it is there")?;
    let set_weights = event_of(SET_WEIGHTS).context("its event is there")?;
    twins[place].work(ground, &app, set_weights, undo).await?;
    check_same_calls(&functions[place], &twins[place])?;
    Ok(section(&floor, &functions, &twins))
}

/// A twin that asks less of AWS would be no twin.
fn check_same_calls(function: &Subject, twin: &Subject) -> Result<()> {
    let sorted = |subject: &Subject| {
        let mut calls = subject.working.as_ref().map(|working| working.calls.clone()).unwrap_or_default();
        calls.sort();
        calls
    };
    ensure!(sorted(function) == sorted(twin), "{:?} against {:?}", sorted(function), sorted(twin));
    Ok(())
}

impl Subject {
    /// A function that was built, unpacked as Lambda does it.
    fn built(folder: &Path, name: &str, clients: &'static str) -> Result<Self> {
        let zip = root().join("target/lambda").join(name).join("bootstrap.zip");
        let zipped =
            zip.metadata().with_context(|| format!("{}: `make bench` builds it", zip.display()))?.len();
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let unzip = std::process::Command::new(tool("python"))
            .args(["-m", "zipfile", "-e"])
            .args([&zip, &folder])
            .status()?;
        ensure!(unzip.success(), "cannot unpack {}", zip.display());
        let program = folder.join("bootstrap");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { zipped: Some(zipped), ..Self::new(name, program, clients) })
    }

    /// The twin with the clients of a function, on the runtime client that Lambda's Python is made of.
    fn twin(clients: &'static str) -> Self {
        let arguments = ["-m", "awslambdaric", "twin.handler"].map(str::to_owned).into();
        Self { arguments, ..Self::new("twin", tool("python"), clients) }
    }

    fn new(name: &str, program: PathBuf, clients: &'static str) -> Self {
        Self {
            name: name.into(),
            program,
            arguments: Vec::new(),
            clients,
            zipped: None,
            first_ms: Vec::new(),
            busy_ms: Vec::new(),
            memory: Vec::new(),
            working: None,
        }
    }

    /// What Lambda sets, and nothing else of this machine's environment.
    fn command(&self, ground: &Ground) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        command.envs(ROOTS.iter().find(|file| Path::new(file).exists()).map(|file| ("SSL_CERT_FILE", file)));
        aim(&mut command, &ground.alb.endpoint()).envs([
            ("PYTHONPATH", root().join("tests/bench/twin").to_string_lossy().as_ref()),
            ("AWS_LAMBDA_FUNCTION_NAME", &self.name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("TARGET_GROUP_PATTERN", "shop-us-prd-{app}-{fleet}-tg"),
            ("FLEETS", "prod1=01,prod2=02"),
            ("PROPAGATION_SECONDS", "2"),
            ("CLIENTS", self.clients),
        ]);
        command
    }

    async fn start(&mut self, ground: &Ground, event: &Value) -> Result<()> {
        let (function, answer) = Function::start(self.command(ground), event).await?;
        ensure!(
            answer.succeeded == (self.name == "floor"),
            "{} answered {} instead of refusing the request",
            self.name,
            answer.body
        );
        self.first_ms.push(answer.took.as_secs_f64() * 1000.0);
        self.busy_ms.push(function.busy()?.as_secs_f64() * 1000.0);
        self.memory.push(function.peak_memory()? as f64);
        function.stop().await
    }

    /// Starts it on an event that it can answer, then asks again and again. `undo` goes before every
    /// start, so that there is something to write.
    async fn work(
        &mut self,
        ground: &Ground,
        app: &App<'_>,
        event: &Value,
        undo: Option<(&Subject, &Value)>,
    ) -> Result<()> {
        let (mut first, mut warm, mut memory, mut calls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..WORKING_ROUNDS {
            // As a run does that is at its first stage.
            app.tag("failover:claim", EXECUTION).await.context("cannot claim the app")?;
            if let Some((function, event)) = undo {
                function.once(ground, event).await?;
            }
            let calls_before = ground.alb.calls_len();
            let (mut function, answer) = Function::start(self.command(ground), event).await?;
            ensure!(answer.succeeded, "{}: {}", self.name, answer.body);
            calls =
                ground.alb.calls_since(calls_before).into_iter().map(|call| call.action.clone()).collect();
            first.push(answer.took.as_secs_f64() * 1000.0);
            for _ in 0..WARM {
                let answer = function.ask(event).await?;
                ensure!(answer.succeeded, "{}: {}", self.name, answer.body);
                warm.push(answer.took.as_secs_f64() * 1000.0);
            }
            memory.push(function.peak_memory()? as f64);
            function.stop().await?;
        }
        self.working = Some(Working {
            first_ms: median(&first),
            warm_ms: median(&warm),
            memory: median(&memory),
            calls,
        });
        Ok(())
    }

    /// Starts it for one answer, which must be a success.
    async fn once(&self, ground: &Ground, event: &Value) -> Result<Value> {
        let (process, answer) = Function::start(self.command(ground), event).await?;
        ensure!(answer.succeeded, "{}: {}", self.name, answer.body);
        process.stop().await?;
        Ok(answer.body)
    }

    fn first(&self) -> f64 {
        median(&self.first_ms)
    }

    fn mib(&self) -> f64 {
        median(&self.memory) / MIB
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// An event for every function that can be asked again and again, each made by the function before
/// it. Claiming is not among them: it waits on purpose, and wants an execution that is running.
async fn events(ground: &Ground, app: &App<'_>, functions: &[Subject]) -> Result<Vec<(&'static str, Value)>> {
    let input = json!({ "app": app.name, "stages": [50, 100], "bake": "5s", "poll": "1s", "period": "1s" });
    let execution = json!({ "arn": EXECUTION, "startedAt": Timestamp::now().to_string() });
    let probing = json!({ "probes": "", "addresses": "", "loopback": "refused" });
    let hooking = json!({ "hooks": "", "functions": "" });
    let plan_shift =
        json!({ "input": input, "execution": execution, "probing": probing, "hooking": hooking });
    let ask = async |name: &str, event: &Value| {
        let function = functions.iter().find(|function| function.name == name).context("no such function")?;
        function.once(ground, event).await
    };
    let planned = ask("plan-shift", &plan_shift).await?;
    let plan = &planned["plan"];
    // As a run does that is at its first stage.
    app.tag("failover:claim", EXECUTION).await.context("cannot claim the app")?;
    let set_weights = json!({ "plan": plan, "progress": planned["progress"] });
    let progress = ask(SET_WEIGHTS, &set_weights).await?;
    let check_metrics = json!({ "plan": plan, "progress": progress });
    let check = ask("check-metrics", &check_metrics).await?;
    let swap_roles = json!({ "plan": plan, "progress": check["progress"], "figures": check["figures"] });
    let roll_back = json!({ "plan": plan, "why": "a benchmark", "earlier": null });
    let release_routes = json!({
        "input": {}, "plan": plan, "progress": null, "claimed": true,
        "ended": { "ending": "RolledBack", "why": null, "rolledBack": null, "outcome": null },
    });
    Ok(vec![
        (SET_WEIGHTS, set_weights),
        ("check-metrics", check_metrics),
        ("swap-roles", swap_roles),
        ("roll-back", roll_back),
        ("plan-shift", plan_shift),
        ("release-routes", release_routes),
    ])
}

fn section(floor: &Subject, functions: &[Subject], twins: &[Subject]) -> Section {
    let ratio = |over: &[f64], under: &[f64]| {
        median(&over.iter().zip(under).map(|(over, under)| over / under).collect::<Vec<_>>())
    };
    let megabytes = |zipped: Option<u64>| zipped.map(|bytes| bytes as f64 / 1e6);
    let mut rows = Vec::new();
    let mut over_floor: Vec<f64> = Vec::new();
    let mut busy_over_floor: Vec<f64> = Vec::new();
    let (mut sooner, mut smaller) = (Vec::new(), Vec::new());
    rows.push(vec![
        json!("empty"),
        json!(megabytes(floor.zipped)),
        json!(floor.first()),
        json!(1),
        json!(median(&floor.busy_ms)),
        json!(1),
        Value::Null,
        json!(floor.mib()),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]);
    for (function, twin) in functions.iter().zip(twins) {
        busy_over_floor.push(ratio(&function.busy_ms, &floor.busy_ms));
        over_floor.push(ratio(&function.first_ms, &floor.first_ms));
        sooner.push(ratio(&twin.first_ms, &function.first_ms));
        smaller.push(ratio(&twin.memory, &function.memory));
        for (subject, is_twin) in [(function, false), (twin, true)] {
            let working = subject.working.as_ref();
            let name = if is_twin {
                format!("– its twin in Python, {}", twin.clients)
            } else {
                function.name.clone()
            };
            rows.push(vec![
                json!(name),
                json!(megabytes(subject.zipped)),
                json!(subject.first()),
                json!(ratio(&subject.first_ms, &floor.first_ms)),
                json!(median(&subject.busy_ms)),
                json!(ratio(&subject.busy_ms, &floor.busy_ms)),
                if is_twin { Value::Null } else { json!(sooner.last()) },
                json!(subject.mib()),
                if is_twin { Value::Null } else { json!(smaller.last()) },
                json!(working.map(|w| w.first_ms)),
                json!(working.map(|w| w.warm_ms)),
                json!(working.map(|w| w.memory / MIB)),
            ]);
        }
    }
    let worst =
        |figures: &[f64], pick: fn(f64, f64) -> f64| figures.iter().copied().reduce(pick).unwrap_or(f64::NAN);
    let slowest = worst(&over_floor, f64::max);
    let busiest = worst(&busy_over_floor, f64::max);
    let sooner = worst(&sooner, f64::min);
    let smaller = worst(&smaller, f64::min);
    let largest = functions.iter().filter_map(|f| megabytes(f.zipped)).fold(0.0, f64::max);
    Section {
        title: "Functions",
        method: format!(
            "From the start of the process until its answer, a refusal before any AWS call, is at the runtime API. \
             {ROUNDS} rounds, in each of which everything starts once; medians, and medians of the rounds' ratios. \
             With calls: {WORKING_ROUNDS} starts on a real request for an app with three routes against the local \
             balancer, then {WARM} more requests to each process. claim-routes waits on purpose, and \
             probe-app and send-notice have other servers to talk to; they have no such figure.",
        ),
        columns: vec![
            "function",
            "zip MB",
            "first answer ms",
            "times empty",
            "processor ms",
            "times empty",
            "sooner than twin",
            "peak MiB",
            "below twin",
            "first with calls ms",
            "warm with calls ms",
            "peak with calls MiB",
        ],
        rows,
        goals: vec![
            Goal::new(
                "first answer before any AWS call within 2.5 times an empty function",
                figure(slowest),
                slowest <= 2.5,
            ),
            Goal::new(
                "the same in time of the processor, which others on the machine do not change",
                figure(busiest),
                busiest <= 2.5,
            ),
            Goal::new("at least 40 times sooner than Python", figure(sooner), sooner >= 40.0),
            Goal::new("memory at least 6 times below Python", figure(smaller), smaller >= 6.0),
            Goal::new("every function below 4 MB zipped", figure(largest), largest < 4.0),
        ],
    }
}
