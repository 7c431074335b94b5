//! A local AWS as a child process.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::family::Family;

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two levels down").to_owned()
}

/// A program that `make tools` installed into the checkout.
pub fn tool(name: &str) -> PathBuf {
    root().join(".tools/venv/bin").join(name)
}

/// A command for a program that waits for its turn: on AWS it would run elsewhere, and what users and
/// functions do here would come late for it.
pub fn elsewhere(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(program);
    command
}

/// Where scripts and the AWS CLI note what they ask of AWS.
static NOTED: OnceLock<PathBuf> = OnceLock::new();

/// Has every command that is pointed at the local AWS from now on note its requests in this file, as far as it is
/// Python. The first file stays.
pub(crate) fn note_requests_in(file: PathBuf) {
    NOTED.get_or_init(|| file);
}

/// Points a command at the local AWS: no real credentials anywhere, whatever the environment that
/// the rehearsal itself was started from holds.
pub fn aim<'a>(command: &'a mut Command, endpoint: &str) -> &'a mut Command {
    for real in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"] {
        command.env_remove(real);
    }
    command.envs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    if let Some(file) = NOTED.get() {
        command.env("PYTHONPATH", root().join("tests/tools/noted")).env("NOTED_REQUESTS", file);
    }
    command
}

/// Where everything pretends to be.
pub const REGION: &str = "us-east-1";

/// How long a server may take to answer for the first time.
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// A server that stops when this is dropped.
#[derive(Debug)]
pub struct LocalAws {
    endpoint: String,
    // Held for its drop: the server is killed with it, and the functions that it runs.
    _family: Family,
}

impl LocalAws {
    /// Starts MiniStack: Step Functions, Lambda, CloudFormation and the rest. Load balancing and
    /// its metrics are answered at `balancer` instead, which the SDKs in the Lambdas learn from
    /// their own environment variables.
    ///
    /// # Errors
    /// If it is not installed or does not answer within a minute.
    pub async fn start(balancer: &str, log: &Path) -> Result<Self> {
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        // Whatever it unpacks and keeps is gone with the folder of the log.
        let folder = log.parent().unwrap_or(Path::new(".")).display().to_string();
        let variables = [
            ("GATEWAY_PORT", port.to_string()),
            // It would listen on every interface otherwise.
            ("BIND_HOST", "127.0.0.1".into()),
            // It listens on a fixed port, which a second rehearsal would find taken.
            ("IOT_MTLS_ENABLED", "0".into()),
            ("TMPDIR", folder.clone()),
            ("STATE_DIR", folder),
            ("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", balancer.into()),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", balancer.into()),
            // Passed on, so that faults reach these calls as well.
            ("AWS_ENDPOINT_URL_SFN", balancer.into()),
            ("AWS_ENDPOINT_URL_SNS", balancer.into()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", balancer.into()),
        ];
        let mut command = Command::new(tool("ministack"));
        // What it runs is no script of ours.
        aim(&mut command, &endpoint).envs(variables).env_remove("NOTED_REQUESTS");
        Self::spawn(command, endpoint.clone(), &format!("{endpoint}/_ministack/health"), log).await
    }

    /// Starts moto's server, the second opinion on load balancing; as it is, or `strict`, behind a layer
    /// that refuses what AWS refuses and moto takes.
    ///
    /// # Errors
    /// If it is not installed or does not answer within a minute.
    pub async fn start_moto(log: &Path, strict: bool) -> Result<Self> {
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(tool(if strict { "python" } else { "moto_server" }));
        aim(&mut command, &endpoint);
        if strict {
            command.arg(root().join("tests/tools/strict_moto.py")).arg(port.to_string());
        } else {
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        }
        Self::spawn(command, endpoint.clone(), &format!("{endpoint}/moto-api/data.json"), log).await
    }

    async fn spawn(mut command: Command, endpoint: String, health: &str, log: &Path) -> Result<Self> {
        let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut family = Family::start(command.stdout(file.try_clone()?).stderr(file))?;
        let deadline = Instant::now() + STARTS_WITHIN;
        while reqwest::get(health).await.is_err() {
            if let Some(status) = family.ended()? {
                bail!("the local AWS ended with {status}; see {}", log.display());
            }
            if Instant::now() > deadline {
                bail!("the local AWS did not answer within a minute; see {}", log.display());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { endpoint, _family: family })
    }

    /// Such as `http://127.0.0.1:40000`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same as an address.
    ///
    /// # Errors
    /// Never: the endpoint was made from one.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.endpoint.trim_start_matches("http://").parse()?)
    }
}

/// Ports of which Linux gives none to who asks for any: no client has one by chance before the server takes it.
const PORTS: Range<u16> = 20_000..32_000;

/// A port for a server that takes a while to start. Every process begins elsewhere, and uses none of them twice.
fn free_port() -> Result<u16> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let count = PORTS.len();
    let start = usize::try_from(std::process::id())?;
    for _ in 0..count {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + u16::try_from((start.wrapping_mul(31) + next) % count)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("all ports from {} to {} are taken", PORTS.start, PORTS.end)
}
