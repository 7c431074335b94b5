//! Worlds of other operations than one shift of one app.

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use super::{ALWAYS, KINDS, of_both};
use crate::draw::{between, chance, factor};
use crate::fleet::Ailment;
use crate::plot::{APPS, Plot, Trouble};

fn operation(name: &str) -> Value {
    json!({ "app": "web", "operation": name })
}

/// From an even split to an even split with the roles reversed.
pub(super) fn cycle(plot: &mut Plot, _: &mut SmallRng) {
    plot.found = [50, 50];
    let drain = json!({ "app": "web", "operation": "drain", "standby": "prod2" });
    plot.inputs = vec![drain, operation("shift"), operation("balance")];
}

pub(super) fn balance(plot: &mut Plot, _: &mut SmallRng) {
    plot.inputs = vec![operation("balance")];
}

/// The live fleet is ill, and the other one is well.
pub(super) fn failback(plot: &mut Plot, rng: &mut SmallRng) {
    plot.inputs = vec![operation("failback")];
    let what = Ailment { errors: factor(rng, 0.05, 0.8), ..Ailment::default() };
    let from = -between(rng, 120.0, 3000.0);
    plot.troubles.push(Trouble { on: [true, false], ..of_both(from, ALWAYS, what) });
}

/// What is wrong is wrong with both, so that neither of them is worth going to.
pub(super) fn failback_of_both(plot: &mut Plot, rng: &mut SmallRng) {
    failback(plot, rng);
    let what = Ailment { errors: factor(rng, 0.05, 0.8), ..Ailment::default() };
    plot.troubles.push(Trouble { on: [false, true], ..of_both(-3600.0, ALWAYS, what) });
}

/// A shift goes well, its release fails some time later, and somebody goes back.
pub(super) fn found_later(plot: &mut Plot, rng: &mut SmallRng) {
    plot.inputs = vec![operation("shift"), operation("failback")];
    let what = Ailment { errors: factor(rng, 0.05, 0.8), ..Ailment::default() };
    plot.troubles.push(Trouble { on: [false, true], ..of_both(between(rng, 2700.0, 3300.0), ALWAYS, what) });
}

/// Two to four, of unequal size, in lockstep.
pub(super) fn several(plot: &mut Plot, rng: &mut SmallRng) {
    let apps = rng.random_range(2..=APPS.len());
    plot.apps = (0..apps).map(|_| factor(rng, 0.2, 2.0)).collect();
    for input in &mut plot.inputs {
        input["app"] = json!(&APPS[..apps]);
    }
}

/// Two or three kinds in one world.
pub(super) fn together(plot: &mut Plot, rng: &mut SmallRng) {
    let number = if chance(rng, 0.5) { 2 } else { 3 };
    // The last kind is this one.
    let kinds = &KINDS[..KINDS.len() - 1];
    plot.guilty = false;
    for _ in 0..number {
        let (_, guilty, make) = kinds[rng.random_range(0..kinds.len())];
        make(plot, rng);
        plot.guilty |= guilty;
    }
}
