//! What must hold in every state, and what must be reachable.

use stateright::Property;

use crate::execution::{Ending, Execution, Status, Step};
use crate::observer::Fault;
use crate::protocol::Protocol;
use crate::state::State;

/// What must hold in every state.
pub fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no two executions' writes of weights are interleaved", |_, state: &State| {
            !state.observer.has_seen(Fault::Interleaved)
        }),
        Property::always("foreign weights that a check could see are not overwritten", |_, state: &State| {
            !state.observer.has_seen(Fault::ForeignOverwritten)
        }),
        Property::always("whoever has read foreign weights writes none", |_, state: &State| {
            !state.observer.has_seen(Fault::WroteAfterForeign)
        }),
        Property::always(
            "nobody starts from weights that are not planned, or are to be put back",
            |_, state: &State| !state.observer.has_seen(Fault::StartedUnsettled),
        ),
        Property::always("whoever was rejected has written no weights", |_, state: &State| {
            let rejected = |id| state.execution(id).status == Status::Ended(Ending::PlanRejected);
            state.ids().all(|id| !(rejected(id) && state.observer.wrote.contains(id)))
        }),
        Property::always("two claimants never both write", |_, state: &State| {
            let writers = || state.ids().filter(|id| state.execution(*id).is_writing_weights());
            writers().all(|a| writers().all(|b| state.observer.are_kin(a, b)))
        }),
        Property::always(
            "once all is over the weights are as found or as a success left them",
            |model: &Protocol, state: &State| !state.is_quiet() || model.is_settled(state),
        ),
        Property::always(
            "once all is over, without a foreign writer, the only claims left are harmless ones",
            |model: &Protocol, state: &State| {
                !state.is_quiet()
                    || state.observer.unknown
                    || (0..model.apps).all(|app| claim_is_harmless(model, state, app))
            },
        ),
        Property::always("without a foreign writer only a restore is ever overtaken", |_, state: &State| {
            let overtaken = |execution: &Execution| {
                !execution.is_restore() && execution.status == Status::Ended(Ending::ExternalChange)
            };
            state.observer.unknown || !state.executions.iter().any(overtaken)
        }),
        Property::always("no last stage passes at other weights than its own", |_, state: &State| {
            !state.observer.has_seen(Fault::PassedElsewhere)
        }),
        Property::always(
            "once all is over the records agree with the weights",
            |model: &Protocol, state: &State| {
                let agree = |app: usize| state.locks[app].live == state.routes[model.routes_of(app).start];
                let unknown = state.observer.unknown || state.observer.records_unknown;
                !state.is_quiet() || unknown || (0..model.apps).all(agree)
            },
        ),
    ]
}

/// What must be reachable, so that the rest does not hold for want of anything happening.
pub fn sometimes(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::sometimes("a success is reached", |_, state: &State| state.has_ended(Ending::Success)),
        Property::sometimes("a rollback is reached", |_, state: &State| state.has_ended(Ending::RolledBack)),
    ];
    if protocol.wants.len() > 1 {
        properties.push(Property::sometimes("a rejection is reached", |_, state: &State| {
            state.has_ended(Ending::PlanRejected)
        }));
    }
    if protocol.stops > 0 {
        properties.push(Property::sometimes("a restore is reached", |_, state: &State| {
            state.has_ended(Ending::Restored)
        }));
        properties
            .push(Property::sometimes("a restore with nothing to do is reached", |_, state: &State| {
                state.has_ended(Ending::Unchanged)
            }));
    }
    if protocol.foreigner {
        properties.push(Property::sometimes("being overtaken is reached", |_, state: &State| {
            state.has_ended(Ending::ExternalChange)
        }));
    }
    if protocol.refusals {
        properties.push(Property::sometimes("a rollback that fails is reached", |_, state: &State| {
            state.has_ended(Ending::RollBackFailed)
        }));
        properties.push(Property::sometimes("a record that fails is reached", |_, state: &State| {
            state.has_ended(Ending::RolesNotRecorded)
        }));
    }
    properties
}

/// Whether an app was given back, or carries a claim that does no harm: of an execution that was interrupted, where
/// the weights are already what a restore of it would put back. Its last write came so late that its restore was
/// over, or had found nothing. A restore that a person starts gives the app back.
/// One that was stopped in `ClaimRoutes` gives its claim back itself, unless its invocation dies or has crashed.
/// Nobody's is also what an execution that has ended had on its way when it crashed.
fn claim_is_harmless(model: &Protocol, state: &State, app: usize) -> bool {
    state.locks[app].claim.is_none_or(|held| {
        let holder = state.execution(held.by);
        let left_for_dead = state.observer.left_for_dead.contains(held.by);
        let claiming = holder.step == Step::ClaimRoutes && !holder.is_restore();
        match holder.status {
            _ if held.reached.is_over() => true,
            Status::Running => false,
            Status::Ended(_) => left_for_dead,
            Status::Interrupted => model.is_as_restored(state, held) && (!claiming || left_for_dead),
        }
    })
}
