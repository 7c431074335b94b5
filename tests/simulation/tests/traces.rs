//! That a run is followed by the model shows something only where another run would not be.
#![cfg(feature = "virtual")]

use model::replay::replay;
use model::trace::{Seen, Trace};
use model::world::{ExecutionId, Weights};
use simulation::batch;
use simulation::checks::OF_MODEL;
use simulation::lie::Lie;
use simulation::plot::{self, Plot};

fn trace(kind: &str, seed: u64) -> Trace {
    let plot = plot::draw_as(kind, seed).unwrap();
    batch::alone(|stage| stage.run(plot)).unwrap().trace
}

/// A fence of what ships that is down makes a run that the model, whose fences are up, does not.
#[test]
fn a_fence_that_is_down_leads_out_of_the_model() {
    for (lie, kind, seed) in [
        (Lie::RolesWereRecorded, "all is well", 0),
        (Lie::ClaimsWereRemoved, "all is well", 0),
        (Lie::NobodyWroteWeights, "somebody else sets the weights", 0),
        (Lie::NobodyWasStopped, "a stop while it writes", 0),
    ] {
        let plot = plot::draw_as(kind, seed).unwrap();
        let refused = |plot: Plot| {
            let broken = batch::alone(|stage| stage.run(plot).broken).unwrap();
            broken.into_iter().find(|broken| broken.check == OF_MODEL)
        };
        assert_eq!(refused(plot.clone()), None, "{kind}");
        let found = refused(Plot { lie: Some(lie), ..plot });
        let found = found.unwrap_or_else(|| panic!("{lie:?} is not seen in {kind}"));
        println!("{lie:?}: {}", found.found);
    }
}

/// Every change that somebody else is said to have made, or that is said to be another one, or that is left out.
#[test]
fn a_trace_that_was_changed_is_refused() {
    for (kind, seed) in [
        ("several apps, and the run is stopped", 35),
        ("the restore is stopped as well", 7),
        ("a whole cycle", 27),
    ] {
        let honest = trace(kind, seed);
        let steps = replay(&honest).unwrap().steps;
        assert_eq!(steps, honest.seen.len());
        let mut changed = 0;
        for (at, seen) in honest.seen.iter().enumerate() {
            let Seen::Changes(Some(ExecutionId(by)), now) = *seen else { continue };
            let mut other = now;
            other.routes[0] = Weights(now.routes[0].0 + 7);
            let somebody = ExecutionId((by + 1) % 2);
            let instead = [
                Some(Seen::Changes(Some(ExecutionId(by)), other)),
                Some(Seen::Changes(Some(somebody), now)),
                None,
            ];
            for instead in instead {
                let mut doctored = honest.clone();
                match instead.clone() {
                    Some(instead) => doctored.seen[at] = instead,
                    None => drop(doctored.seen.remove(at)),
                }
                let refused = replay(&doctored).err();
                let refused = refused.unwrap_or_else(|| panic!("{kind}, step {at}: {seen:?} as {instead:?}"));
                assert!(refused.at >= at, "{kind}, step {at}: {refused:?}");
                changed += 1;
            }
        }
        println!("{kind}: {steps} steps, {changed} changed traces are refused");
    }
}
