//! What must hold after every run. The world knows the truth.
//!
//! Limits here are stated, not tuned: they say what a person may rely on.

use serde_json::json;

use crate::plot::{Incident, LIVE, MINUTE, STANDBY};
use crate::run::{Scene, of_neighbour};
use crate::world::lock;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The name of the check.
    pub check: &'static str,
    /// What was found.
    pub found: String,
}

type Check = fn(&Scene<'_>) -> Option<String>;

/// Every check by its name.
pub(crate) const CHECKS: [(&str, Check); 8] = [
    ("it ends in time", ends),
    ("it changes weights no more often than its plan", changes),
    ("no success on a fleet that is plainly ill", success_on_an_ill_fleet),
    ("no overloaded split while the other fleet can carry more", overloaded),
    ("no weight for a dead fleet", weight_for_a_dead_fleet),
    ("weights, tags, notice and ending agree", agreement),
    ("no claim is left", claims),
    ("others are left alone", others),
];

/// Everything that does not hold.
pub(crate) fn all(scene: &Scene<'_>) -> Vec<Broken> {
    CHECKS.iter().filter_map(|(check, find)| Some(Broken { check, found: find(scene)? })).collect()
}

/// With the defaults a shift is over in some 40 minutes: five stages with a bake of five whole periods, each
/// two to three minutes longer for CloudWatch. Twice that is left for rechecks and retries, and what
/// somebody asked to wait for. A rollback that is not let through is tried for two hours more.
const IN_TIME: f64 = 90.0 * MINUTE;
const STUCK: f64 = 130.0 * MINUTE;

fn ends(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    let asked: f64 = report
        .plot
        .incidents
        .windows(2)
        .filter(|pair| pair[0].1 == Incident::Ask("hold"))
        .map(|pair| pair[1].0 - pair[0].0)
        .sum();
    let stuck = if report.path.iter().any(|state| state == "RollBackOn") { STUCK } else { 0.0 };
    let most = IN_TIME + asked + stuck;
    (report.seconds > most).then(|| format!("{} after {:.0} min", report.ending, report.seconds / MINUTE))
}

/// Five stages, at most two rechecks of two changes each, and the way back; each on two routes, which are
/// two changes where one is written after the other.
const MOST_CHANGES: usize = 2 * (5 + 2 * 2 + 1);

fn changes(scene: &Scene<'_>) -> Option<String> {
    let others = scene.report.plot.incidents.iter().filter(|(_, what)| *what == Incident::Terraform).count();
    let made = scene.report.changes.len();
    (made > MOST_CHANGES + others).then(|| format!("{made} changes of what the fleets get"))
}

/// A fleet is plainly ill that fails this much more than it usually does, over so many whole minutes with
/// at least so many requests.
const PLAINLY: f64 = 0.1;
const FOR_MINUTES: usize = 8;
const OF_REQUESTS: u32 = 300;

fn success_on_an_ill_fleet(scene: &Scene<'_>) -> Option<String> {
    if scene.ended.is_err() {
        return None;
    }
    let world = lock(&scene.cloud.world);
    let failing = world.failing(FOR_MINUTES, OF_REQUESTS);
    let ill = |fleet: usize| failing[fleet].is_some_and(|share| share > PLAINLY + world.fleets[fleet].base);
    // What both depend on is no reason to leave either.
    let helpless = ill(LIVE) && ill(STANDBY) || common(scene);
    let found = [LIVE, STANDBY].into_iter().find(|fleet| world.shares[*fleet] > 0.0 && ill(*fleet))?;
    (!helpless).then(|| {
        let share = failing[found].unwrap_or_default() * 100.0;
        format!("{} while prod{} fails {share:.1} % of its requests", scene.report.ending, found + 1)
    })
}

/// Whether a trouble of this world strikes both fleets at its end.
fn common(scene: &Scene<'_>) -> bool {
    let at = scene.report.seconds;
    scene
        .report
        .plot
        .troubles
        .iter()
        .any(|t| t.on == [true; 2] && (t.felt(0, at) > 0.0 || t.felt(0, at - 300.0) > 0.0))
}

/// A split is overloaded where a fleet is asked for more than it can answer, for so many seconds.
const OVERLOADED_FOR: f64 = 10.0 * MINUTE;

fn overloaded(scene: &Scene<'_>) -> Option<String> {
    let world = lock(&scene.cloud.world);
    let changes = &scene.report.changes;
    let end = world.now - world.began;
    for (index, change) in changes.iter().enumerate() {
        let until = changes.get(index + 1).map_or(end, |next| next.at);
        if until - change.at < OVERLOADED_FOR {
            continue;
        }
        let at = change.at + OVERLOADED_FOR;
        let crowd = scene.report.plot.crowd.filter(|(from, _)| at >= *from).map_or(1.0, |(_, times)| times);
        let carries = [LIVE, STANDBY].map(|fleet| {
            let dead =
                scene.report.plot.troubles.iter().any(|t| t.what.dead > 0.0 && t.felt(fleet, at) > 0.0);
            let fleet = &world.fleets[fleet];
            if dead { 0.0 } else { f64::from(fleet.targets) * fleet.capacity }
        });
        let rate = scene.report.plot.rate * 0.9 * crowd;
        for (fleet, other) in [(LIVE, STANDBY), (STANDBY, LIVE)] {
            let (asked, spare) = (rate * change.shares[fleet], carries[other] - rate * change.shares[other]);
            let beyond = asked - carries[fleet];
            if beyond > 0.15 * asked && spare > beyond && asked * OVERLOADED_FOR > f64::from(OF_REQUESTS) {
                return Some(format!(
                    "prod{} is asked for {asked:.1} requests a second and carries {:.1} for {:.0} min, while prod{} \
                     has room for {spare:.1}",
                    fleet + 1,
                    carries[fleet],
                    (until - change.at) / MINUTE,
                    other + 1
                ));
            }
        }
    }
    None
}

fn weight_for_a_dead_fleet(scene: &Scene<'_>) -> Option<String> {
    let mut before = scene.report.plot.found.map(|percent| f64::from(percent) / 100.0);
    for change in &scene.report.changes {
        for (fleet, other) in [(LIVE, STANDBY), (STANDBY, LIVE)] {
            let more = change.shares[fleet] > before[fleet] + 1e-9;
            // Since the read a moment may have passed: only what the checks showed by then counts.
            if more && change.healthy[fleet] == 0 && change.healthy[other] > 0 && !foreign(scene, change.at) {
                return Some(format!(
                    "prod{} got {:.0} % at {:.0} s",
                    fleet + 1,
                    change.shares[fleet] * 100.0,
                    change.at
                ));
            }
        }
        before = change.shares;
    }
    None
}

/// Whether somebody else wrote the weights then.
fn foreign(scene: &Scene<'_>, at: f64) -> bool {
    scene
        .report
        .plot
        .incidents
        .iter()
        .any(|(when, what)| *what == Incident::Terraform && (when - at).abs() < 1.0)
}

fn agreement(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    let shares = lock(&scene.cloud.world).shares.map(|share| (share * 100.0).round());
    let found = report.plot.found.map(f64::from);
    let touched = report.plot.incidents.iter().any(|(_, what)| *what == Incident::Terraform);
    let stands = |wanted: [f64; 2], what: &str| {
        let same = alike(shares, wanted);
        (!same && !touched).then(|| format!("{what}, and the balancer holds {shares:?}"))
    };
    let wrong = match report.ending.as_str() {
        "Completed" => {
            let weights = &report.said["weights"];
            let said = ["prod1", "prod2"].map(|fleet| weights[fleet].as_f64().unwrap_or(-1.0));
            let live = report.said["live"].as_str().unwrap_or_default();
            let tagged = |route: &String| {
                scene.cloud.alb.tags(route).get("failover:live").is_some_and(|tag| tag == live)
            };
            let nothing = report.said["status"] == "unchanged";
            if !nothing && !touched && !scene.cloud.site.routes.iter().all(tagged) {
                Some(format!("the output says that {live} is live, and tags say something else"))
            } else if weights.is_object() {
                stands(said, &format!("the output says {said:?}"))
            } else {
                None
            }
        }
        "RolledBack" | "PlanRejected" => stands(found, &format!("{} from {found:?}", report.ending)),
        _ => None,
    };
    wrong.or_else(|| notice(scene))
}

/// Whole percent that are the same.
fn alike(one: [f64; 2], other: [f64; 2]) -> bool {
    one.iter().zip(other).all(|(one, other)| (one - other).abs() < 0.5)
}

/// The last notice of the execution says how it ended.
fn notice(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    // Of one that was stopped nothing tells but its restore, and one that had nothing to do says nothing.
    let silent = ["Aborted", "Endless"].contains(&report.ending.as_str())
        || report.ending == "PlanRejected"
        || report.said["status"] == "unchanged"
        || report.plot.crashes > 0.0
        || report.plot.control_plane.1 > 0.0;
    if silent {
        return None;
    }
    let notices = lock(&scene.cloud.notices);
    let mut details = notices.iter().filter_map(|entry| {
        let detail: serde_json::Value = serde_json::from_str(entry["Detail"].as_str()?).ok()?;
        (detail["execution"] == scene.execution && detail["moment"] == "end").then_some(detail)
    });
    let Some(last) = details.next_back() else {
        return Some(format!("{}, and nobody was told", report.ending));
    };
    if last["ending"] != json!(report.ending) {
        return Some(format!("{}, and the notice says {}", report.ending, last["ending"]));
    }
    let weights = last.get("weights").filter(|weights| weights.is_object())?;
    let shares = lock(&scene.cloud.world).shares.map(|share| (share * 100.0).round());
    let said = ["prod1", "prod2"].map(|fleet| weights[fleet].as_f64().unwrap_or(-1.0));
    (!alike(said, shares)).then(|| format!("the notice says {said:?}, and the balancer holds {shares:?}"))
}

/// Claims of what has ended, that nobody is about to remove.
fn claims(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    // A stop of which no event came leaves a claim for a restore by hand, and so may a function that crashes.
    let lost = report.ending == "Aborted" || report.ending == "Endless";
    if lost || report.plot.crashes > 0.0 || report.plot.control_plane.1 > 0.0 {
        return None;
    }
    let held = scene.cloud.site.routes.iter().filter_map(|route| claim(scene, route));
    let held: Vec<String> = held.collect();
    (!held.is_empty()).then(|| format!("{} left {held:?}", report.ending))
}

/// Whose claim a route carries: the one place that knows where claims are kept.
fn claim(scene: &Scene<'_>, route: &str) -> Option<String> {
    scene.cloud.alb.tags(route).get("failover:claim").cloned()
}

fn others(scene: &Scene<'_>) -> Option<String> {
    let now = of_neighbour(scene.cloud);
    (now != *scene.neighbour).then(|| format!("{:?} became {now:?}", scene.neighbour))
}
