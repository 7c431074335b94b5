//! What both suites start from.

use model::fences::Fences;
use model::protocol::Protocol;
use model::world::Weights;

/// One route, and two executions that want the same, with nothing else going on.
pub fn quiet() -> Protocol {
    let shift = vec![Weights(10), Weights(100)];
    Protocol {
        routes: 1,
        lockstep: false,
        wants: vec![shift.clone(), shift],
        stops: 0,
        crashes: 0,
        foreigner: false,
        strips: false,
        refusals: false,
        fences: Fences::ALL,
    }
}

/// One execution only, and the restores that follow.
pub fn alone() -> Protocol {
    Protocol { wants: vec![vec![Weights(10), Weights(100)]], ..quiet() }
}
