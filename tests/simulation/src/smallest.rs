//! The smallest world that still breaks a check: fewer faults, and a shorter run.

use serde_json::json;

use crate::plot::{APPS, Plot};
use crate::run::Stage;

type Change = Box<dyn Fn(&mut Plot)>;

/// A plot with as little in it as still breaks the same check, and what was left out of it.
pub fn smallest(stage: &Stage, plot: &Plot, check: &str) -> (Plot, Vec<&'static str>) {
    let breaks = |plot: &Plot| stage.run(plot.clone()).broken.iter().any(|broken| broken.check == check);
    let (mut least, mut left_out) = (plot.clone(), Vec::new());
    for (what, change) in changes(plot) {
        let mut fewer = least.clone();
        change(&mut fewer);
        if format!("{fewer:?}") != format!("{least:?}") && breaks(&fewer) {
            least = fewer;
            left_out.push(what);
        }
    }
    (least, left_out)
}

/// Everything that may be left out, the largest first. What was left out of a list is at its end.
fn changes(plot: &Plot) -> Vec<(&'static str, Change)> {
    let mut all: Vec<(&'static str, Change)> = Vec::new();
    let mut change = |what, change: Change| all.push((what, change));
    for index in (1..plot.inputs.len()).rev() {
        change("a run", Box::new(move |plot| plot.inputs.truncate(index)));
    }
    for number in 1..plot.apps.len() {
        let fewer = move |plot: &mut Plot| {
            plot.apps.truncate(number);
            for input in &mut plot.inputs {
                input["app"] = json!(&APPS[..plot.apps.len()]);
            }
        };
        change("apps", Box::new(fewer));
    }
    for stages in [json!([100]), json!([50, 100]), json!([10, 50, 100])] {
        let shorter = move |plot: &mut Plot| {
            for input in plot.inputs.iter_mut().filter(|input| input.get("operation").is_none()) {
                if input.get("stages").is_none() {
                    input["stages"] = stages.clone();
                }
            }
        };
        change("stages", Box::new(shorter));
    }
    for index in (0..plot.troubles.len()).rev() {
        change("a trouble", Box::new(move |plot| _ = plot.troubles.remove(index)));
    }
    for index in (0..plot.incidents.len()).rev() {
        change("an incident", Box::new(move |plot| _ = plot.incidents.remove(index)));
    }
    for index in (0..plot.stops.len()).rev() {
        change("a stop", Box::new(move |plot| _ = plot.stops.remove(index)));
    }
    change("the hook", Box::new(|plot| plot.hook = None));
    change("the crowd", Box::new(|plot| plot.crowd = None));
    change("unrest", Box::new(|plot| plot.unrest = 0.0));
    change("retries of clients", Box::new(|plot| plot.retries = 0.0));
    change("the neighbour", Box::new(|plot| plot.neighbour = 0.0));
    change("trouble of the control plane", Box::new(|plot| plot.control_plane = (0.03, 0.0)));
    change("crashes", Box::new(|plot| plot.crashes = 0.0));
    change("lateness of metrics", Box::new(|plot| plot.late = (30.0, 0.0)));
    all
}
