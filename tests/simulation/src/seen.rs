//! What is seen of a run, put into the words of [`model`], and whether the model does the same.

use std::sync::MutexGuard;

use failover::model::hold;
use model::execution::{Ending, Step};
use model::fences::Fences;
use model::protocol::Protocol;
use model::trace::{Balancer, Seen, Trace};
use model::world::{ExecutionId, Held, MOST_ROUTES, Weights};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::machine::Ended;
use crate::run::ABORTED;
use crate::world::lock;

tokio::task_local! {
    /// The execution whose function is at work.
    pub(crate) static BY: String;
}

/// Functions that the model knows, by their names.
const STEPS: [(&str, Step); 7] = [
    ("plan-shift", Step::PlanShift),
    ("claim-routes", Step::ClaimRoutes),
    ("set-weights", Step::SetWeights),
    ("check-metrics", Step::CheckMetrics),
    ("swap-roles", Step::SwapRoles),
    ("roll-back", Step::RollBack),
    ("release-routes", Step::ReleaseRoutes),
];

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Watched {
    /// Executions as the model counts them: those of the world's inputs, then the restores, one for each stop.
    executions: Vec<String>,
    /// What each of the world's inputs was planned to do.
    plans: Vec<Option<Value>>,
    /// How often a function of an execution was invoked, to tell its newest invocation from others.
    invoked: Vec<usize>,
    before: Option<Balancer>,
    begins: Option<Balancer>,
    seen: Vec<Seen>,
}

/// An invocation that the model knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invoked {
    by: ExecutionId,
    step: Step,
    number: usize,
}

impl Watched {
    fn id(&self, execution: &str) -> Option<ExecutionId> {
        let place = self.executions.iter().position(|known| known == execution)?;
        u8::try_from(place).ok().map(ExecutionId)
    }
}

impl Cloud {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.seen)
    }

    /// From now on executions of these names, one for each input, are watched.
    pub(crate) fn watch(&self, executions: Vec<String>) {
        let mut watched = self.watched();
        watched.plans = vec![None; executions.len()];
        watched.invoked = vec![0; executions.len()];
        watched.executions = executions;
        let now = self.balancer(&watched);
        (watched.before, watched.begins) = (Some(now), Some(now));
    }

    /// What the balancer holds, in the words of the model.
    fn balancer(&self, watched: &Watched) -> Balancer {
        let mut now = Balancer { routes: [Weights(0); MOST_ROUTES], claims: [None; MOST_ROUTES] };
        if watched.executions.is_empty() {
            return now;
        }
        for (place, route) in self.site.apps.iter().flat_map(|app| &app.routes).enumerate() {
            let weights = self.alb.weights(route);
            let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
            let second: u32 =
                weights.iter().filter(|(group, _)| group.contains("-02-tg")).map(|(_, weight)| weight).sum();
            now.routes[place] = Weights(u8::try_from(second * 100 / sum.max(1)).unwrap_or(u8::MAX));
        }
        for (place, app) in self.site.apps.iter().enumerate() {
            let claim = self.alb.tags(app.lock()).get("failover:claim").map(|claim| hold::Held::parse(claim));
            now.claims[place] =
                claim.and_then(|held| Some(Held { by: watched.id(&held.execution)?, reached: held.reached }));
        }
        now
    }

    /// Something may have been written, by the execution whose function is at work, or by somebody else.
    pub(crate) fn note_write(&self) {
        let mut watched = self.watched();
        let now = self.balancer(&watched);
        if watched.before != Some(now) {
            watched.before = Some(now);
            let by = BY.try_with(|by| watched.id(by)).ok().flatten();
            watched.seen.push(Seen::Changes(by, now));
        }
    }

    /// A function begins.
    pub(crate) fn note_invoked(&self, execution: &str, function: &str) -> Option<Invoked> {
        let (_, step) = STEPS.iter().find(|(name, _)| *name == function)?;
        let mut watched = self.watched();
        let by = watched.id(execution)?;
        let number = &mut watched.invoked[usize::from(by.0)];
        *number += 1;
        let invoked = Invoked { by, step: *step, number: *number };
        watched.seen.push(Seen::Begins(by, *step));
        Some(invoked)
    }

    /// It has answered, or failed. One that was begun again meanwhile is not heard any more.
    pub(crate) fn note_answer(&self, invoked: Option<Invoked>, answer: Option<&str>) {
        let Some(Invoked { by, step, number }) = invoked else { return };
        let mut watched = self.watched();
        if watched.invoked[usize::from(by.0)] != number {
            return;
        }
        let place = usize::from(by.0);
        if let (Step::PlanShift, Some(answer), true) = (step, answer, place < watched.plans.len()) {
            watched.plans[place] = serde_json::from_str(answer).ok();
        }
        let seen = if answer.is_some() { Seen::Answers(by, step) } else { Seen::Fails(by, step) };
        watched.seen.push(seen);
    }

    /// An execution is over: stopped, so that its restore is what comes next, or by an ending of its own.
    pub(crate) fn note_end(&self, execution: &str, restore: String, ended: &Ended) {
        let mut watched = self.watched();
        let Some(id) = watched.id(execution) else { return };
        if ended.as_ref().is_err_and(|failure| failure.error == ABORTED) {
            watched.executions.push(restore);
            watched.invoked.push(0);
            watched.seen.push(Seen::Stops(id));
        } else if let Some(ending) = ending(ended, usize::from(id.0) >= watched.plans.len()) {
            watched.seen.push(Seen::Ends(id, ending));
        }
    }

    /// What was seen, and what the model is to make of it.
    pub(crate) fn trace(&self) -> Trace {
        let watched = self.watched();
        let plans = watched.plans.iter().map(|planned| planned.as_ref().map(|planned| &planned["plan"]));
        let stages = |plan: Option<&Value>| {
            let stages = plan.and_then(|plan| plan["stages"].as_array()).into_iter().flatten();
            stages.map(|stage| share(plan, &stage["standbyPercent"])).collect()
        };
        // What is drawn together may leave some apps of the world alone: then its inputs name the first ones.
        let of_plan = |plan: &Value| plan["apps"].as_array().map_or(0, Vec::len);
        let apps = plans.clone().flatten().map(of_plan).max().unwrap_or(self.site.apps.len());
        let protocol = Protocol {
            routes: self.site.apps[..apps].iter().map(|app| app.routes.len()).sum(),
            apps,
            start: watched.begins.map_or([Weights(0); MOST_ROUTES], |begins| begins.routes),
            wants: plans.clone().map(stages).collect(),
            rechecks: plans
                .map(|plan| share(plan, &plan.unwrap_or(&Value::Null)["criteria"]["recheckPercent"]))
                .collect(),
            stops: u8::MAX,
            crashes: u8::MAX,
            foreigner: true,
            strips: false,
            refusals: true,
            elsewhere: vec![Weights(0), Weights(100)],
            halts: true,
            fences: Fences::ALL,
        };
        Trace { protocol, seen: watched.seen.clone() }
    }
}

/// What the second fleet gets where the standby of a plan gets so many percent.
fn share(plan: Option<&Value>, standby: &Value) -> Weights {
    let percent = standby.as_f64().unwrap_or(0.0);
    let of_second = plan.is_some_and(|plan| plan["standby"] == "prod2");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "percent")]
    Weights((if of_second { percent } else { 100.0 - percent }) as u8)
}

/// An ending in the words of the model, which knows fewer.
fn ending(ended: &Ended, restore: bool) -> Option<Ending> {
    match ended {
        Ok(output) if output["status"] == "unchanged" => Some(Ending::Unchanged),
        Ok(_) if restore => Some(Ending::Restored),
        Ok(_) => Some(Ending::Success),
        Err(failure) => match failure.error.as_str() {
            "PlanRejected" => Some(Ending::PlanRejected),
            "RolledBack" => Some(Ending::RolledBack),
            "FailedOver" => Some(Ending::FailedOver),
            "ExternalChange" => Some(Ending::ExternalChange),
            "RollBackFailed" | "Halted" => Some(Ending::RollBackFailed),
            "RolesNotRecorded" => Some(Ending::RolesNotRecorded),
            _ => None,
        },
    }
}
