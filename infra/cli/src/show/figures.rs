//! Two fleets beside each other, and the difference with its interval.

use failover::model::samples::FleetFigures;
use failover::verdict::words::{number, percent};

use failover::report::message::share;

/// The 97.5th percentile of the normal distribution: an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// By how much the standby's share of failures is above the live fleet's, with an interval of 95 %: lower
/// bound, difference and upper bound, as shares of one. Nothing where one had no requests.
///
/// The interval is Newcombe's hybrid score (Statistics in Medicine 17, 1998, page 873, method 10). It takes
/// requests for independent, which those of an incident are not; it is for the eye and decides nothing.
pub fn difference(live: FleetFigures, standby: FleetFigures) -> Option<[f64; 3]> {
    let ([live_low, live_share, live_high], [low, share, high]) = (wilson(live)?, wilson(standby)?);
    let difference = share - live_share;
    let below = ((share - low).powi(2) + (live_high - live_share).powi(2)).sqrt();
    let above = ((high - share).powi(2) + (live_share - live_low).powi(2)).sqrt();
    Some([difference - below, difference, difference + above])
}

/// Wilson's score interval of a share of failures (Journal of the American Statistical Association 22, 1927).
fn wilson(figures: FleetFigures) -> Option<[f64; 3]> {
    let requests = figures.requests as f64;
    if requests <= 0.0 {
        return None;
    }
    let share = figures.failures as f64 / requests;
    let scale = 1.0 + Z * Z / requests;
    let middle = (share + Z * Z / (2.0 * requests)) / scale;
    let half = Z * (share * (1.0 - share) / requests + Z * Z / (4.0 * requests * requests)).sqrt() / scale;
    Some([middle - half, share, middle + half])
}

/// The difference in words, such as `prod2 0.85 points above prod1 (95 %: 0.1 to 2.3)`.
pub fn difference_in_words(names: [&str; 2], live: FleetFigures, standby: FleetFigures) -> String {
    let [live_name, standby_name] = names;
    let Some([low, difference, high]) = difference(live, standby) else {
        return "not known: one of the fleets had no requests".into();
    };
    let points = |share: f64| format!("{:+.2}", share * 100.0);
    format!(
        "{standby_name} {} points against {live_name} (95 %: {} to {})",
        points(difference),
        points(low),
        points(high)
    )
}

/// What was counted of both fleets: a label, then one column each.
pub fn rows(live: FleetFigures, standby: FleetFigures) -> Vec<[String; 3]> {
    let both = |label: &str, of: &dyn Fn(FleetFigures) -> String| [label.to_owned(), of(live), of(standby)];
    let slow = |f: FleetFigures| match f.requests {
        0 => "no requests".into(),
        requests => format!("{} ({})", percent(f.slow as f64 / requests as f64), number(f.slow as f64)),
    };
    vec![
        both("requests", &|f| number(f.requests as f64)),
        both("failed", &share),
        both("slow", &slow),
        both("targets", &|f| format!("{} of {} healthy", f.healthy_targets, f.registered_targets)),
    ]
}

/// What each fleet got of the requests, in percent, such as `prod1 74.9 %, prod2 25.1 %`.
pub fn measured(names: [&str; 2], live: FleetFigures, standby: FleetFigures) -> Option<String> {
    let all = (live.requests + standby.requests) as f64;
    let share = |f: FleetFigures| 100.0 * f.requests as f64 / all;
    (all > 0.0).then(|| format!("{} {:.1} %, {} {:.1} %", names[0], share(live), names[1], share(standby)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(failures: u64, requests: u64) -> FleetFigures {
        FleetFigures { requests, failures, ..FleetFigures::default() }
    }

    /// The examples of the paper, table II: (a) 56/70 and 48/80, (h) 10/10 and 0/10, (e) 5/56 and 0/29.
    #[test]
    fn intervals_are_those_of_the_paper() {
        for (one, other, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((10, 10), (0, 10), 0.6075, 1.0),
            ((5, 56), (0, 29), -0.0381, 0.1926),
        ] {
            let found = difference(fleet(other.0, other.1), fleet(one.0, one.1)).unwrap();
            assert!((found[0] - low).abs() < 1e-4 && (found[2] - high).abs() < 1e-4, "{found:?}");
        }
    }

    #[test]
    fn a_fleet_without_requests_is_not_compared() {
        assert_eq!(difference(fleet(0, 0), fleet(1, 10)), None);
        assert!(difference_in_words(["prod1", "prod2"], fleet(1, 9), fleet(0, 0)).starts_with("not known"));
        assert_eq!(measured(["prod1", "prod2"], fleet(0, 0), fleet(0, 0)), None);
        let measured = measured(["prod1", "prod2"], fleet(0, 749), fleet(0, 251));
        assert_eq!(measured.as_deref(), Some("prod1 74.9 %, prod2 25.1 %"));
    }
}
