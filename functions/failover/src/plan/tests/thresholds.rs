//! From which times on a response is slow, and has hung.

use serde_json::json;

use super::{found, make};

/// The thresholds of a shift whose live fleet usually answers so.
fn thresholds(input: serde_json::Value, slow: Option<f64>, longest: Option<f64>) -> (f64, f64) {
    let mut found = found([100, 0]);
    let past = &mut found.apps[0].past[0];
    (past.usual_slow_seconds, past.usual_longest_seconds) = (slow, longest);
    let app = make(input, &found).unwrap().apps.remove(0);
    (app.slow_seconds, app.hung_seconds)
}

#[test]
fn what_hangs_is_far_beyond_what_is_usual() {
    let learnt = |slow, longest| thresholds(json!({ "app": "web" }), Some(slow), Some(longest));
    assert_eq!(learnt(0.5, 0.8), (0.5, 3.2));
    // However quick a fleet is, a second keeps nobody waiting.
    assert_eq!(learnt(0.02, 0.05), (0.02, 1.0));
    // It becomes part of the name of a statistic.
    assert_eq!(learnt(0.500_01, 0.800_01), (0.501, 3.201));
    for nothing in [None, Some(0.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(thresholds(json!({ "app": "web" }), nothing, nothing), (1.0, 4.0));
        assert_eq!(thresholds(json!({ "app": "web" }), Some(0.5), nothing), (0.5, 2.0));
    }
    // What an operator does not even call slow has not hung.
    let input = json!({ "app": "web", "criteria": { "slowSeconds": 3 } });
    assert_eq!(thresholds(input, Some(0.5), Some(0.8)), (3.0, 12.0));
}
