//! A fault at every AWS call that the functions make, one at a time: whatever happens to a call, the
//! run ends in an ending of the contract, with the weights that the ending promises, no claim left
//! behind and nothing else changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alb::{Behaviour, CallInfo, Intercept};
use anyhow::{Result, bail, ensure};
use aws_sdk_elasticloadbalancingv2::types::Action;
use failover::model::weights::GroupWeight;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};
use rehearsal::{App, Ended, Forward, Ground, RouteKind, Site, kill};
use serde_json::json;

use crate::support::{input, run};

/// Cases side by side. Each has users and fleets of its own.
const AT_ONCE: usize = 32;

/// `make test` runs one of so many cases, `make faults` all of them.
const SAMPLE: usize = 7;

/// The actions of a poll.
const POLLED: [&str; 3] = ["DescribeRules", "DescribeTargetHealth", "GetMetricData"];

/// What is run, from prod1 100 and prod2 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Drain,
    Shift,
    Balance,
    /// A shift whose standby dies in the first stage.
    ShiftThatRollsBack,
    /// The restore of a shift that is stopped in its first stage.
    Restore,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Drain, Self::Shift, Self::Balance, Self::ShiftThatRollsBack, Self::Restore];

    /// The weights of a run that succeeds.
    fn weights(self) -> [u16; 2] {
        match self {
            Self::Shift => [0, 100],
            Self::Balance => [50, 50],
            Self::Drain | Self::ShiftThatRollsBack | Self::Restore => BEFORE,
        }
    }
}

const BEFORE: [u16; 2] = [100, 0];

/// Functions killed so far.
static KILLED: AtomicUsize = AtomicUsize::new(0);

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    ThrottledOnce,
    ThrottledForLong,
    ServerError,
    ResetBeforeItWasApplied,
    ResetAfterItWasApplied,
    /// The function is killed before the call arrives.
    KilledBefore,
    /// The function is killed once the call is applied, so that all it did is done a second time.
    KilledAfter,
    /// Longer than a function may run.
    AnsweredTooLate,
    Denied,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::ThrottledOnce,
        Self::ThrottledForLong,
        Self::ServerError,
        Self::ResetBeforeItWasApplied,
        Self::ResetAfterItWasApplied,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::AnsweredTooLate,
        Self::Denied,
    ];

    /// How many calls in a row it hits: more than the SDK tries by itself, or one.
    fn calls(self) -> usize {
        if matches!(self, Self::ThrottledForLong) { 6 } else { 1 }
    }

    fn meet(self, call: &CallInfo<'_>, server: SocketAddr) -> Intercept {
        let error = |status, code: &str| Intercept::Error {
            status,
            code: code.into(),
            message: "a fault on purpose".into(),
        };
        if matches!(self, Self::KilledBefore | Self::KilledAfter) {
            // One whose other end is gone already needs no killing; the count tells how many did.
            KILLED.fetch_add(usize::from(kill::client(call.peer, server).is_ok()), Ordering::Relaxed);
        }
        match self {
            Self::ThrottledOnce | Self::ThrottledForLong => error(400, "Throttling"),
            Self::ServerError => error(500, "InternalFailure"),
            Self::ResetBeforeItWasApplied | Self::KilledBefore => Intercept::ResetBefore,
            Self::ResetAfterItWasApplied | Self::KilledAfter => Intercept::ResetAfter,
            Self::AnsweredTooLate => Intercept::Delay(Duration::from_secs(35)),
            Self::Denied => error(403, "AccessDenied"),
        }
    }
}

/// The `occurrence`-th call of an action, counted from 0.
type Call = (String, usize);

/// A run with at most one fault, on an app of its own.
struct Case {
    /// Of the app and of its balancer, so that every call about them holds it.
    name: String,
    operation: Operation,
    fault: Option<(Call, Fault)>,
}

pub async fn whatever_happens_to_a_call_the_run_ends_as_promised(ground: &Ground) -> Result<()> {
    let undisturbed = Operation::ALL.map(|operation| Case {
        name: format!("case-{:04}", 9000 + operation as usize),
        operation,
        fault: None,
    });
    let undisturbed = try_join_all(undisturbed.iter().map(|case| one(ground, case))).await?;
    let mut cases = Vec::new();
    for (operation, Went { calls, .. }) in Operation::ALL.into_iter().zip(undisturbed) {
        // A poll is like the next: the first few of the calls that it makes stand for all.
        let of = |action: &str, count: usize| if POLLED.contains(&action) { count.min(4) } else { count };
        let calls = calls.into_iter().flat_map(|(action, count)| {
            (0..of(&action, count)).map(move |occurrence| (action.clone(), occurrence))
        });
        for (call, fault) in calls.flat_map(|call| Fault::ALL.map(|fault| (call.clone(), fault))) {
            cases.push(Case {
                name: format!("case-{:04}", cases.len()),
                operation,
                fault: Some((call, fault)),
            });
        }
    }
    let all = cases.len();
    if std::env::var_os("ALL_FAULTS").is_none() {
        // The number of faults and that of the sample have no divisor in common: every fault is met.
        cases = cases.into_iter().step_by(SAMPLE).collect();
    }
    // What waits for half a minute and more comes first, so that none of it is left alone at the end.
    cases.sort_by_key(|case| !matches!(case.fault, Some((_, Fault::AnsweredTooLate))));
    let run = async |case: &Case| {
        let went = one(ground, case).await;
        if let Err(error) = &went {
            println!("{} {:?} with {:?}: {error:#}", case.name, case.operation, case.fault);
        }
        went
    };
    let results: Vec<Result<Went>> = stream::iter(&cases).map(run).buffer_unordered(AT_ONCE).collect().await;
    let wrong = results.iter().filter(|result| result.is_err()).count();
    let mut endings = BTreeMap::new();
    for went in results.into_iter().flatten() {
        *endings.entry(went.ending).or_insert(0) += 1;
    }
    let (count, killed) = (cases.len(), KILLED.load(Ordering::Relaxed));
    println!(
        "{count} of {all} cases of a fault at a call, {killed} functions killed; they ended in {endings:?}"
    );
    ensure!(wrong == 0, "{wrong} of {count} cases did not end as promised");
    ensure!(count > 200 && killed > 20, "only {count} cases ran, {killed} functions were killed");
    Ok(())
}

/// How a case went.
struct Went {
    /// Its ending.
    ending: String,
    /// How often each action was called.
    calls: BTreeMap<String, usize>,
}

/// Runs a case and checks what is left.
async fn one(ground: &Ground, case: &Case) -> Result<Went> {
    let site = Site::new(ground, &case.name).await?;
    let app = site.app(&case.name, &[RouteKind::SignedInHost], Forward::Weighted(BEFORE)).await?;
    let testers = site.testers(&app, 1, &case.name, false).await?;
    let _traffic = app.traffic(12);
    let before = app.actions(&app.routes[0]).await?;
    let armed = Arc::new(AtomicBool::new(case.operation != Operation::Restore));
    arm(ground, case, &armed);
    let calls_before = ground.alb.calls_len();
    let ended = execute(ground, &app, case.operation, &armed).await?;
    armed.store(false, Ordering::Relaxed);
    check(&app, case, &ended).await?;
    // The fleet that is the standby at the end, unless it could not be told.
    if ended.error.is_none() {
        let standby = usize::from(case.operation != Operation::Shift);
        let led = failover::aws::listener::groups(&app.actions(&testers).await?);
        ensure!(led == Some(vec![GroupWeight::new(&app.groups[standby], 100)]), "testers are led to {led:?}");
    }
    let desired = app.groups.iter().zip(app.weights().await?[0]).map(|(arn, w)| GroupWeight::new(arn, w));
    let expected = failover::aws::listener::with_weights(&before, &desired.collect::<Vec<_>>());
    let after = app.actions(&app.routes[0]).await?;
    ensure!(same(&after, &expected), "more than weights changed: {after:?}");
    let mut calls = BTreeMap::new();
    for call in ground.alb.calls_since(calls_before) {
        if call.parameters.iter().any(|(_, value)| value.contains(&case.name)) {
            *calls.entry(call.action.clone()).or_insert(0) += 1;
        }
    }
    Ok(Went { ending: ended.error.unwrap_or(ended.status), calls })
}

fn arm(ground: &Ground, case: &Case, armed: &Arc<AtomicBool>) {
    let Some(((action, occurrence), fault)) = case.fault.clone() else { return };
    let (armed, name, seen) = (Arc::clone(armed), case.name.clone(), AtomicUsize::new(0));
    let server = ground.alb.address();
    ground.fail(move |call: &CallInfo<'_>| {
        let ours = armed.load(Ordering::Relaxed)
            && call.action == action
            && call.parameters.iter().any(|(_, value)| value.contains(&name));
        let hit =
            ours && (occurrence..occurrence + fault.calls()).contains(&seen.fetch_add(1, Ordering::Relaxed));
        hit.then(|| fault.meet(call, server))
    });
}

async fn execute(
    ground: &Ground,
    app: &App<'_>,
    operation: Operation,
    armed: &Arc<AtomicBool>,
) -> Result<Ended> {
    let quick = |stages: &[u8]| json!({ "stages": stages, "bake": "1s" });
    match operation {
        Operation::Drain => run(ground, &input(app, "drain", json!({ "bake": "2s" }))).await,
        Operation::Shift => run(ground, &input(app, "shift", quick(&[100]))).await,
        Operation::Balance => run(ground, &input(app, "balance", quick(&[50]))).await,
        Operation::ShiftThatRollsBack => {
            let mut shift = input(app, "shift", quick(&[50, 100]));
            shift["bake"] = "10s".into();
            let mut execution = ground.execute(&shift).await?;
            // A fault may end the run before its first stage stands.
            if execution.until_stage(1).await.is_ok() {
                app.set(1, Behaviour::Dead);
            }
            execution.finish().await
        }
        Operation::Restore => {
            let mut shift = input(app, "shift", quick(&[50, 100]));
            shift["bake"] = "60s".into();
            let mut execution = ground.execute(&shift).await?;
            execution.until_stage(1).await?;
            armed.store(true, Ordering::Relaxed);
            execution.stop().await?;
            let restored = ground.restore_of(&execution.arn).await?.finish().await?;
            // A restore that cannot even make its plan has touched nothing; a person starts it again.
            if restored.error.as_deref() != Some("PlanRejected") {
                return Ok(restored);
            }
            armed.store(false, Ordering::Relaxed);
            run(ground, &json!({ "app": app.name, "operation": "restore" })).await
        }
    }
}

/// What the contract promises of each ending.
async fn check(app: &App<'_>, case: &Case, ended: &Ended) -> Result<()> {
    let weights = match ended.error.as_deref() {
        None if case.operation != Operation::ShiftThatRollsBack => case.operation.weights(),
        Some("RolesNotRecorded") => case.operation.weights(),
        Some("PlanRejected" | "RolledBack") if case.operation != Operation::Restore => BEFORE,
        _ => bail!("{} {:?}: {:?}", ended.status, ended.error, ended.cause),
    };
    let found = app.weights().await?;
    ensure!(found == [weights], "{:?} left {found:?} instead of {weights:?}", ended.error);
    let claim = app.claim().await?;
    ensure!(claim.is_none(), "{:?} left {claim:?}", ended.error);
    Ok(())
}

/// Whether two lists of actions are the same but for what only a write carries.
fn same(after: &[Action], expected: &[Action]) -> bool {
    let comparable = |actions: &[Action]| -> Vec<Action> {
        let mut actions = actions.to_vec();
        for action in &mut actions {
            if let Some(oidc) = action.authenticate_oidc_config.as_mut() {
                oidc.use_existing_client_secret = None;
            }
        }
        actions
    };
    comparable(after) == comparable(expected)
}
