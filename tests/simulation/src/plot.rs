//! What a seed makes of a world: which kind it is, and how mild or wild.

use jiff::Timestamp;
use rand::rngs::SmallRng;
use scenario::{Action, Load, RouteKind, Setup};
use serde_json::{Value, json};

use crate::draw::{between, chance, count, factor, generator};
use crate::fleet::{Ailment, Fleet};
use crate::kinds::KINDS;
use crate::lie::Lie;

/// The fleet that is live when a run begins, and the other one. Both are numbers of fleets.
pub const LIVE: usize = 0;
/// See [`LIVE`].
pub const STANDBY: usize = 1;

/// Minutes of a day.
pub const DAY: f64 = 1440.0;

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
    /// The app whose fleets it strikes; those of all where nothing is said.
    pub app: Option<usize>,
    /// How long one round takes where it comes and goes, and how much of it is bad.
    pub every: Option<(f64, f64)>,
    /// Over how many seconds it grows to its full size.
    pub grows: f64,
    /// Its full size.
    pub what: Ailment,
}

impl Trouble {
    /// One of one fleet that is there from a moment on.
    pub fn of_fleet(fleet: usize, from: f64, what: Ailment) -> Self {
        let on = [fleet == LIVE, fleet == STANDBY];
        Self { on, from, until: f64::INFINITY, app: None, every: None, grows: 0.0, what }
    }

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

/// Somebody stops an execution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// When.
    pub at: When,
    /// After how many seconds its restore begins: at once by the event, or later by a person where the
    /// event was lost; never where nothing is said.
    pub restored_after: Option<f64>,
}

/// A moment of an execution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So many seconds after its start.
    Seconds(f64),
    /// As the so manieth of its writes is on its way.
    Write(usize),
    /// So many seconds after it has set weights for the time of this number, the first being 1.
    Stage(usize, f64),
}

/// Something that a scenario says.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The number of the run, the first being 0.
    pub run: usize,
    /// When in that run; as soon as the one before is over where nothing is said.
    pub at: Option<When>,
    /// What happens, in order.
    pub actions: Vec<Action>,
}

/// What the team's own function says at a moment of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hook {
    /// The moment, as the input names it.
    pub moment: &'static str,
    /// What it answers, after how many seconds; it crashes where nothing is said.
    pub says: Option<&'static str>,
    /// How long that takes in seconds.
    pub after: f64,
}

/// Something that happens once, to the machinery instead of the fleets.
#[derive(Clone, Debug, PartialEq)]
pub enum Incident {
    /// Infrastructure code puts the weights of a route as its files have them: all on the live fleet.
    Terraform,
    /// A person sets weights that no run would set.
    ByHand,
    /// A person asks for something by the request tag.
    Ask(&'static str),
}

impl Incident {
    /// What [`Incident::ByHand`] sets.
    pub const BY_HAND: [u32; 2] = [63, 37];
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
    /// What executions are started with. Each waits for the one before, and is left out where that failed.
    pub inputs: Vec<Value>,
    /// The apps that move in lockstep: the rate of each, as a factor of [`Plot::rate`].
    pub apps: Vec<f64>,
    /// What leads to each app, and how it forwards before the run, but for the weights.
    pub setup: Setup,
    /// What both fleets get before the run, in percent.
    pub found: [u32; 2],
    /// When the run begins.
    pub begins: Timestamp,
    /// How many minutes before it CloudWatch knows, at most a day: that is as far as a run looks back.
    pub history: i64,
    /// Requests a second on average.
    pub rate: f64,
    /// The spread of the logarithm of the rate from step to step.
    pub unrest: f64,
    /// By how much the rate is multiplied, in minutes for seconds: crowds that come again and again, and drift.
    pub load: Load,
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
    /// Who is stopped: the first execution, its restore, the restore of that, and so on.
    pub stops: Vec<Stop>,
    /// What the team's own function says.
    pub hook: Option<Hook>,
    /// 503s a minute that the balancer answers to requests of other apps.
    pub neighbour: f64,
    /// How late minutes appear in CloudWatch, in seconds, and how long they are incomplete then.
    pub late: (f64, f64),
    /// How long a call of AWS takes in seconds, and the share that is refused for a moment.
    pub control_plane: (f64, f64),
    /// The share of invocations that crash.
    pub crashes: f64,
    /// How many seconds after its first call each function can be called, where nobody called any for weeks.
    pub wakes_in: f64,
    /// A fence of the product that is down.
    pub lie: Option<Lie>,
    /// What a scenario says, if this is one: then a run follows one that failed, too.
    pub scenario: Option<Vec<Moment>>,
}

/// The world of a seed.
pub fn draw(seed: u64) -> Plot {
    let kinds = u64::try_from(KINDS.len()).unwrap_or(1);
    of_kind(KINDS[usize::try_from(seed % kinds).unwrap_or(0)], seed)
}

/// The world of a seed among those of a kind: that stays what it is when there are more kinds.
///
/// # Errors
/// Where there is no such kind.
pub fn draw_as(kind: &str, seed: u64) -> Result<Plot, String> {
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    known.map(|known| of_kind(*known, seed)).ok_or_else(|| format!("{kind:?} is no kind of world"))
}

fn of_kind((kind, guilty, make): crate::kinds::Kind, seed: u64) -> Plot {
    let rng = &mut generator(seed, "plot");
    let mut plot = calm(seed, rng);
    (plot.kind, plot.guilty) = (kind, guilty);
    make(&mut plot, rng);
    plot
}

/// What apps are called.
pub const APPS: [&str; 4] = ["web", "portal", "api", "shop"];

impl Plot {
    /// What of it is about one app.
    #[must_use]
    pub fn of_app(&self, index: usize) -> Self {
        let mut one = self.clone();
        let factor = self.apps[index];
        one.rate *= factor;
        for fleet in &mut one.fleets {
            fleet.capacity *= factor;
            fleet.warm *= factor;
        }
        one.troubles.retain(|trouble| trouble.app.is_none_or(|app| app == index));
        one
    }

    /// Whether anything goes wrong with calls and functions, so that what is sent once may be lost.
    pub fn loses(&self) -> bool {
        self.crashes > 0.0 || self.control_plane.1 > 0.0
    }
}

/// A world in which all is well.
pub(crate) fn calm(seed: u64, rng: &mut SmallRng) -> Plot {
    let rate = factor(rng, 1.0, 100.0);
    let targets = if chance(rng, 0.5) { 2 } else { 4 };
    let usage = between(rng, 0.2, 0.6);
    let usual = factor(rng, 0.02, 0.3);
    let base = factor(rng, 0.000_01, 0.003);
    let fleet = Fleet {
        targets,
        capacity: rate / usage / f64::from(targets),
        limited: 1.0,
        queues: false,
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
        bad: 0,
        unhealthy: 0,
        shown: None,
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
        inputs: vec![json!({ "app": "web" })],
        apps: vec![1.0],
        setup: Setup { routes: vec![RouteKind::Host; 2], ..Setup::default() },
        found: [100, 0],
        begins,
        history: i64::from(count(factor(&mut generator(seed, "history"), 60.0, DAY))),
        rate,
        unrest: between(rng, 0.0, 0.15),
        load: Load::steady(1),
        crowd: None,
        retries: if chance(rng, 0.3) { between(rng, 0.0, 1.0) } else { 0.0 },
        fleets: [fleet.clone(), fleet],
        troubles: Vec::new(),
        incidents: Vec::new(),
        stops: Vec::new(),
        hook: None,
        neighbour: 0.0,
        late: (between(rng, 20.0, 100.0), between(rng, 0.0, 60.0)),
        control_plane: (0.03, 0.0),
        crashes: 0.0,
        wakes_in: 0.0,
        lie: None,
        scenario: None,
    }
}
