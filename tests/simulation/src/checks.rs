//! What must hold after every run. The world knows the truth.
//!
//! Limits here are stated, not tuned: they say what a person may rely on.

mod limits;
mod said;
mod traffic;
mod words;

pub(crate) use limits::Limits;

use failover::model::hold::Held;
use model::replay::replay;
use scenario::Action;

use crate::plot::Incident;
use crate::run::{ABORTED, Scene, of_neighbour};
use crate::site::App;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the check.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

/// The name of the check that follows the model.
pub const OF_MODEL: &str = "every step is one of the model";

type Check = fn(&Scene<'_>) -> Option<String>;

/// Every check by its name.
pub(crate) const CHECKS: [(&str, Check); 12] = [
    ("what is drawn can be run", understood),
    ("it ends in time", limits::ends),
    ("it changes weights no more often than its plan", limits::changes),
    ("no success on a fleet that is plainly ill", traffic::success_on_an_ill_fleet),
    ("no overloaded split while the other fleet can carry more", traffic::overloaded),
    ("no weight for a dead fleet", traffic::weight_for_a_dead_fleet),
    ("weights, tags, notice and ending agree", words::agreement),
    ("what people read is what the balancer holds", said::holds),
    ("weights that somebody else has set stand", foreign_weights),
    ("no claim is left", claims),
    ("others are left alone", others),
    (OF_MODEL, of_model),
];

/// Everything that does not hold.
pub(crate) fn all(scene: &Scene<'_>) -> Vec<Broken> {
    CHECKS.iter().filter_map(|(check, find)| Some(Broken { check, found: find(scene)? })).collect()
}

/// A world whose input is refused proves nothing.
fn understood(scene: &Scene<'_>) -> Option<String> {
    let said = scene.report.said.as_str().unwrap_or_default();
    said.contains("Correct the input").then(|| said.to_owned())
}

/// Whether somebody else has set weights until some second.
fn touched(scene: &Scene<'_>, until: f64) -> bool {
    let set = |what: &Incident| matches!(what, Incident::Terraform | Incident::ByHand);
    scene.report.plot.incidents.iter().any(|(at, what)| set(what) && *at <= until) || rules_touched(scene)
}

/// Whether a scenario lets somebody else change rules of the app.
fn rules_touched(scene: &Scene<'_>) -> bool {
    let said = scene.report.plot.scenario.iter().flatten();
    said.flat_map(|moment| &moment.actions).any(|what| {
        matches!(what, Action::SomebodyElseSets(_) | Action::DeleteRoute { .. } | Action::NewRule { .. })
    })
}

/// A write that follows a check at once may overwrite what came in between: nothing can help that without a
/// compare-and-swap. Later ones must see it. In seconds.
const IN_BETWEEN: f64 = 15.0;

fn foreign_weights(scene: &Scene<'_>) -> Option<String> {
    let (at, _) = scene.report.plot.incidents.iter().find(|(_, what)| *what == Incident::ByHand)?;
    let cloud = scene.cloud;
    let overwritten =
        |change: &crate::cloud::Change| change.app == 0 && (0.01..IN_BETWEEN).contains(&(change.at - at));
    if *at > scene.report.seconds || scene.report.changes.iter().any(overwritten) {
        return None;
    }
    let weights: Vec<u32> =
        cloud.alb.weights(&cloud.site.apps[0].routes[0]).into_iter().map(|(_, weight)| weight).collect();
    (weights != Incident::BY_HAND)
        .then(|| format!("{:?} was set by hand, and became {weights:?}", Incident::BY_HAND))
}

/// Claims of what has ended and did not say so.
fn claims(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    // A stop of which no event came leaves a claim for a restore by hand.
    if report.ending == ABORTED || report.ending == "Endless" {
        return None;
    }
    let held: Vec<String> = scene.cloud.site.apps.iter().filter_map(|app| claim(scene, app)).collect();
    (!held.is_empty()).then(|| format!("{} left {held:?}", report.ending))
}

/// The claim of a run that has not given an app back: the one place that knows where claims are kept.
fn claim(scene: &Scene<'_>, app: &App) -> Option<String> {
    let claim = scene.cloud.alb.tags(app.lock()).get("failover:claim").cloned();
    claim.filter(|claim| !Held::parse(claim).reached.is_over())
}

/// What was seen is something that the model of claims, stops and restores does, and what holds in it holds here.
fn of_model(scene: &Scene<'_>) -> Option<String> {
    let trace = &scene.report.trace;
    let refused = replay(trace).err()?;
    Some(format!("step {} of {}: {}", refused.at + 1, trace.seen.len(), refused.why))
}

fn others(scene: &Scene<'_>) -> Option<String> {
    let now = of_neighbour(scene.cloud);
    if now != scene.before.neighbour {
        return Some(format!("{:?} became {now:?}", scene.before.neighbour));
    }
    // A rule that nobody has converted yet gets both groups.
    let expected = rules_touched(scene) || scene.report.plot.setup.fixed_on.is_some();
    (scene.rules != scene.before.rules && !expected)
        .then(|| format!("besides weights, {} became {}", scene.before.rules, scene.rules))
}
