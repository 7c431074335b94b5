//! The truth: what users send, what becomes of it, and what the balancer counts of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;

use crate::draw::{generator, normal, poisson};
use crate::fleet::{Ailment, Counted, Fleet};
use crate::plot::{MINUTE, Plot};

/// The longest step, in seconds. Before the run as well: what is drawn more often is less even, and waiting
/// grows with the peaks.
const STEP: f64 = 15.0;

/// The load of an app and its fleets, as it goes on.
#[derive(Debug)]
pub struct World {
    /// What was drawn.
    pub plot: Plot,
    /// What is known up to, in seconds since the epoch.
    pub now: f64,
    /// When the run began.
    pub began: f64,
    /// The fleets.
    pub fleets: [Fleet; 2],
    /// What each fleet gets, together 1.
    pub shares: [f64; 2],
    /// What was counted, a minute each, from [`World::first`] on.
    pub minutes: Vec<[Counted; 2]>,
    /// 503s to requests of other apps in these minutes.
    pub foreign: Vec<u32>,
    /// The start of the first minute.
    pub first: i64,
    rng: SmallRng,
    unrest: f64,
    failing: f64,
}

/// A lock whose poison is ignored: a panic elsewhere already fails the run.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world of an app of a plot, with its history until the run begins.
    pub fn new(plot: &Plot, app: usize) -> Self {
        let purpose = if app == 0 { "load".to_owned() } else { format!("load {app}") };
        let plot = plot.of_app(app);
        let start = plot.begins.as_second();
        let first = (start - plot.history * 60).div_euclid(60) * 60;
        let shares = plot.found.map(|percent| f64::from(percent) / 100.0);
        let mut world = Self {
            now: first as f64,
            began: start as f64,
            fleets: plot.fleets.clone(),
            shares,
            minutes: Vec::new(),
            foreign: Vec::new(),
            first,
            rng: generator(plot.seed, &purpose),
            unrest: 0.0,
            failing: 0.0,
            plot,
        };
        let begin = world.began;
        world.advance(begin);
        world
    }

    /// Lets everything happen until `to`, in seconds since the epoch.
    pub fn advance(&mut self, to: f64) {
        while self.now < to {
            let minute = (self.now / MINUTE).floor() * MINUTE + MINUTE;
            let until = (self.now + STEP).min(minute).min(to);
            self.step(until - self.now);
            self.now = until;
        }
    }

    /// What troubles a fleet now.
    fn ailment(&self, fleet: usize) -> Ailment {
        let at = self.now - self.began;
        let mut all = Ailment::default();
        for trouble in &self.plot.troubles {
            let felt = trouble.felt(fleet, at);
            if felt > 0.0 {
                let what = &trouble.what;
                all.errors = (all.errors + felt * what.errors).min(1.0);
                all.hangs = (all.hangs + felt * what.hangs).min(1.0);
                all.resets = (all.resets + felt * what.resets).min(1.0);
                all.dead = (all.dead + felt * what.dead).min(1.0);
                all.client_errors = (all.client_errors + felt * what.client_errors).min(1.0);
                all.fails_checks = (all.fails_checks + felt * what.fails_checks).min(1.0);
                all.weakened = (all.weakened + felt * what.weakened).min(1.0);
                if what.slow.0 > 0.0 {
                    all.slow = (felt * what.slow.0, what.slow.1);
                }
            }
        }
        all
    }

    /// Requests a second that users send now.
    fn rate(&mut self) -> f64 {
        // Noise that lasts: what a step draws is felt for some more.
        self.unrest = 0.8 * self.unrest + self.plot.unrest * 0.6 * normal(&mut self.rng);
        let at = self.now - self.began;
        let crowd = self.plot.crowd.filter(|(from, _)| at >= *from).map_or(1.0, |(_, times)| times);
        // The day: a fifth less at its quietest.
        let day = 0.9 + 0.1 * (at / 43_200.0 * std::f64::consts::PI).cos();
        let minutes = ((self.now - self.first as f64) / MINUTE).max(0.0);
        let comes = self.plot.load.rate_after(Duration::from_secs_f64(minutes));
        self.plot.rate * comes * day * crowd * self.unrest.exp() * (1.0 + self.plot.retries * self.failing)
    }

    fn step(&mut self, seconds: f64) {
        if seconds <= 0.0 {
            return;
        }
        let rate = self.rate();
        let minute = self.minute();
        let (mut sent, mut failed) = (0, 0);
        for fleet in 0..2 {
            let ailment = self.ailment(fleet);
            let now = self.now;
            self.fleets[fleet].check_health(now, &ailment);
            let requests = poisson(&mut self.rng, rate * self.shares[fleet] * seconds);
            let counted = self.fleets[fleet].serve(&mut self.rng, requests, seconds, &ailment);
            sent += counted.requests;
            failed += counted.failed();
            self.minutes[minute][fleet].add(&counted);
        }
        self.failing = f64::from(failed) / f64::from(sent.max(1));
        let mean = self.plot.neighbour * seconds / MINUTE;
        self.foreign[minute] += poisson(&mut self.rng, mean);
    }

    /// The place of the minute that it is now.
    fn minute(&mut self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
        let index = usize::try_from((self.now as i64 - self.first).div_euclid(60)).unwrap_or(0);
        if self.minutes.len() <= index {
            self.minutes.resize(index + 1, [Counted::default(); 2]);
            self.foreign.resize(index + 1, 0);
        }
        index
    }

    /// Which share of requests failed in the last complete minutes before a second of the run, by fleet; none
    /// where too few were sent to tell.
    pub fn failing(&self, at: f64, minutes: usize, least: u32) -> [Option<f64>; 2] {
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
        let end = usize::try_from(((self.began + at) as i64 - self.first).div_euclid(60)).unwrap_or(0);
        let end = end.min(self.minutes.len());
        let recent = &self.minutes[end.saturating_sub(minutes)..end];
        [0, 1].map(|fleet| {
            let sum = |what: fn(&Counted) -> u32| recent.iter().map(|both| what(&both[fleet])).sum::<u32>();
            let requests = sum(|counted| counted.requests);
            (requests >= least).then(|| f64::from(sum(Counted::failed)) / f64::from(requests))
        })
    }
}
