//! A fleet: what becomes of the requests that reach it.

use rand::rngs::SmallRng;

use crate::draw::{binomial, count};

/// Response times are counted in so many ranges.
pub const RANGES: usize = 40;

/// The upper end of the first range in seconds, and by how much each range ends later.
const FIRST: f64 = 0.002;
const WIDER: f64 = 1.35;

/// The end of a range of response times, in seconds.
pub fn end_of(range: usize) -> f64 {
    FIRST * WIDER.powi(i32::try_from(range).unwrap_or(0))
}

/// What was counted of one fleet in one minute.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Requests that were sent to it.
    pub requests: u32,
    /// Answers of its targets by the first digit of their status, 2 to 5.
    pub classes: [u32; 4],
    /// Connections that could not be made.
    pub connection_errors: u32,
    /// Requests that the balancer answered instead: 502, 503 and 504.
    pub balancer: [u32; 3],
    /// Answers by how long they took.
    pub times: [u32; RANGES],
    /// Targets that were healthy and not, at the end of the minute.
    pub hosts: [u32; 2],
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            requests: 0,
            classes: [0; 4],
            connection_errors: 0,
            balancer: [0; 3],
            times: [0; RANGES],
            hosts: [0; 2],
        }
    }
}

impl Counted {
    /// Requests that a user saw fail.
    pub fn failed(&self) -> u32 {
        self.classes[3] + self.balancer.iter().sum::<u32>()
    }

    /// Adds what another part of the minute brought.
    pub fn add(&mut self, other: &Self) {
        self.add_counts(other);
        for (mine, more) in self.times.iter_mut().zip(&other.times) {
            *mine += more;
        }
    }

    /// The same, but not how long answers took.
    pub fn add_counts(&mut self, other: &Self) {
        self.requests += other.requests;
        self.connection_errors += other.connection_errors;
        let pairs = self.classes.iter_mut().zip(other.classes);
        for (mine, more) in pairs.chain(self.balancer.iter_mut().zip(other.balancer)) {
            *mine += more;
        }
        self.hosts = other.hosts;
    }
}

/// What troubles a fleet at a moment. Nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ailment {
    /// The share of requests that its targets answer with 500.
    pub errors: f64,
    /// The share of requests that its targets answer with 404.
    pub client_errors: f64,
    /// The share answered late, and by which factor.
    pub slow: (f64, f64),
    /// The share never answered: a 504 of the balancer.
    pub hangs: f64,
    /// The share whose connection breaks: a 502 of the balancer.
    pub resets: f64,
    /// The share of its targets that refuse connections.
    pub dead: f64,
    /// The share of its targets that fail their health checks, and answer all the same.
    pub fails_checks: f64,
    /// The share of its capacity that is lost.
    pub weakened: f64,
}

/// How a fleet is built, and how it is now.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Its targets.
    pub targets: u32,
    /// Requests that one of them answers in a second.
    pub capacity: f64,
    /// The share of its targets that carry no more than that: 1 where all are alike.
    pub limited: f64,
    /// Whether what is beyond waits, instead of being refused.
    pub queues: bool,
    /// The usual response time in seconds, and the spread of its logarithm.
    pub usual: f64,
    /// The same for half of the targets where they differ: 1 is alike.
    pub uneven: f64,
    /// The share that fails when all is well.
    pub base: f64,
    /// The share of 4xx when all is well.
    pub client_errors: f64,
    /// By which factor a request is slower that no cache is warm for; 1 without caches.
    pub cold_factor: f64,
    /// The share of those that fail.
    pub cold_errors: f64,
    /// How long caches take to warm up, in seconds.
    pub warms_in: f64,
    /// Requests a second that its caches are warm for.
    pub warm: f64,
    /// Since when health checks fail or pass again, in seconds since the epoch.
    pub since: f64,
    /// How many targets are dead.
    pub dead: u32,
    /// How many targets fail their checks.
    pub bad: u32,
    /// How many targets the health checks call unhealthy.
    pub unhealthy: u32,
    /// How many of them the balancer was told are.
    pub shown: Option<u32>,
    /// The largest share of its capacity that was asked for in the last step.
    pub load: f64,
}

/// The spread of the logarithm of response times.
const SPREAD: f64 = 0.55;

/// How long a request takes that waits for a fleet which is asked for more than it carries, in seconds.
const QUEUED: f64 = 3.0;

/// After so many seconds health checks have noticed that targets are dead, or that they are back.
const NOTICED: f64 = 60.0;
const BACK: f64 = 150.0;

impl Fleet {
    /// What becomes of `requests` that come within `seconds`.
    pub fn serve(&mut self, rng: &mut SmallRng, requests: u32, seconds: f64, ailment: &Ailment) -> Counted {
        let rate = f64::from(requests) / seconds;
        let usable = f64::from(self.targets - self.unhealthy.min(self.targets));
        // Where no target is healthy a balancer sends to all of them.
        let usable = if usable == 0.0 { f64::from(self.targets) } else { usable };
        let hit_dead = (f64::from(self.dead.saturating_sub(self.unhealthy)) / usable).min(1.0);
        let hit_dead = if self.dead == self.targets { 1.0 } else { hit_dead };
        let capacity = (usable * self.capacity * (1.0 - ailment.weakened)).max(0.001);
        let load = rate / capacity;
        self.load = load;
        let beyond = if load > 1.0 { self.limited * (1.0 - 1.0 / load) } else { 0.0 };
        let refused = if self.queues { 0.0 } else { beyond };
        // Waiting grows as in a queue before several servers: late, and then at once.
        let waiting = 1.0 + load.min(0.97).powi(6) / (1.0 - load.min(0.97));
        let cold = if rate > 0.0 { ((rate - self.warm) / rate).clamp(0.0, 1.0) } else { 0.0 };
        self.warm_up(rate, seconds);

        let mut counted = Counted { requests, ..Counted::default() };
        let mut left = requests;
        let mut take = |share: f64, left: &mut u32| {
            let taken = binomial(rng, *left, share);
            *left -= taken;
            taken
        };
        counted.connection_errors = take(hit_dead, &mut left);
        counted.balancer[0] = counted.connection_errors + take(ailment.resets, &mut left);
        counted.balancer[2] = take(ailment.hangs, &mut left);
        // What is left is answered.
        let answered = left;
        let errors = self.base + ailment.errors + refused + cold * self.cold_errors;
        counted.classes[3] = take(errors.min(1.0), &mut left);
        counted.classes[2] = take((self.client_errors + ailment.client_errors).min(1.0), &mut left);
        counted.classes[0] = left;
        let slowed = if self.cold_factor > 1.0 { cold } else { 0.0 };
        let mixture = [(1.0 - slowed, waiting), (slowed, waiting * self.cold_factor)];
        let waits = self.queues && beyond > ailment.slow.0;
        let slow = if waits { (beyond, QUEUED / self.usual) } else { ailment.slow };
        counted.times = self.times(rng, answered, &mixture, slow);
        counted.hosts = [self.targets - self.unhealthy.min(self.targets), self.unhealthy];
        counted
    }

    /// Answers by how long they take: a mixture of log-logistic distributions.
    fn times(
        &self,
        rng: &mut SmallRng,
        answered: u32,
        mixture: &[(f64, f64); 2],
        (slow, slower): (f64, f64),
    ) -> [u32; RANGES] {
        let mut parts = [(0.0, 0.0); 8];
        let mut used = 0;
        for (share, factor) in mixture.iter().filter(|(share, _)| *share > 0.0) {
            for (half, uneven) in [(0.5, 1.0), (0.5, self.uneven)] {
                for (share, factor) in [(share * (1.0 - slow), *factor), (share * slow, factor * slower)] {
                    if share > 0.0 {
                        parts[used] = (share * half, (self.usual * factor * uneven).ln());
                        used += 1;
                    }
                }
            }
        }
        let below = |seconds: f64| {
            let logarithm = seconds.ln();
            let part =
                |(share, median): &(f64, f64)| share / (1.0 + (-1.7 * (logarithm - median) / SPREAD).exp());
            parts[..used].iter().map(part).sum::<f64>()
        };
        let mut times = [0; RANGES];
        let (mut left, mut before) = (answered, 0.0);
        for (range, drawn) in times.iter_mut().enumerate() {
            if left == 0 {
                break;
            }
            let upto = if range + 1 == RANGES { 1.0 } else { below(end_of(range)).min(1.0) };
            let share = if before < 1.0 { ((upto - before) / (1.0 - before)).clamp(0.0, 1.0) } else { 1.0 };
            *drawn = binomial(rng, left, share);
            left -= *drawn;
            before = upto;
        }
        times[RANGES - 1] += left;
        times
    }

    fn warm_up(&mut self, rate: f64, seconds: f64) {
        // Caches are filled quickly and forget slowly.
        let takes = if rate > self.warm { self.warms_in } else { 1800.0 };
        self.warm += (rate - self.warm) * (1.0 - (-seconds / takes.max(1.0)).exp());
    }

    /// Lets targets die or come back, and health checks notice.
    pub fn check_health(&mut self, now: f64, ailment: &Ailment) {
        let of_targets = |share: f64| count(share * f64::from(self.targets)).min(self.targets);
        self.dead = of_targets(ailment.dead);
        let bad = of_targets(ailment.dead.max(ailment.fails_checks));
        if bad != self.bad {
            (self.bad, self.since) = (bad, now);
        }
        let passed = now - self.since;
        if self.bad > self.unhealthy && passed >= NOTICED || self.bad < self.unhealthy && passed >= BACK {
            self.unhealthy = self.bad;
        }
    }
}
