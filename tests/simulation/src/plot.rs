//! What a seed makes of a world: which kind it is, and how mild or wild.

use jiff::Timestamp;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::draw::{between, chance, factor, generator};
use crate::fleet::{Ailment, Fleet};

/// The fleet that is live when a run begins, and the other one. Both are numbers of fleets.
pub const LIVE: usize = 0;
/// See [`LIVE`].
pub const STANDBY: usize = 1;

/// Seconds of a minute.
pub const MINUTE: f64 = 60.0;

/// What happens to fleets, for some time.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Which fleets it strikes.
    pub on: [bool; 2],
    /// Since when, in seconds after the start of the run.
    pub from: f64,
    /// Until when.
    pub until: f64,
    /// How long one round takes where it comes and goes, and how much of it is bad.
    pub every: Option<(f64, f64)>,
    /// Over how many seconds it grows to its full size.
    pub grows: f64,
    /// Its full size.
    pub what: Ailment,
}

impl Trouble {
    /// How much of it a fleet feels, `at` seconds after the start.
    pub fn felt(&self, fleet: usize, at: f64) -> f64 {
        if !self.on[fleet] || at < self.from || at >= self.until {
            return 0.0;
        }
        let since = at - self.from;
        let bad = self.every.is_none_or(|(round, lasts)| since.rem_euclid(round) < lasts);
        let grown = if self.grows > 0.0 { (since / self.grows).min(1.0) } else { 1.0 };
        if bad { grown } else { 0.0 }
    }
}

/// Something that happens once, to the machinery instead of the fleets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// Somebody stops the execution. Whether the event of it arrives.
    Stop {
        /// Whether `EventBridge` starts the restore.
        event_arrives: bool,
    },
    /// Infrastructure code puts the weights of a route as its files have them: all on the live fleet.
    Terraform,
    /// A person asks for something by the request tag.
    Ask(&'static str),
}

/// A world, drawn.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it follows from.
    pub seed: u64,
    /// The kind of world, as the table of the page names it.
    pub kind: &'static str,
    /// Whether the release on the standby, or its fleet, is at fault.
    pub guilty: bool,
    /// What the execution is started with.
    pub input: Value,
    /// What both fleets get before the run, in percent.
    pub found: [u32; 2],
    /// When the run begins.
    pub begins: Timestamp,
    /// Requests a second on average.
    pub rate: f64,
    /// The spread of the logarithm of the rate from step to step.
    pub unrest: f64,
    /// By how much the rate is multiplied from a moment on.
    pub crowd: Option<(f64, f64)>,
    /// How many of the requests that fail are sent again.
    pub retries: f64,
    /// The fleets.
    pub fleets: [Fleet; 2],
    /// What happens to them.
    pub troubles: Vec<Trouble>,
    /// What happens to the machinery, by seconds after the start.
    pub incidents: Vec<(f64, Incident)>,
    /// 503s a minute that the balancer answers to requests of other apps.
    pub neighbour: f64,
    /// How late minutes appear in CloudWatch, in seconds, and how long they are incomplete then.
    pub late: (f64, f64),
    /// How long a call of AWS takes in seconds, and the share that is refused for a moment.
    pub control_plane: (f64, f64),
    /// The share of invocations that crash.
    pub crashes: f64,
}

type Draw = fn(&mut Plot, &mut SmallRng);

/// Every kind of world: its name, whether the release is at fault, and what is drawn for it.
pub const KINDS: &[(&str, bool, Draw)] = &[
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
        plot.troubles.push(Trouble {
            on: [true; 2],
            from: -ago,
            until: lasts - ago,
            every: None,
            grows: 0.0,
            what,
        });
    }),
    ("a neighbour that fails", false, |plot, rng| plot.neighbour = factor(rng, 3.0, 300.0)),
    ("a crowd", false, |plot, rng| plot.crowd = Some((between(rng, 0.0, 1800.0), factor(rng, 1.3, 3.0)))),
    ("batch jobs", false, |plot, rng| {
        let what = Ailment { slow: (between(rng, 0.02, 0.2), factor(rng, 2.0, 6.0)), ..Ailment::default() };
        let every = Some((between(rng, 600.0, 3600.0), between(rng, 60.0, 240.0)));
        plot.troubles.push(Trouble {
            on: [true; 2],
            from: -90_000.0,
            until: 90_000.0,
            every,
            grows: 0.0,
            what,
        });
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
        plot.input["operation"] = json!("drain");
        plot.input["standby"] = json!("prod2");
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
        plot.troubles.push(Trouble {
            on: [true; 2],
            from,
            until: from + lasts,
            every: None,
            grows: 0.0,
            what,
        });
    }),
    ("the live fleet dies", false, |plot, rng| {
        let from = between(rng, 60.0, 2400.0);
        let what = Ailment { dead: 1.0, ..Ailment::default() };
        plot.troubles.push(Trouble {
            on: [true, false],
            from,
            until: 90_000.0,
            every: None,
            grows: 0.0,
            what,
        });
    }),
    ("both fleets die for a while", false, |plot, rng| {
        let (from, lasts) = (between(rng, 60.0, 2400.0), between(rng, 60.0, 1200.0));
        let what = Ailment { dead: 1.0, ..Ailment::default() };
        plot.troubles.push(Trouble {
            on: [true; 2],
            from,
            until: from + lasts,
            every: None,
            grows: 0.0,
            what,
        });
    }),
    ("a slow control plane", false, |plot, rng| {
        plot.control_plane = (factor(rng, 0.1, 1.5), factor(rng, 0.005, 0.15));
    }),
    ("functions that crash", false, |plot, rng| plot.crashes = factor(rng, 0.005, 0.1)),
    ("somebody stops the run", false, |plot, rng| {
        let event_arrives = chance(rng, 0.8);
        plot.incidents.push((between(rng, 1.0, 2400.0), Incident::Stop { event_arrives }));
    }),
    ("terraform in the middle", false, |plot, rng| {
        plot.incidents.push((between(rng, 1.0, 2400.0), Incident::Terraform));
    }),
    ("people who ask", false, |plot, rng| {
        let from = between(rng, 60.0, 1500.0);
        let what = if chance(rng, 0.5) { "hold" } else { "rollBack" };
        plot.incidents.push((from, Incident::Ask(what)));
        if what == "hold" {
            plot.incidents.push((from + between(rng, 60.0, 1200.0), Incident::Ask("nothing")));
        }
    }),
];

/// A fault of the standby: there from the beginning, or from some moment of the run on.
fn fault(plot: &mut Plot, rng: &mut SmallRng, what: impl FnOnce(&mut SmallRng) -> Ailment) {
    let at_once = chance(rng, 0.5);
    let from = if at_once { -3600.0 } else { between(rng, 60.0, 2000.0) };
    // Nobody starts a run onto a fleet that is known to be dead.
    let what = what(rng);
    let from = if what.dead > 0.0 { from.abs().min(2000.0) } else { from };
    plot.troubles.push(Trouble { on: [false, true], from, until: 90_000.0, every: None, grows: 0.0, what });
}

/// The world of a seed.
pub fn draw(seed: u64) -> Plot {
    let rng = &mut generator(seed, "plot");
    let kinds = u64::try_from(KINDS.len()).unwrap_or(1);
    let (kind, guilty, make) = KINDS[usize::try_from(seed % kinds).unwrap_or(0)];
    let mut plot = calm(seed, rng);
    (plot.kind, plot.guilty) = (kind, guilty);
    make(&mut plot, rng);
    plot
}

/// A world in which all is well.
fn calm(seed: u64, rng: &mut SmallRng) -> Plot {
    let rate = factor(rng, 1.0, 100.0);
    let targets = if chance(rng, 0.5) { 2 } else { 4 };
    let usage = between(rng, 0.2, 0.6);
    let usual = factor(rng, 0.02, 0.3);
    let base = factor(rng, 0.000_01, 0.003);
    let fleet = Fleet {
        targets,
        capacity: rate / usage / f64::from(targets),
        usual,
        uneven: 1.0,
        base,
        client_errors: factor(rng, 0.001, 0.05),
        cold_factor: 1.0,
        cold_errors: 0.0,
        warms_in: MINUTE,
        warm: rate,
        since: f64::NEG_INFINITY,
        dead: 0,
        unhealthy: 0,
        load: 0.0,
    };
    let hour = between(rng, 0.0, 24.0);
    let begins = 1_800_000_000.0 + (hour * 3600.0).round() + (between(rng, 0.0, 600.0)).round();
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
    let begins = Timestamp::from_second(begins as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    Plot {
        seed,
        kind: "",
        guilty: false,
        input: json!({ "app": "web" }),
        found: [100, 0],
        begins,
        rate,
        unrest: between(rng, 0.0, 0.15),
        crowd: None,
        retries: if chance(rng, 0.3) { between(rng, 0.0, 1.0) } else { 0.0 },
        fleets: [fleet.clone(), fleet],
        troubles: Vec::new(),
        incidents: Vec::new(),
        neighbour: 0.0,
        late: (between(rng, 20.0, 100.0), between(rng, 0.0, 60.0)),
        control_plane: (0.03, 0.0),
        crashes: 0.0,
    }
}
