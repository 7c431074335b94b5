//! What the model says of runs as they might be seen.

mod common;

use common::alone;
use failover::model::hold::Reached;
use model::execution::{Ending, Step};
use model::protocol::Protocol;
use model::replay::{Refused, replay};
use model::trace::{Balancer, Seen, Trace};
use model::world::{ExecutionId, Held, MOST_ROUTES, Weights};

const FIRST: ExecutionId = ExecutionId(0);
const SECOND: ExecutionId = ExecutionId(1);

/// One app with one route, and its claim.
fn balancer(protocol: &Protocol, weights: u8, claim: Option<(ExecutionId, Reached)>) -> Balancer {
    let mut now = Balancer { routes: protocol.start, claims: [None; MOST_ROUTES] };
    now.routes[0] = Weights(weights);
    now.claims[0] = claim.map(|(by, reached)| Held { by, reached });
    now
}

/// A shift of one stage, as it goes when all is well.
fn shift(protocol: &Protocol, by: ExecutionId, from: u8) -> Vec<Seen> {
    let changes =
        |weights, reached| Seen::Changes(Some(by), balancer(protocol, weights, Some((by, reached))));
    let step = |step, inside: Vec<Seen>| {
        [vec![Seen::Begins(by, step)], inside, vec![Seen::Answers(by, step)]].concat()
    };
    [
        step(Step::PlanShift, vec![]),
        step(Step::ClaimRoutes, vec![changes(from, Reached::Nothing)]),
        step(Step::SetWeights, vec![changes(100, Reached::Nothing)]),
        step(Step::CheckMetrics, vec![]),
        step(Step::CheckMetrics, vec![]),
        step(Step::SwapRoles, vec![changes(100, Reached::Done)]),
        step(Step::ReleaseRoutes, vec![changes(100, Reached::Released)]),
        vec![Seen::Ends(by, Ending::Success)],
    ]
    .concat()
}

fn protocol() -> Protocol {
    Protocol { wants: vec![vec![Weights(100)]; 2], stops: 2, crashes: 2, ..alone() }
}

fn refused(seen: Vec<Seen>) -> Option<Refused> {
    replay(&Trace { protocol: protocol(), seen }).err()
}

#[test]
fn a_shift_is_followed() {
    assert_eq!(refused(shift(&protocol(), FIRST, 0)), None);
}

#[test]
fn a_run_after_another_is_followed() {
    // It finds everything as asked, and that is written again, which changes the claim alone.
    let second: Vec<Seen> = shift(&protocol(), SECOND, 100)
        .into_iter()
        .scan(None, |last, seen| {
            let Seen::Changes(_, now) = seen else { return Some(Some(seen)) };
            let again = *last == Some(now);
            *last = Some(now);
            Some((!again).then_some(seen))
        })
        .flatten()
        .collect();
    assert_eq!(refused([shift(&protocol(), FIRST, 0), second].concat()), None);
}

#[test]
fn what_is_left_out_is_missed_where_it_is_left_out() {
    let whole = shift(&protocol(), FIRST, 0);
    for (at, seen) in whole.iter().enumerate() {
        // A poll more or less is all the same, and an answer says nothing that what comes next does not.
        let tells = matches!(seen, Seen::Begins(..) | Seen::Changes(..));
        if !tells || *seen == Seen::Begins(FIRST, Step::CheckMetrics) {
            continue;
        }
        let mut doctored = whole.clone();
        doctored.remove(at);
        let found = refused(doctored);
        assert!(found.as_ref().is_some_and(|found| found.at >= at), "{at}: {seen:?}: {found:?}");
    }
}

#[test]
fn a_claim_of_a_running_execution_is_not_taken() {
    let protocol = protocol();
    let claims = |by| Seen::Changes(Some(by), balancer(&protocol, 0, Some((by, Reached::Nothing))));
    let begins = |by| [Seen::Begins(by, Step::PlanShift), Seen::Answers(by, Step::PlanShift)];
    let first =
        [Seen::Begins(FIRST, Step::ClaimRoutes), claims(FIRST), Seen::Answers(FIRST, Step::ClaimRoutes)];
    let second = [Seen::Begins(SECOND, Step::ClaimRoutes), claims(SECOND)];
    let seen = [&begins(FIRST)[..], &begins(SECOND), &first, &second].concat();
    let found = refused(seen.clone()).unwrap();
    assert_eq!(found.at, seen.len() - 1);
    assert!(found.why.contains("the model does not do this"), "{}", found.why);
}

#[test]
fn a_stopped_run_is_restored() {
    let protocol = protocol();
    // The one that restores comes after both that were started.
    let restore = ExecutionId(2);
    let changes =
        |by, weights, reached| Seen::Changes(Some(by), balancer(&protocol, weights, Some((by, reached))));
    let stopped = shift(&protocol, FIRST, 0).into_iter().take(7).chain([Seen::Stops(FIRST)]);
    let restored = [
        Seen::Begins(restore, Step::PlanShift),
        Seen::Answers(restore, Step::PlanShift),
        Seen::Begins(restore, Step::ClaimRoutes),
        changes(restore, 100, Reached::Nothing),
        Seen::Answers(restore, Step::ClaimRoutes),
        Seen::Begins(restore, Step::RollBack),
        changes(restore, 0, Reached::Nothing),
        Seen::Answers(restore, Step::RollBack),
        Seen::Begins(restore, Step::RollBack),
        Seen::Answers(restore, Step::RollBack),
        Seen::Begins(restore, Step::SwapRoles),
        changes(restore, 0, Reached::Restored),
        Seen::Answers(restore, Step::SwapRoles),
        Seen::Begins(restore, Step::ReleaseRoutes),
        changes(restore, 0, Reached::Released),
        Seen::Answers(restore, Step::ReleaseRoutes),
        Seen::Ends(restore, Ending::Restored),
    ];
    let whole: Vec<Seen> = stopped.chain(restored).collect();
    assert_eq!(refused(whole.clone()), None);
    // It looks once more before it says that it is done.
    let mut hasty = whole;
    let second = hasty.iter().rposition(|seen| *seen == Seen::Begins(restore, Step::RollBack)).unwrap();
    hasty.drain(second..second + 2);
    assert_eq!(refused(hasty).unwrap().at, second);
}
