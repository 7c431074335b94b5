//! What is drawn comes as often as it should.
#![cfg(feature = "virtual")]

use rand::rngs::SmallRng;
use simulation::draw::{binomial, generator, poisson};

#[test]
fn counts_are_as_many_as_they_should_be_on_average() {
    let mut rng = generator(1, "test");
    let mut mean = |draw: &mut dyn FnMut(&mut SmallRng) -> u32| {
        (0..20_000).map(|_| f64::from(draw(&mut rng))).sum::<f64>() / 20_000.0
    };
    for expected in [0.2, 5.0, 19.0, 400.0] {
        let found = mean(&mut |rng| poisson(rng, expected));
        assert!((found - expected).abs() < 0.05 + expected * 0.02, "{found} for {expected}");
    }
    for (trials, probability) in [(10, 0.3), (1000, 0.01), (1000, 0.5), (500, 0.97)] {
        let expected = f64::from(trials) * probability;
        let found = mean(&mut |rng| binomial(rng, trials, probability));
        assert!((found - expected).abs() < 0.05 + expected * 0.02, "{found} for {expected}");
    }
}
