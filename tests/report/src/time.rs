//! Times on the page: always UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `14:05:09`.
pub fn clock(at: Timestamp) -> String {
    format(at, "%H:%M:%S")
}

/// `14:05`.
pub fn minute(at: Timestamp) -> String {
    format(at, "%H:%M")
}

/// `23 November 2026`.
pub fn day(at: Timestamp) -> String {
    format(at, "%-d %B %Y")
}

fn format(at: Timestamp, pattern: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(pattern).to_string()
}

/// `42 s`, `31 min 5 s` or `2 h 10 min`.
pub fn span(from: Timestamp, until: Timestamp) -> String {
    let seconds = until.as_second() - from.as_second();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Distances between the marks of a time axis, in seconds.
const STEPS: [i64; 14] = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800];

/// Some eight round times between two, each with its label.
pub fn marks(from: Timestamp, until: Timestamp) -> Vec<(Timestamp, String)> {
    let (first, last) = (from.as_second(), until.as_second());
    let step = STEPS.into_iter().find(|step| (last - first) / step <= 8).unwrap_or(86_400);
    let label = if step < 60 { clock } else { minute };
    let start = (first + step - 1).div_euclid(step) * step;
    (start..=last)
        .step_by(usize::try_from(step).unwrap_or(1))
        .filter_map(|second| Timestamp::from_second(second).ok())
        .map(|at| (at, label(at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let at: Timestamp = "2026-11-03T14:05:09Z".parse().unwrap();
        assert_eq!(
            (clock(at), minute(at), day(at)),
            ("14:05:09".into(), "14:05".into(), "3 November 2026".into())
        );
        let after = |seconds| at + jiff::SignedDuration::from_secs(seconds);
        for (seconds, text) in
            [(42, "42 s"), (120, "2 min"), (1865, "31 min 5 s"), (7800, "2 h 10 min"), (3600, "1 h")]
        {
            assert_eq!(span(at, after(seconds)), text);
        }
        let labels: Vec<String> = marks(at, after(170)).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["14:05:30", "14:06:00", "14:06:30", "14:07:00", "14:07:30"]);
        assert_eq!(marks(at, after(1860)).len(), 6);
    }
}
