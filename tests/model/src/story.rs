//! A path through the model as people read it.

use failover::model::hold::Reached;
use stateright::Path;

use crate::execution::Call;
use crate::protocol::{Action, Protocol};
use crate::state::State;
use crate::world::Lock;

/// One line for each thing that happened, with the routes as they were after it.
pub fn tell(protocol: &Protocol, path: Path<State, Action>) -> String {
    let steps = path.into_vec();
    let after = steps.iter().skip(1).map(|(state, _)| state);
    let lines = steps.iter().zip(after).filter_map(|((state, action), after)| {
        let what = describe(state, (*action)?);
        let routes: Vec<_> =
            after.routes[..protocol.routes].iter().map(|w| format!("{:>3} %", w.0)).collect();
        let locks: Vec<_> = after.locks[..protocol.apps].iter().map(describe_lock).collect();
        Some(format!("  {what:<58} {} | {}\n", routes.join(", "), locks.join(", ")))
    });
    lines.collect()
}

fn describe(state: &State, action: Action) -> String {
    match action {
        Action::Turn(id) => {
            let execution = state.execution(id);
            match execution.call {
                Call::Write => format!("{id:?} {:?}: writes number {}", execution.step, execution.at),
                call => format!("{id:?} {:?}: {call:?}", execution.step),
            }
        }
        Action::RollBack(id) => format!("{id:?} CheckMetrics: roll back"),
        Action::Recheck(id) => format!("{id:?} CheckMetrics: recheck"),
        Action::Halt(id) => format!("{id:?} {:?}: halt", state.execution(id).step),
        Action::FailOver(id, way) => format!("{id:?} RollBack: over, by way {way}"),
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
        Action::Unseen(id) => format!("{id:?} is not shown the histories yet"),
        Action::Strip(app) => format!("the tags of app {app} are removed"),
    }
}

fn describe_lock(lock: &Lock) -> String {
    match lock.claim {
        None => "no claim".into(),
        Some(held) if held.reached == Reached::Nothing => format!("claim {:?}", held.by),
        Some(held) => format!("claim {:?} {:?}", held.by, held.reached),
    }
}
