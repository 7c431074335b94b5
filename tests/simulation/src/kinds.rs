//! The kinds of worlds. New ones go to the end, so that a seed stays a kind for as long as may be.

mod machinery;
mod operations;

pub(crate) use machinery::HOOK;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;

use crate::draw::{between, count, factor};
use crate::fleet::Ailment;
use crate::plot::{DAY, LIVE, MINUTE, Plot, STANDBY, Trouble};

type Draw = fn(&mut Plot, &mut SmallRng);

/// Its name, whether the release is at fault, and what is drawn for it.
pub type Kind = (&'static str, bool, Draw);

/// Longer than any world goes on, before the run and after it, in seconds.
const ALWAYS: f64 = 90_000.0;

/// Every kind of world.
pub const KINDS: &[Kind] = &[
    ("all is well", false, |_, _| ()),
    ("fleets of unequal speed", false, |plot, rng| {
        plot.fleets[STANDBY].usual *= factor(rng, 0.7, 1.3);
        plot.fleets[STANDBY].targets = plot.fleets[LIVE].targets + 1;
        plot.fleets[LIVE].uneven = factor(rng, 1.0, 2.0);
    }),
    ("cold caches", false, |plot, rng| {
        let fleet = &mut plot.fleets[STANDBY];
        (fleet.cold_factor, fleet.warms_in) = (factor(rng, 1.3, 3.0), between(rng, 20.0, 120.0));
        fleet.warm = 0.0;
    }),
    ("two requests a minute", false, |plot, _| plot.rate = 2.0 / MINUTE),
    ("an incident in the history", false, |plot, rng| {
        let (ago, lasts) = (between(rng, 1200.0, 20_000.0), between(rng, 300.0, 3000.0));
        let what = Ailment { errors: factor(rng, 0.02, 0.5), ..Ailment::default() };
        plot.troubles.push(of_both(-ago, lasts, what));
        plot.history = i64::from(count(DAY));
    }),
    ("a neighbour that fails", false, |plot, rng| plot.neighbour = factor(rng, 3.0, 300.0)),
    ("a crowd", false, |plot, rng| plot.crowd = Some((between(rng, 0.0, 1800.0), factor(rng, 1.3, 3.0)))),
    ("batch jobs", false, |plot, rng| {
        let what = Ailment { slow: (between(rng, 0.02, 0.2), factor(rng, 2.0, 6.0)), ..Ailment::default() };
        let every = Some((between(rng, 600.0, 3600.0), between(rng, 60.0, 240.0)));
        plot.troubles.push(Trouble { every, ..of_both(-ALWAYS, 2.0 * ALWAYS, what) });
    }),
    ("errors", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment { errors: factor(rng, 0.01, 0.6), ..Ailment::default() });
    }),
    ("slow answers", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment {
            slow: (factor(rng, 0.1, 1.0), factor(rng, 2.0, 20.0)),
            ..Ailment::default()
        });
    }),
    ("requests that hang", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment { hangs: factor(rng, 0.01, 0.3), ..Ailment::default() });
    }),
    ("connections that break", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment { resets: factor(rng, 0.01, 0.3), ..Ailment::default() });
    }),
    ("the standby dies", true, |plot, rng| {
        fault(plot, rng, |_| Ailment { dead: 1.0, ..Ailment::default() });
    }),
    ("a target of the standby dies", true, |plot, rng| {
        let one = 1.0 / f64::from(plot.fleets[STANDBY].targets);
        fault(plot, rng, |_| Ailment { dead: one, ..Ailment::default() });
    }),
    ("a leak", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment { errors: factor(rng, 0.05, 0.6), ..Ailment::default() });
        if let Some(trouble) = plot.troubles.last_mut() {
            trouble.grows = between(rng, 300.0, 1500.0);
        }
    }),
    ("a fault that comes and goes", true, |plot, rng| {
        fault(plot, rng, |rng| Ailment { errors: factor(rng, 0.03, 0.6), ..Ailment::default() });
        if let Some(trouble) = plot.troubles.last_mut() {
            trouble.every = Some((between(rng, 120.0, 900.0), between(rng, 30.0, 100.0)));
        }
    }),
    ("the standby cannot carry all", true, |plot, rng| {
        // What it can carry, as a share of all traffic.
        let carries = between(rng, 0.3, 0.95);
        let fleet = &mut plot.fleets[STANDBY];
        fleet.capacity = plot.rate * carries / f64::from(fleet.targets);
    }),
    ("a drain onto too small a fleet", true, |plot, rng| {
        plot.inputs = vec![json!({ "app": "web", "operation": "drain", "standby": "prod2" })];
        plot.found = [50, 50];
        let carries = between(rng, 0.55, 0.9);
        let fleet = &mut plot.fleets[LIVE];
        fleet.capacity = plot.rate * carries / f64::from(fleet.targets);
    }),
    ("a fault at night", true, |plot, rng| {
        plot.rate = 2.0 / MINUTE;
        fault(plot, rng, |rng| Ailment { errors: between(rng, 0.3, 1.0), ..Ailment::default() });
    }),
    ("what both depend on fails for a while", false, |plot, rng| {
        let (from, lasts) = (between(rng, 0.0, 2400.0), between(rng, 120.0, 900.0));
        let what = Ailment { errors: factor(rng, 0.05, 0.8), ..Ailment::default() };
        plot.troubles.push(of_both(from, lasts, what));
    }),
    ("the live fleet dies", false, |plot, rng| {
        let what = Ailment { dead: 1.0, ..Ailment::default() };
        let from = between(rng, 60.0, 2400.0);
        plot.troubles.push(Trouble { on: [true, false], ..of_both(from, ALWAYS, what) });
    }),
    ("both fleets die for a while", false, |plot, rng| {
        let (from, lasts) = (between(rng, 60.0, 2400.0), between(rng, 60.0, 1200.0));
        plot.troubles.push(of_both(from, lasts, Ailment { dead: 1.0, ..Ailment::default() }));
    }),
    ("a slow control plane", false, |plot, rng| {
        plot.control_plane = (factor(rng, 0.1, 1.5), factor(rng, 0.005, 0.15));
    }),
    ("functions that crash", false, |plot, rng| plot.crashes = factor(rng, 0.005, 0.1)),
    ("somebody stops the run", false, machinery::stopped),
    ("terraform in the middle", false, machinery::terraform),
    ("people who ask", false, machinery::asked),
    ("a whole cycle", false, operations::cycle),
    ("a balance", false, operations::balance),
    ("a balance onto a fleet that fails", true, |plot, rng| {
        operations::balance(plot, rng);
        fault(plot, rng, |rng| Ailment { errors: factor(rng, 0.02, 0.6), ..Ailment::default() });
    }),
    ("a failback", false, operations::failback),
    ("a failback while both are ill", true, operations::failback_of_both),
    ("a fault found after the shift", false, operations::found_later),
    ("several apps", false, operations::several),
    ("one of several apps fails", true, |plot, rng| {
        operations::several(plot, rng);
        fault(plot, rng, |rng| Ailment { errors: factor(rng, 0.02, 0.6), ..Ailment::default() });
        let apps = plot.apps.len();
        if let Some(trouble) = plot.troubles.last_mut() {
            trouble.app = Some(rng.random_range(0..apps));
        }
    }),
    ("several apps, and the run is stopped", false, |plot, rng| {
        operations::several(plot, rng);
        machinery::stopped(plot, rng);
    }),
    ("a stop while it writes", false, machinery::stopped_writing),
    ("the restore is stopped as well", false, |plot, rng| {
        machinery::stopped_writing(plot, rng);
        machinery::stopped_writing(plot, rng);
    }),
    ("a stop of which no event comes", false, machinery::stopped_unseen),
    ("a hook", false, machinery::hook),
    ("failures in clusters", false, |plot, rng| {
        let what = Ailment { errors: factor(rng, 0.01, 0.2), ..Ailment::default() };
        let every = Some((between(rng, 200.0, 1500.0), between(rng, 15.0, 90.0)));
        plot.troubles.push(Trouble { every, ..of_both(-ALWAYS, 2.0 * ALWAYS, what) });
    }),
    ("somebody else sets the weights", false, machinery::by_hand),
    ("several things at once", true, operations::together),
];

/// A trouble of both fleets of all apps.
fn of_both(from: f64, lasts: f64, what: Ailment) -> Trouble {
    Trouble { on: [true; 2], from, until: from + lasts, app: None, every: None, grows: 0.0, what }
}

/// A fault of the standby: there from the beginning, or from some moment of the run on.
fn fault(plot: &mut Plot, rng: &mut SmallRng, what: impl FnOnce(&mut SmallRng) -> Ailment) {
    let at_once = rng.random::<f64>() < 0.5;
    let from = if at_once { -3600.0 } else { between(rng, 60.0, 2000.0) };
    // Nobody starts a run onto a fleet that is known to be dead.
    let what = what(rng);
    let from = if what.dead > 0.0 { from.abs().min(2000.0) } else { from };
    plot.troubles.push(Trouble { on: [false, true], ..of_both(from, ALWAYS, what) });
}
