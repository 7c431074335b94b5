//! The test of the test: with any one fence taken out the checker finds a way into harm.

mod common;

use common::{alone, quiet};
use model::fences::Fences;
use model::protocol::Protocol;
use model::story;
use stateright::{Checker, HasDiscoveries, Model};

/// The smallest world in which a fence is needed.
fn world(fence: &str) -> Protocol {
    match fence {
        "running_holds" | "claim_read_back" | "release_checks_claim" => quiet(),
        "weights_read_back" | "set_checks_weights" | "drift_check" | "roll_back_checks_weights" => {
            Protocol { foreigner: true, ..quiet() }
        }
        "bake_settles" => Protocol { crashes: 1, ..quiet() },
        "settle_after_claim" | "claim_retry_settles" => Protocol { stops: 1, crashes: 1, ..quiet() },
        "failed_restore_is_left" => Protocol { stops: 1, refusals: true, ..quiet() },
        "settle_before_release" => Protocol { stops: 1, crashes: 1, refusals: true, ..quiet() },
        "swap_marks_done" => Protocol { routes: 2, apps: 2, stops: 1, ..alone() },
        "claim_keeps_done" | "restore_speaks_for_one_app" => {
            Protocol { routes: 2, apps: 2, stops: 2, ..alone() }
        }
        "anew_looks_at_self" => Protocol { routes: 2, stops: 2, strips: true, ..alone() },
        "anew_settles" => Protocol { stops: 1, crashes: 1, ..alone() },
        "stripped_goes_back" => Protocol { stops: 1, strips: true, ..alone() },
        "unseen_is_not_nothing" => Protocol { stops: 1, ..alone() },
        "predecessors_are_mine" | "stopped_restore_keeps_claims" => Protocol { stops: 2, ..alone() },
        _ => Protocol { stops: 1, ..quiet() },
    }
}

#[test]
fn every_fence_is_needed() {
    for (fence, switch) in Fences::EACH {
        let protocol = Protocol { fences: Fences::without(switch), ..world(fence) };
        let told = protocol.clone();
        let checker =
            protocol.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let harm = checker.discoveries().into_iter();
        let harm = harm.filter(|(name, _)| told.property(name).expectation.discovery_is_failure());
        let (name, path) =
            harm.min_by_key(|(name, _)| *name).unwrap_or_else(|| panic!("nothing needs the fence {fence}"));
        println!("without {fence}, after {} states, not so: {name}", checker.unique_state_count());
        println!("{}", story::tell(&told, path));
    }
}
