//! The traffic and the faults: what the two fleets' counters would show, minute by minute.

use failover::verdict::{Counts, Evidence, JudgedStage, Period};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, Gamma, Poisson};

/// Weights of the standby by stage, in percent.
pub const STAGES: [u8; 5] = [10, 25, 50, 75, 100];

/// Share of slow requests of a healthy fleet, and of client errors.
pub const SLOW: f64 = 0.05;
const CLIENT_ERRORS: f64 = 0.02;

/// Share of requests over 500 ms of a healthy fleet, where latency is lognormal and 5 % are over
/// the line that counts as slow.
pub const OVER_500_MS: f64 = 0.001_932;

/// Minutes that a common outage lasts.
const COMMON_MINUTES: u32 = 10;

/// Allowed by default for failures: 20 % worse plus 0.01 percentage points.
const MARGIN: f64 = 0.2;
const FLOOR: f64 = 1e-4;

/// How events come.
#[derive(Clone, Copy, PartialEq)]
pub enum Noise {
    /// Independently.
    Plain,
    /// Every fleet's rate is multiplied, minute by minute, by a gamma variable with these
    /// coefficients of variation (failures, slow, client errors).
    Burst(f64, f64, f64),
    /// Failures and client errors come in clusters of geometric size with mean 3.
    Cluster,
}

/// What happens to the standby, or to both fleets.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect {
    /// Nothing: both fleets are the same.
    None,
    /// Failures of the standby: a multiple of live's rate plus a share.
    Failures(f64, f64),
    /// The same from this stage on.
    FailuresFrom(usize, f64, f64),
    /// A share that grows to 2 points over 25 minutes.
    Leak,
    /// Share of slow requests, and of requests over 500 ms.
    Slow(f64, f64),
    /// Both fleets fail in 20 % of requests for ten minutes.
    CommonOutage,
    /// Both fleets' failures double over 25 minutes while traffic swings.
    Drift,
    /// Both fleets' rate is multiplied by the same gamma variable every minute.
    CommonBurst,
}

/// A scenario of the benchmark.
pub struct Fault {
    pub name: &'static str,
    pub effect: Effect,
    pub noise: Noise,
    /// Whether the standby is innocent, so that a rollback is false.
    pub innocent: bool,
}

const BURST: Noise = Noise::Burst(0.5, 0.15, 0.3);

const fn guilty(name: &'static str, effect: Effect) -> Fault {
    Fault { name, effect, noise: Noise::Plain, innocent: false }
}

const fn innocent(name: &'static str, effect: Effect, noise: Noise) -> Fault {
    Fault { name, effect, noise, innocent: true }
}

/// All scenarios, innocent ones first.
pub const FAULTS: [Fault; 21] = [
    innocent("identical", Effect::None, Noise::Plain),
    innocent("burst", Effect::None, BURST),
    innocent("cluster", Effect::None, Noise::Cluster),
    innocent("drift", Effect::Drift, Noise::Plain),
    innocent("common", Effect::CommonOutage, Noise::Plain),
    innocent("common-burst", Effect::CommonBurst, Noise::Plain),
    innocent("burst-heavy", Effect::None, Noise::Burst(1.0, 0.3, 1.0)),
    // On the margin's edge: neither good nor bad; a rollback counts as false.
    innocent("edge", Effect::Failures(1.0 + MARGIN, FLOOR), Noise::Plain),
    guilty("+0.5pp", Effect::Failures(1.0, 0.005)),
    guilty("2x", Effect::Failures(2.0, 0.0)),
    guilty("5x", Effect::Failures(5.0, 0.0)),
    guilty("20x", Effect::Failures(20.0, 0.0)),
    guilty("outage", Effect::Failures(0.0, 1.0)),
    guilty("outage-at-100", Effect::FailuresFrom(4, 0.0, 0.5)),
    guilty("late+1pp", Effect::FailuresFrom(2, 1.0, 0.01)),
    guilty("leak+2pp", Effect::Leak),
    guilty("slow7.5", Effect::Slow(0.075, 0.003_641)),
    guilty("slow10", Effect::Slow(0.10, 0.005_774)),
    guilty("slow30", Effect::Slow(0.30, 0.038_479)),
    Fault { name: "burst+5x", effect: Effect::Failures(5.0, 0.0), noise: BURST, innocent: false },
    Fault { name: "cluster+5x", effect: Effect::Failures(5.0, 0.0), noise: Noise::Cluster, innocent: false },
];

/// What one minute's counters show.
#[derive(Default)]
pub struct Minute {
    pub standby: Counts,
    pub live: Counts,
    /// Requests over 500 ms.
    pub standby_over: u64,
    /// Those that hang: no other rule counts them as failures.
    pub standby_hung: u64,
    /// Whether the fault is there.
    pub active: bool,
    /// Users who failed, or were slow, because of the fault: expected values.
    pub harmed: f64,
}

/// One rollout's surroundings.
pub struct World<'a> {
    pub fault: &'a Fault,
    /// Requests a minute, all fleets together.
    pub traffic: f64,
    /// Live's share of failures.
    pub base: f64,
    /// First minute of a common outage.
    common_start: u32,
}

impl<'a> World<'a> {
    /// `minutes` is how long the rollout takes if nothing holds it up.
    pub fn new(fault: &'a Fault, traffic: f64, base: f64, minutes: u32, rng: &mut ChaCha8Rng) -> Self {
        let common = fault.effect == Effect::CommonOutage;
        let common_start = if common { rng.random_range(1..=minutes) } else { 0 };
        Self { fault, traffic, base, common_start }
    }

    /// Live's minutes before the rollout.
    pub fn history(&self, minutes: usize, rng: &mut ChaCha8Rng) -> Vec<Counts> {
        let mut minute = || {
            let common = if self.fault.effect == Effect::CommonBurst { gamma(rng, 0.5) } else { 1.0 };
            let requests = poisson(rng, self.traffic);
            self.counts(rng, requests, (self.base * common).min(1.0), SLOW)
        };
        (0..minutes).map(|_| minute()).collect()
    }

    fn counts(&self, rng: &mut ChaCha8Rng, requests: u64, failures: f64, slow: f64) -> Counts {
        let (of_failures, of_slow, of_clients) = match self.fault.noise {
            Noise::Burst(failures, slow, clients) => (failures, slow, clients),
            _ => (0.0, 0.0, 0.0),
        };
        let clusters = self.fault.noise == Noise::Cluster;
        let mut draw = |share: f64, variation: f64, clustered: bool| {
            if clustered {
                cluster(rng, requests, share)
            } else {
                let burst = if variation > 0.0 { gamma(rng, variation) } else { 1.0 };
                binomial(rng, requests, share * burst)
            }
        };
        Counts {
            requests,
            failures: draw(failures, of_failures, clusters && failures < 1.0),
            slow: draw(slow, of_slow, false),
            client_errors: draw(CLIENT_ERRORS, of_clients, clusters),
        }
    }

    /// Minute `time` (from 1) of the rollout, in `stage`, with a share of the requests on the standby.
    pub fn minute(&self, time: u32, stage: usize, share: f64, rng: &mut ChaCha8Rng) -> Minute {
        let clock = f64::from(time);
        let (mut traffic, mut common, mut slow) = (self.traffic, 1.0, SLOW);
        match self.fault.effect {
            Effect::Drift => {
                common = 1.0 + clock / 25.0;
                traffic *= 1.0 + 0.2 * (clock * 0.12).sin();
                slow *= 1.0 + 0.2 * (common - 1.0);
            }
            Effect::CommonBurst => common = gamma(rng, 0.5),
            _ => {}
        }
        let base = self.base;
        let (failures, active) = match self.fault.effect {
            Effect::Failures(times, plus) => (base * times + plus, true),
            Effect::FailuresFrom(first, times, plus) if stage >= first => (base * times + plus, true),
            Effect::Leak => (base + 0.02 * clock.min(25.0) / 25.0, true),
            Effect::Slow(..) => (base, true),
            _ => (base, false),
        };
        let mut standby_failures = (failures * common).min(1.0);
        let mut live_failures = (base * common).min(1.0);
        let (standby_slow, standby_over) = match self.fault.effect {
            Effect::Slow(slow, over) => (slow, over),
            _ => (slow, OVER_500_MS),
        };
        let outage = self.common_start..self.common_start + COMMON_MINUTES;
        if self.fault.effect == Effect::CommonOutage && outage.contains(&time) {
            (standby_failures, live_failures) = (0.2, 0.2);
        }
        let requests = poisson(rng, traffic);
        let on_standby = binomial(rng, requests, share);
        let standby = self.counts(rng, on_standby, standby_failures, standby_slow);
        let live = self.counts(rng, requests - on_standby, live_failures, slow);
        let worse = if matches!(self.fault.effect, Effect::Slow(..)) {
            standby_slow - slow
        } else {
            standby_failures - live_failures
        };
        Minute {
            standby,
            live,
            standby_over: binomial(rng, standby.slow, standby_over / standby_slow),
            standby_hung: 0,
            active,
            harmed: if active { on_standby as f64 * worse.max(0.0) } else { 0.0 },
        }
    }
}

/// A gamma variable with mean 1 and this coefficient of variation.
fn gamma(rng: &mut ChaCha8Rng, variation: f64) -> f64 {
    let shape = 1.0 / (variation * variation);
    Gamma::new(shape, 1.0 / shape).map_or(1.0, |g| g.sample(rng))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small and not negative"
)]
pub fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> u64 {
    Poisson::new(mean).map_or(0, |p| p.sample(rng) as u64)
}

pub fn binomial(rng: &mut ChaCha8Rng, n: u64, share: f64) -> u64 {
    Binomial::new(n, share.clamp(0.0, 1.0)).map_or(0, |b| b.sample(rng))
}

/// Events in clusters of geometric size, mean 3, at most one event a request.
fn cluster(rng: &mut ChaCha8Rng, requests: u64, share: f64) -> u64 {
    let clusters = poisson(rng, requests as f64 * share / 3.0);
    let more = if clusters > 0 {
        // The sizes beyond one add up to a negative binomial count.
        let mean = Gamma::new(clusters as f64, 2.0).map_or(0.0, |g| g.sample(rng));
        poisson(rng, mean)
    } else {
        0
    };
    (clusters + more).min(requests)
}

/// Events in clusters with a power law: as many as a Pareto variable of shape 1.5, rounded down, whose
/// mean is the sum over k of k^-1.5, 2.612; at most one event a request.
pub fn pareto_clusters(rng: &mut ChaCha8Rng, requests: u64, share: f64) -> u64 {
    let clusters = poisson(rng, requests as f64 * share / 2.612);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and cut off")]
    let size = |uniform: f64| (1.0 - uniform).powf(-1.0 / 1.5).min(1e9) as u64;
    let events: u64 = (0..clusters).map(|_| size(rng.random())).sum();
    events.min(requests)
}

/// What the verdict is shown of a rollout. The balancer's own errors are not simulated.
pub fn evidence<'a>(
    history: &'a [Counts],
    beside: &'a [(Counts, Counts)],
    periods: &'a [Period],
    mixed: &'a [Period],
    stage: JudgedStage,
) -> Evidence<'a> {
    Evidence {
        live: "prod1",
        standby: "prod2",
        past_of: "prod1",
        period_seconds: 60,
        history,
        beside,
        balancer_history: &[],
        periods,
        mixed,
        stage,
    }
}
