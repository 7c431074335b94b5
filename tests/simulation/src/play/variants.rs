//! The same evenings otherwise: in the other direction, with more or fewer users, with two apps at once,
//! slow where they fail, with one target that is too small.

use scenario::{Action, Behaves, Scenario, Seconds, Weights};
use serde_json::json;

use crate::plot::{APPS, Plot};

/// A scenario in which each fleet plays the other's part, from the text of its file.
///
/// # Errors
/// Where the text is no scenario.
pub fn mirrored(text: &str) -> Result<Scenario, String> {
    let read = |text: &str| Scenario::parse(text).map_err(|error| format!("{error:#}"));
    let Weights { prod1, prod2 } = read(text)?.app.weights;
    let mut scenario = read(&text.replace("prod1", "\0").replace("prod2", "prod1").replace('\0', "prod2"))?;
    scenario.app.weights = Weights { prod1: prod2, prod2: prod1 };
    Ok(scenario)
}

/// Does something to whatever happens in a scenario.
fn to_each_action(scenario: &Scenario, change: impl Fn(&mut Action)) -> Scenario {
    let mut scenario = scenario.clone();
    for run in &mut scenario.runs {
        let meanwhile = run.meanwhile.iter_mut().flat_map(|moment| &mut moment.actions);
        run.before.iter_mut().chain(meanwhile).for_each(&change);
    }
    scenario
}

/// A scenario with so many times the users, and fleets that carry as many times more.
#[must_use]
pub fn with_traffic(scenario: &Scenario, times: f64) -> Scenario {
    let mut scenario = to_each_action(scenario, |action| scale(action, times));
    scenario.users.rate *= times;
    scenario
}

fn scale(action: &mut Action, times: f64) {
    match action {
        Action::Fleet { behaves: Behaves::Capacity { per_second }, .. } => *per_second *= times,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some requests")]
        Action::Neighbour { rate, .. } => *rate = (f64::from(*rate) * times) as u32,
        _ => {}
    }
}

/// A scenario in which as many requests are answered so much later as fail otherwise; nothing where none would.
#[must_use]
pub fn slow(scenario: &Scenario, seconds: Seconds) -> Option<Scenario> {
    let fails = |action: &Action| match action {
        Action::Fleet { behaves: Behaves::Errors { percent } | Behaves::Resets { percent }, .. } => {
            Some(*percent)
        }
        _ => None,
    };
    super::actions(scenario).find_map(fails)?;
    Some(to_each_action(scenario, |action| {
        let percent = fails(action);
        if let (Some(percent), Action::Fleet { behaves, .. }) = (percent, action) {
            *behaves = Behaves::Slow { percent, seconds };
        }
    }))
}

/// Whether a scenario limits what a fleet carries.
#[must_use]
pub fn limits_capacity(scenario: &Scenario) -> bool {
    super::actions(scenario)
        .any(|action| matches!(action, Action::Fleet { behaves: Behaves::Capacity { .. }, .. }))
}

/// The same world where requests that are more than a fleet carries wait for it, and none is refused.
#[must_use]
pub fn with_queues(mut plot: Plot) -> Plot {
    plot.fleets.iter_mut().for_each(|fleet| fleet.queues = true);
    plot
}

/// The same world where only one of the two targets of a fleet is too small.
#[must_use]
pub fn with_one_small_target(mut plot: Plot) -> Plot {
    plot.fleets.iter_mut().for_each(|fleet| fleet.limited = 1.0 / f64::from(super::TARGETS));
    plot
}

/// The same world with a second app that is well, as busy as the first, and moves in lockstep with it.
#[must_use]
pub fn in_lockstep(mut plot: Plot) -> Plot {
    plot.apps = vec![1.0; 2];
    for trouble in &mut plot.troubles {
        trouble.app = Some(0);
    }
    for input in &mut plot.inputs {
        input["app"] = json!(&APPS[..2]);
    }
    plot
}
