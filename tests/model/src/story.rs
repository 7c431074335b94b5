//! A path through the model as people read it.

use stateright::Path;

use crate::execution::Call;
use crate::protocol::{Action, Protocol};
use crate::state::State;
use crate::world::{Reached, Route};

/// One line for each thing that happened, with the routes as they were after it.
pub fn tell(protocol: &Protocol, path: Path<State, Action>) -> String {
    let steps = path.into_vec();
    let after = steps.iter().skip(1).map(|(state, _)| state);
    let lines = steps.iter().zip(after).filter_map(|((state, action), after)| {
        let what = describe(state, (*action)?);
        let routes: Vec<_> = after.routes[..protocol.routes].iter().map(describe_route).collect();
        Some(format!("  {what:<58} {}\n", routes.join(" | ")))
    });
    lines.collect()
}

fn describe(state: &State, action: Action) -> String {
    match action {
        Action::Turn(id) => {
            let execution = state.execution(id);
            match execution.call {
                Call::Write => format!("{id:?} {:?}: writes route {}", execution.step, execution.route),
                call => format!("{id:?} {:?}: {call:?}", execution.step),
            }
        }
        Action::RollBack(id) => format!("{id:?} CheckMetrics: roll back"),
        Action::Refuse(id) => {
            format!("{id:?} {:?}: the write fails for good", state.execution(id).step)
        }
        Action::Stop(id) => format!("{id:?} is stopped in {:?}", state.execution(id).step),
        Action::Die(id) => format!("the last invocation of {id:?} is over"),
        Action::Crash(id) => format!("{id:?} crashes in {:?}", state.execution(id).step),
        Action::CrashInFlight(id) => {
            format!("{id:?} crashes in {:?}, its write on the way", state.execution(id).step)
        }
        Action::Land(stray) => format!("the write of {:?} that was on the way lands", state.strays[stray].by),
        Action::Lose(stray) => {
            format!("the write of {:?} that was on the way is lost", state.strays[stray].by)
        }
        Action::Foreign(route) => format!("the foreign writer changes route {route}"),
    }
}

fn describe_route(route: &Route) -> String {
    let claim = route.claim.map_or_else(|| String::from("-"), |claim| format!("{claim:?}"));
    let before = route
        .before
        .map_or_else(|| String::from("-"), |before| format!("{}{}", before.weights.0, mark(before.reached)));
    format!("{:>3} %, claim {claim}, before {before}", route.weights.0)
}

const fn mark(reached: Reached) -> &'static str {
    match reached {
        Reached::Nothing => "",
        Reached::Restored => " restored",
        Reached::Done => " done",
    }
}
