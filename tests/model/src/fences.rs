//! The rules that keep executions out of each other's way, each with a switch.

/// All of them are on in the real thing. The tests of the test turn off one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // A row of switches is what it is.
pub struct Fences {
    /// A claim of a running execution turns others away.
    pub running_holds: bool,
    /// A claim of an interrupted execution turns others away while the weights are not `before`.
    pub interrupted_holds: bool,
    /// ... and always once the run is recorded as finished: a restore that was planned earlier may
    /// be about to put back what was there before.
    pub done_holds: bool,
    /// ... and always once a restore is recorded to have put the route back, for the same reason.
    pub restored_holds: bool,
    /// ... and until it is long ago. To wait for SETTLE is not enough: an invocation may have begun
    /// just before the stop, with its check yet to come.
    pub interrupted_long_ago: bool,
    /// `ClaimRoutes` makes sure of the planned weights before it writes `before`.
    pub weights_before_claim: bool,
    /// `ClaimRoutes` settles after its claim.
    pub settle_after_claim: bool,
    /// `ClaimRoutes` is tried again only after SETTLE: nothing of an earlier attempt is in flight.
    pub claim_retry_settles: bool,
    /// `ClaimRoutes` reads the claims back.
    pub claim_read_back: bool,
    /// `ClaimRoutes` reads the weights back.
    pub weights_read_back: bool,
    /// `ClaimRoutes` takes its claim away when its execution was stopped meanwhile.
    pub look_at_self: bool,
    /// A restore claims no route that nobody of its own chain claims: not even one that is free.
    pub restore_claims_only_its_own: bool,
    /// A restore that was stopped in `ClaimRoutes` takes no claims away: the next restore needs them.
    pub stopped_restore_keeps_claims: bool,
    /// A restore that cannot write its claims ends as a rollback that fails: `before` stays for people.
    pub failed_restore_keeps_before: bool,
    /// A restore that finds a finished run records that again as finished when it claims.
    pub claim_keeps_done: bool,
    /// `SetWeights` checks the claims.
    pub set_checks_claim: bool,
    /// `SetWeights` checks the weights.
    pub set_checks_weights: bool,
    /// `CheckMetrics` looks whether the weights are still the stage's.
    pub drift_check: bool,
    /// A stage is watched for longer than a write can be on its way.
    pub bake_settles: bool,
    /// `SwapRoles` checks the claims.
    pub swap_checks_claim: bool,
    /// `SwapRoles` records, with the live fleet, that the run is finished and at which weights.
    pub swap_marks_done: bool,
    /// A restore that puts back what each route had marks each as restored, and none as finished:
    /// that would count for all routes.
    pub restore_speaks_for_one_route: bool,
    /// `RollBack` checks the claims.
    pub roll_back_checks_claim: bool,
    /// `RollBack` checks the weights.
    pub roll_back_checks_weights: bool,
    /// `RollBack` settles and does the same once more.
    pub second_pass: bool,
    /// A restore takes a claim that has vanished for a sign that it is not to write any more.
    pub vanished_is_lost: bool,
    /// A restore takes the claims of those whose work it finishes for its own.
    pub predecessors_are_mine: bool,
    /// Before `ReleaseRoutes` SETTLE passes wherever an earlier attempt may still be writing: with
    /// every ending that has not settled through `RollBack`, but for a success.
    pub settle_before_release: bool,
    /// `ReleaseRoutes` removes no claim but its own.
    pub release_checks_claim: bool,
}

impl Fences {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        running_holds: true,
        interrupted_holds: true,
        done_holds: true,
        restored_holds: true,
        interrupted_long_ago: true,
        weights_before_claim: true,
        settle_after_claim: true,
        claim_retry_settles: true,
        claim_read_back: true,
        weights_read_back: true,
        look_at_self: true,
        restore_claims_only_its_own: true,
        stopped_restore_keeps_claims: true,
        failed_restore_keeps_before: true,
        claim_keeps_done: true,
        set_checks_claim: true,
        set_checks_weights: true,
        drift_check: true,
        bake_settles: true,
        swap_checks_claim: true,
        swap_marks_done: true,
        restore_speaks_for_one_route: true,
        roll_back_checks_claim: true,
        roll_back_checks_weights: true,
        second_pass: true,
        vanished_is_lost: true,
        predecessors_are_mine: true,
        settle_before_release: true,
        release_checks_claim: true,
    };
}

/// A switch of [`Fences`].
pub type Switch = fn(&mut Fences) -> &mut bool;

impl Fences {
    /// Every switch by its name.
    pub const EACH: [(&str, Switch); 29] = [
        ("running_holds", |fences| &mut fences.running_holds),
        ("interrupted_holds", |fences| &mut fences.interrupted_holds),
        ("done_holds", |fences| &mut fences.done_holds),
        ("restored_holds", |fences| &mut fences.restored_holds),
        ("interrupted_long_ago", |fences| &mut fences.interrupted_long_ago),
        ("weights_before_claim", |fences| &mut fences.weights_before_claim),
        ("settle_after_claim", |fences| &mut fences.settle_after_claim),
        ("claim_retry_settles", |fences| &mut fences.claim_retry_settles),
        ("claim_read_back", |fences| &mut fences.claim_read_back),
        ("weights_read_back", |fences| &mut fences.weights_read_back),
        ("look_at_self", |fences| &mut fences.look_at_self),
        ("restore_claims_only_its_own", |fences| &mut fences.restore_claims_only_its_own),
        ("stopped_restore_keeps_claims", |fences| &mut fences.stopped_restore_keeps_claims),
        ("failed_restore_keeps_before", |fences| &mut fences.failed_restore_keeps_before),
        ("claim_keeps_done", |fences| &mut fences.claim_keeps_done),
        ("set_checks_claim", |fences| &mut fences.set_checks_claim),
        ("set_checks_weights", |fences| &mut fences.set_checks_weights),
        ("drift_check", |fences| &mut fences.drift_check),
        ("bake_settles", |fences| &mut fences.bake_settles),
        ("swap_checks_claim", |fences| &mut fences.swap_checks_claim),
        ("swap_marks_done", |fences| &mut fences.swap_marks_done),
        ("restore_speaks_for_one_route", |fences| &mut fences.restore_speaks_for_one_route),
        ("roll_back_checks_claim", |fences| &mut fences.roll_back_checks_claim),
        ("roll_back_checks_weights", |fences| &mut fences.roll_back_checks_weights),
        ("second_pass", |fences| &mut fences.second_pass),
        ("vanished_is_lost", |fences| &mut fences.vanished_is_lost),
        ("predecessors_are_mine", |fences| &mut fences.predecessors_are_mine),
        ("settle_before_release", |fences| &mut fences.settle_before_release),
        ("release_checks_claim", |fences| &mut fences.release_checks_claim),
    ];

    /// The protocol with one fence taken out.
    pub fn without(switch: Switch) -> Self {
        let mut fences = Self::ALL;
        *switch(&mut fences) = false;
        fences
    }
}
