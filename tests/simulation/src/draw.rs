//! Draws of counts. All that is random in a run comes from generators that follow from its seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Below this mean, draws are exact; above it a normal distribution is close enough.
const EXACT_BELOW: f64 = 20.0;

/// A generator for one purpose of a run: what one part draws does not shift what another part does.
pub fn generator(seed: u64, purpose: &str) -> SmallRng {
    // FNV-1a, so that purposes end far apart.
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    SmallRng::seed_from_u64(hash.wrapping_add(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A number of the standard normal distribution (Box and Muller).
pub fn normal(rng: &mut SmallRng) -> f64 {
    let (one, other): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// How often something happens that happens `mean` times on average, each time on its own.
pub fn poisson(rng: &mut SmallRng, mean: f64) -> u32 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > EXACT_BELOW {
        return count(mean + mean.sqrt() * normal(rng));
    }
    let (limit, mut product, mut drawn) = ((-mean).exp(), rng.random::<f64>(), 0);
    while product > limit {
        product *= rng.random::<f64>();
        drawn += 1;
    }
    drawn
}

/// How many of `trials` succeed, each with this probability.
pub fn binomial(rng: &mut SmallRng, trials: u32, probability: f64) -> u32 {
    if trials == 0 || probability <= 0.0 {
        return 0;
    }
    if probability > 0.5 {
        return trials - binomial(rng, trials, 1.0 - probability.min(1.0));
    }
    let mean = f64::from(trials) * probability;
    if mean > EXACT_BELOW {
        return count(mean + (mean * (1.0 - probability)).sqrt() * normal(rng)).min(trials);
    }
    // By inversion: adds up the probabilities of 0, 1, 2, ... successes.
    let odds = probability / (1.0 - probability);
    let mut left: f64 = rng.random();
    let mut chance = (1.0 - probability).powf(f64::from(trials));
    for drawn in 0..trials {
        if left <= chance {
            return drawn;
        }
        left -= chance;
        chance *= odds * f64::from(trials - drawn) / f64::from(drawn + 1);
    }
    trials
}

/// A number between the two, equally likely on a scale of factors.
pub fn factor(rng: &mut SmallRng, low: f64, high: f64) -> f64 {
    (low.ln() + rng.random::<f64>() * (high / low).ln()).exp()
}

/// A number between the two, all equally likely.
pub fn between(rng: &mut SmallRng, low: f64, high: f64) -> f64 {
    low + rng.random::<f64>() * (high - low)
}

/// Whether something of this probability happens.
pub fn chance(rng: &mut SmallRng, probability: f64) -> bool {
    rng.random::<f64>() < probability
}

/// The nearest count that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub fn count(number: f64) -> u32 {
    number.round() as u32
}
