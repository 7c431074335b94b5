//! What a run says of itself.

use serde_json::{Value, json};

use super::touched;
use crate::plot::{APPS, LIVE, STANDBY};
use crate::run::{ABORTED, Scene};
use crate::site::App;

pub(super) fn agreement(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    let touched = touched(scene, f64::INFINITY);
    let wrong = match report.ending.as_str() {
        "Completed" if report.said["status"] != "unchanged" => completed(scene, touched),
        "RolledBack" | "PlanRejected" if !touched => {
            let (now, found) = (percent(scene), &scene.run.found);
            let same =
                now.iter().zip(found).all(|(now, found)| alike(*now, found.map(|share| share * 100.0)));
            (!same).then(|| format!("{} from {found:?}, and the balancer holds {now:?}", report.ending))
        }
        _ => None,
    };
    wrong.or_else(|| notice(scene))
}

fn completed(scene: &Scene<'_>, touched: bool) -> Option<String> {
    let said = &scene.report.said;
    let live = said["live"].as_str().unwrap_or_default();
    let tagged =
        |app: &App| scene.cloud.alb.tags(app.lock()).get("failover:live").is_some_and(|tag| tag == live);
    if !touched && !scene.cloud.site.apps.iter().all(tagged) {
        return Some(format!("the output says that {live} is live, and tags say something else"));
    }
    let now = percent(scene);
    let stands = |(app, now): (usize, &[f64; 2])| {
        let weights =
            if said["weights"].is_object() { &said["weights"] } else { &said["weightsByApp"][APPS[app]] };
        let wanted = in_percent(weights)?;
        (!touched && !alike(*now, wanted))
            .then(|| format!("the output says {wanted:?}, and the balancer holds {now:?}"))
    };
    now.iter().enumerate().find_map(stands).or_else(|| restored(scene, &now, touched))
}

/// A restore puts back what was found, unless the run had come to its end.
fn restored(scene: &Scene<'_>, now: &[[f64; 2]], touched: bool) -> Option<String> {
    // The restore goes through that state as well.
    let path = &scene.report.path;
    let last = path.iter().rposition(|state| state == "PlanShift").unwrap_or(0);
    let done = path[..last].iter().any(|state| state == "SwapRoles");
    let found = &scene.run.found;
    let back = now.iter().zip(found).all(|(now, found)| alike(*now, found.map(|share| share * 100.0)));
    let ours = !touched && !scene.is_a_persons_restore();
    let wrong = scene.report.said["status"] == "restored" && !back && ours && !done;
    wrong.then(|| format!("restored from {found:?}, and the balancer holds {now:?}"))
}

/// What the fleets of each app get, in percent.
pub(super) fn percent(scene: &Scene<'_>) -> Vec<[f64; 2]> {
    scene.cloud.shares().into_iter().map(|shares| shares.map(|share| share * 100.0)).collect()
}

/// What is said of both fleets, if anything is.
fn in_percent(weights: &Value) -> Option<[f64; 2]> {
    weights.is_object().then(|| ["prod1", "prod2"].map(|fleet| weights[fleet].as_f64().unwrap_or(-1.0)))
}

/// Whole percent that are the same.
pub(super) fn alike(one: [f64; 2], other: [f64; 2]) -> bool {
    [LIVE, STANDBY].into_iter().all(|fleet| (one[fleet] - other[fleet]).abs() <= 0.5)
}

/// The last notice of the execution about its end.
pub(super) fn last_notice(scene: &Scene<'_>) -> Option<Value> {
    let notices = crate::world::lock(&scene.cloud.notices);
    let mut details = notices.iter().filter_map(|entry| {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str()?).ok()?;
        (detail["execution"] == scene.run.execution && detail["moment"] == "end").then_some(detail)
    });
    details.next_back()
}

/// The last notice of the execution says how it ended.
fn notice(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    // Of one that was stopped nothing tells but its restore, and one that had nothing to do says nothing.
    let silent = [ABORTED, "Endless", "PlanRejected"].contains(&report.ending.as_str())
        || report.said["status"] == "unchanged";
    if silent {
        return None;
    }
    let Some(last) = last_notice(scene) else {
        // It is sent once.
        return (!report.plot.loses()).then(|| format!("{}, and nobody was told", report.ending));
    };
    if last["ending"] != json!(report.ending) {
        return Some(format!("{}, and the notice says {}", report.ending, last["ending"]));
    }
    let said = in_percent(&last["weights"])?;
    let now = percent(scene);
    let same = touched(scene, f64::INFINITY) || now.iter().all(|now| alike(said, *now));
    (!same).then(|| format!("the notice says {said:?}, and the balancer holds {now:?}"))
}
