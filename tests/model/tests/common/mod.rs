//! What both suites start from.

use model::fences::Fences;
use model::protocol::Protocol;
use model::world::{START, Weights};

/// One route, and two executions that want the same, with nothing else going on.
pub fn quiet() -> Protocol {
    let shift = vec![Weights(10), Weights(100)];
    Protocol {
        routes: 1,
        apps: 1,
        start: START,
        wants: vec![shift.clone(), shift],
        stops: 0,
        crashes: 0,
        foreigner: false,
        strips: false,
        refusals: false,
        rechecks: Vec::new(),
        elsewhere: Vec::new(),
        halts: false,
        fences: Fences::ALL,
    }
}

/// One execution only, and the restores that follow.
pub fn alone() -> Protocol {
    Protocol { wants: vec![vec![Weights(10), Weights(100)]], ..quiet() }
}
