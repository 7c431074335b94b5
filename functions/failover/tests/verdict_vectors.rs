//! The factors against numbers computed by an independent implementation.
//!
//! `betabinomial` is a form of the factor that is not shipped and is passed over; the wealth's trace
//! is tested beside the wealth.

use failover::verdict::factor::{Arm, Comparison, upper_rate};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("data/verdict_vectors.json")).unwrap()
}

fn number(vector: &Value, field: &str) -> f64 {
    vector[field].as_f64().unwrap_or_else(|| panic!("{field} in {vector}"))
}

fn comparison(vector: &Value, dispersion: f64) -> Option<Comparison> {
    let standby = Arm { events: number(vector, "eC"), requests: number(vector, "nC"), dispersion };
    let live = Arm { events: number(vector, "eB"), requests: number(vector, "nB"), dispersion };
    Comparison::new(standby, live, 1.0 + number(vector, "d"), number(vector, "f"))
}

#[track_caller]
fn assert_same(ours: f64, theirs: f64, vector: &Value) {
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs(), "{ours} is not {theirs}: {vector}");
}

#[test]
fn factors_equal_the_vectors() {
    let mut seen = 0;
    for vector in vectors() {
        match vector["fn"].as_str().unwrap() {
            "concurrent" => {
                let multiple = number(&vector, "mult");
                let ours = comparison(&vector, number(&vector, "D"));
                let ours = ours.map_or(0.0, |c| c.log_factor(multiple, multiple.ln()));
                assert_same(ours, number(&vector, "log"), &vector);
            }
            "accept" => {
                let multiple = number(&vector, "rho") / (1.0 + number(&vector, "d"));
                let ours =
                    comparison(&vector, number(&vector, "D")).unwrap().log_factor(multiple, multiple.ln());
                assert_same(ours, number(&vector, "log"), &vector);
            }
            "hist_upper" => {
                let ours = upper_rate(
                    number(&vector, "E"),
                    number(&vector, "N"),
                    number(&vector, "phi"),
                    number(&vector, "L"),
                );
                assert_same(ours, number(&vector, "value"), &vector);
            }
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 12, "every vector of a shipped factor is used");
}
