//! What one poll's decision costs.

use std::time::Instant;

use failover::verdict::{Counts, Criteria, JudgedStage, Period, PeriodKind, judge};

use crate::scenario::evidence;

/// A run of six hours of one-minute periods, after a day of history.
const PERIODS: usize = 360;
const HISTORY: usize = 1440;
const POLLS: u32 = 200;

/// Times a decision over a long series and prints it.
pub fn print() {
    let counts = |requests: u64, i: usize| Counts {
        requests,
        failures: (i % 3) as u64,
        slow: requests / 20 + (i % 5) as u64,
        client_errors: requests / 50,
    };
    let history: Vec<Counts> = (0..HISTORY).map(|i| counts(20, i)).collect();
    let periods: Vec<Period> = (0..PERIODS)
        .map(|i| Period {
            standby_percent: 10,
            stage: 0,
            kind: PeriodKind::Shift,
            live: counts(1800, i),
            standby: counts(200, i + 1),
            balancer_failures: 0,
        })
        .collect();
    let evidence = evidence(
        &history,
        &[],
        &periods,
        &[],
        JudgedStage { index: 0, standby_percent: 10, kind: PeriodKind::Shift, bake_periods: 400 },
    );
    let criteria = Criteria::default();
    let start = Instant::now();
    for _ in 0..POLLS {
        std::hint::black_box(judge(&criteria, std::hint::black_box(&evidence)));
    }
    let each = start.elapsed() / POLLS;
    println!("\nOne decision over {PERIODS} periods, with {HISTORY} of history: {} µs", each.as_micros());
}
