//! Worlds that the verdict was not made for: a past that misleads, noise that lasts, fleets that
//! start cold. What both fleets' counters would show in them, minute by minute.

use failover::verdict::Counts;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::scenario::{Minute, OVER_500_MS, SLOW, binomial, pareto_clusters, poisson};

/// Client errors of a healthy fleet.
const CLIENT_ERRORS: f64 = 0.02;
/// Multiple of the slow share under 30 % more latency, where it is lognormal with a shape of 0.7.
const LATER_BY_30_PERCENT: f64 = 2.04;
/// Multiple of the slow share that the standby always shows, where its machines are slower.
const SLOWER: f64 = 1.4;
/// For so many minutes both fleets have run side by side, which began so many minutes before the run.
const SIDE_BY_SIDE: i64 = 600;
const LONG_BEFORE: i64 = 1200;
/// Multiple of the slow share that a fleet shows whose caches are cold.
const COLD: f64 = 2.0;
/// How the share over 500 ms follows the slow share, for the same distribution: as its power.
const OVER_POWER: f64 = 1.58;
/// Autocorrelation from minute to minute, and standard deviations of the logarithm of the rates of
/// failures, slow requests and client errors, where noise lasts.
const LASTING: (f64, [f64; 3]) = (0.8, [0.5, 0.15, 0.3]);
/// Share of all requests that one client makes, all of them client errors and on one fleet.
const CLIENT_SHARE: f64 = 0.03;

/// What is special about a world.
#[derive(Clone, Copy, PartialEq)]
pub enum Scene {
    /// Nothing.
    Plain,
    /// Live failed in 30 % for five minutes, half an hour before the run.
    Incident,
    /// In one minute of each hour 30 % fail, on both fleets.
    Batch,
    /// After each rise the standby is cold for its minute and two or three more.
    Cold,
    /// The standby is always a little slower: 7 % beside 5 %.
    Slower,
    /// The logarithm of each fleet's rates wanders, as an autoregressive process.
    Lasting,
    /// Failures come in clusters whose sizes follow a power law.
    Heavy,
    /// A client with a sticky session sends nothing but client errors, to the standby, from some minute on.
    Sticky,
    /// Thirty requests a minute before the run, one during it.
    Night,
    /// Both fleets fail in 20 % for ten minutes, at some time of the run.
    CommonOutage,
    /// Both fleets are slow four times as often for ten minutes, at some time of the run.
    SlowDatabase,
}

/// What is wrong with the standby.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// So many more of its requests fail, from a minute of the run on.
    Failures(f64, u32),
    /// All responses take 30 % longer.
    Later,
    /// So many of its requests hang.
    Hang(f64),
    /// So many more of its requests are answered with 4xx.
    ClientErrors(f64),
}

/// A row of the table, with its cells: requests a minute and live's share of failures.
pub struct World {
    pub name: &'static str,
    pub scene: Scene,
    pub fault: Fault,
    pub cells: &'static [(u32, f64)],
    pub goal: &'static str,
}

const ALL: &[(u32, f64)] = &[(30, 0.003), (300, 0.003), (3000, 0.003), (3000, 0.02)];
const BUSY: &[(u32, f64)] = &[(300, 0.003), (3000, 0.003)];

const fn innocent(
    name: &'static str,
    scene: Scene,
    cells: &'static [(u32, f64)],
    goal: &'static str,
) -> World {
    World { name, scene, fault: Fault::None, cells, goal }
}

/// All worlds, innocent ones first.
pub const WORLDS: [World; 22] = [
    innocent("identical", Scene::Plain, ALL, "at most 0.1 %"),
    innocent("common outage", Scene::CommonOutage, ALL, "at most 0.3 %"),
    innocent("slow database", Scene::SlowDatabase, ALL, "at most 0.3 %"),
    innocent("incident before", Scene::Incident, ALL, "at most 1 %"),
    innocent("batch", Scene::Batch, &[(300, 0.003), (5000, 0.0003)], "at most 1 %"),
    innocent("cold caches", Scene::Cold, &[(500, 0.003), (3000, 0.003)], "at most 1 %"),
    innocent("slower hardware", Scene::Slower, &[(500, 0.003), (3000, 0.003)], "at most 1 %"),
    innocent("lasting noise", Scene::Lasting, ALL, "at most 1 %"),
    innocent("heavy clusters", Scene::Heavy, ALL, "at most 1 %"),
    innocent("sticky client", Scene::Sticky, ALL, "at most 5 %"),
    innocent("quiet night", Scene::Night, &[(30, 0.003)], "at most 1 %"),
    World {
        name: "incident before, +3 points",
        scene: Scene::Incident,
        fault: Fault::Failures(0.03, 1),
        cells: BUSY,
        goal: "95 %; 6 min at 3,000",
    },
    World {
        name: "batch, +3 points",
        scene: Scene::Batch,
        fault: Fault::Failures(0.03, 1),
        cells: &[(5000, 0.0003)],
        goal: "95 %",
    },
    World { name: "30 % later", scene: Scene::Plain, fault: Fault::Later, cells: BUSY, goal: "still found" },
    World {
        name: "cold and 30 % later",
        scene: Scene::Cold,
        fault: Fault::Later,
        cells: BUSY,
        goal: "still found",
    },
    World {
        name: "1 % hang",
        scene: Scene::Plain,
        fault: Fault::Hang(0.01),
        cells: BUSY,
        goal: "95 % at 3,000",
    },
    World {
        name: "a twentieth answered with 4xx",
        scene: Scene::Plain,
        fault: Fault::ClientErrors(0.05),
        cells: BUSY,
        goal: "",
    },
    World {
        name: "a third answered with 4xx",
        scene: Scene::Plain,
        fault: Fault::ClientErrors(0.33),
        cells: ALL,
        goal: "",
    },
    World {
        name: "5 % from minute 24",
        scene: Scene::Plain,
        fault: Fault::Failures(0.05, 24),
        cells: &[(30, 0.003), (300, 0.003)],
        goal: "not cleared by what cannot show it",
    },
    World {
        name: "+1 point",
        scene: Scene::Plain,
        fault: Fault::Failures(0.01, 1),
        cells: &[(300, 0.003), (2000, 0.003), (2000, 0.02)],
        goal: "1.3 times the limit",
    },
    World {
        name: "+1 point, lasting noise",
        scene: Scene::Lasting,
        fault: Fault::Failures(0.01, 1),
        cells: &[(2000, 0.003)],
        goal: "",
    },
    World {
        name: "a tenth fails",
        scene: Scene::Plain,
        fault: Fault::Failures(0.10, 1),
        cells: ALL,
        goal: "before every peer",
    },
];

/// One rollout's surroundings.
pub struct Surroundings<'a> {
    world: &'a World,
    traffic: f64,
    base: f64,
    rng: ChaCha8Rng,
    /// Logarithms of what multiplies the rates of live and of the standby.
    wander: [[f64; 3]; 2],
    /// A random minute of the run.
    from: u32,
    /// A random minute of the hour.
    of_hour: i64,
    /// Minutes that a rise keeps the standby cold.
    cold: u32,
}

impl<'a> Surroundings<'a> {
    /// `minutes` is how long the run takes if nothing holds it up.
    pub fn new(world: &'a World, (traffic, base): (u32, f64), minutes: u32, mut rng: ChaCha8Rng) -> Self {
        let from = rng.random_range(1..=minutes);
        let of_hour = rng.random_range(0..60);
        let cold = rng.random_range(2..=3);
        let wander = [[0.0; 3]; 2].map(|_| LASTING.1.map(|sd| normal(&mut rng) * sd));
        Self { world, traffic: f64::from(traffic), base, rng, wander, from, of_hour, cold }
    }

    /// A number between 0 and 1, for what the world does not decide.
    pub fn random(&mut self) -> f64 {
        self.rng.random()
    }

    /// Live's minutes before the run, while it has all traffic.
    pub fn history(&mut self, minutes: usize) -> Vec<Counts> {
        let first = -i64::try_from(minutes).unwrap_or(0);
        (first..0)
            .map(|time| {
                let requests = poisson(&mut self.rng, self.traffic);
                self.fleet(0, time, requests, None)
            })
            .collect()
    }

    /// Both fleets' minutes with an even split and the same release, some hours before the run.
    pub fn beside(&mut self) -> Vec<(Counts, Counts)> {
        (0..SIDE_BY_SIDE)
            .map(|minute| {
                let requests = poisson(&mut self.rng, self.traffic);
                let on_standby = binomial(&mut self.rng, requests, 0.5);
                let time = minute - LONG_BEFORE;
                let mut standby = self.fleet(1, time, on_standby, None);
                if self.world.scene == Scene::Slower {
                    standby.slow = binomial(&mut self.rng, on_standby, SLOW * SLOWER);
                }
                (standby, self.fleet(0, time, requests - on_standby, None))
            })
            .collect()
    }

    /// Minute `time` (from 1) of the run, with a share of the requests on the standby, whose weight
    /// rose so many minutes ago.
    pub fn minute(&mut self, time: u32, share: f64, since_rise: u32) -> Minute {
        let night = self.world.scene == Scene::Night;
        let requests = poisson(&mut self.rng, if night { 1.0 } else { self.traffic });
        let on_standby = binomial(&mut self.rng, requests, share);
        let live = self.fleet(0, i64::from(time), requests - on_standby, None);
        let mut standby = self.fleet(1, i64::from(time), on_standby, Some(since_rise));
        if self.world.scene == Scene::Sticky && time >= self.from && share > 0.0 {
            let more = poisson(&mut self.rng, self.traffic * CLIENT_SHARE);
            standby.requests += more;
            standby.client_errors += more;
        }
        let slow_share = standby.slow as f64 / standby.requests.max(1) as f64;
        let (hang, over) = match self.world.fault {
            Fault::Hang(share) => (share, OVER_500_MS),
            _ => (0.0, (OVER_500_MS * (slow_share / SLOW).powf(OVER_POWER)).min(slow_share)),
        };
        let standby_over = binomial(&mut self.rng, standby.requests, over + hang);
        let standby_hung = if hang > 0.0 { binomial(&mut self.rng, standby.requests, hang) } else { 0 };
        let (active, worse) = match self.world.fault {
            Fault::None => (false, 0.0),
            Fault::Failures(more, from) => (time >= from, more),
            Fault::Later => (true, SLOW * (LATER_BY_30_PERCENT - 1.0)),
            Fault::Hang(share) | Fault::ClientErrors(share) => (true, share),
        };
        let harmed = if active { standby.requests as f64 * worse } else { 0.0 };
        Minute { standby, live, standby_over, standby_hung, active, harmed }
    }

    fn fleet(&mut self, fleet: usize, time: i64, requests: u64, since_rise: Option<u32>) -> Counts {
        let mut rates = self.rates(fleet, time);
        if let Some(since) = since_rise {
            match self.world.fault {
                Fault::Failures(more, from) if time >= i64::from(from) => rates[0] += more,
                Fault::Later => rates[1] *= LATER_BY_30_PERCENT,
                // What hangs was slow in as many cases as the rest.
                Fault::ClientErrors(more) => rates[2] += more,
                Fault::Hang(share) => rates[1] += share * (1.0 - rates[1]),
                _ => {}
            }
            match self.world.scene {
                Scene::Cold if since <= self.cold => rates[1] *= COLD,
                Scene::Slower => rates[1] *= SLOWER,
                _ => {}
            }
        }
        let heavy = self.world.scene == Scene::Heavy;
        let rng = &mut self.rng;
        let mut counts = rates.map(|rate| binomial(rng, requests, rate));
        if heavy {
            counts[0] = pareto_clusters(rng, requests, rates[0]);
        }
        Counts { requests, failures: counts[0], slow: counts[1], client_errors: counts[2] }
    }

    /// What both fleets would show, were the standby as good as live.
    fn rates(&mut self, fleet: usize, time: i64) -> [f64; 3] {
        let mut rates = [self.base, SLOW, CLIENT_ERRORS];
        let during = (i64::from(self.from)..i64::from(self.from) + 10).contains(&time);
        match self.world.scene {
            Scene::Incident if (-33..-28).contains(&time) => rates[0] = 0.3,
            Scene::Batch if time.rem_euclid(60) == self.of_hour => rates[0] = 0.3,
            Scene::CommonOutage if during => rates[0] = 0.2,
            Scene::SlowDatabase if during => rates[1] *= 4.0,
            Scene::Lasting => {
                let (keep, deviations) = LASTING;
                for (i, rate) in rates.iter_mut().enumerate() {
                    let wander = &mut self.wander[fleet][i];
                    let fresh = (1.0 - keep * keep).sqrt() * deviations[i];
                    *wander = keep * *wander + fresh * normal(&mut self.rng);
                    *rate *= (*wander - deviations[i] * deviations[i] / 2.0).exp();
                }
            }
            _ => {}
        }
        rates
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    Normal::new(0.0, 1.0).map_or(0.0, |n| n.sample(rng))
}
