//! The rules that keep executions out of each other's way, each with a switch.

/// All of them are on in the real thing. The tests of the test turn off one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // A row of switches is what it is.
pub struct Fences {
    /// A claim of a running execution turns others away.
    pub running_holds: bool,
    /// A claim of an interrupted execution turns others away until its restore is over, whatever the weights are.
    pub interrupted_holds: bool,
    /// `ClaimRoutes` makes sure of the planned weights before it claims.
    pub weights_before_claim: bool,
    /// `ClaimRoutes` settles after its claim.
    pub settle_after_claim: bool,
    /// `ClaimRoutes` is tried again only after SETTLE: nothing of an earlier attempt is in flight.
    pub claim_retry_settles: bool,
    /// `ClaimRoutes` reads the claims back.
    pub claim_read_back: bool,
    /// `ClaimRoutes` reads the weights back.
    pub weights_read_back: bool,
    /// `ClaimRoutes` gives its claim back when its execution was stopped meanwhile.
    pub look_at_self: bool,
    /// A restore claims no app that somebody outside its own chain has claimed since, or that was given back.
    pub restore_claims_only_its_own: bool,
    /// A restore that was stopped in `ClaimRoutes` gives no claims back: the next restore needs them.
    pub stopped_restore_keeps_claims: bool,
    /// A restore that cannot write its claims ends as a rollback that fails: it is left to people.
    pub failed_restore_is_left: bool,
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
    /// `SwapRoles` records, with the live fleet, that the run is finished.
    pub swap_marks_done: bool,
    /// A restore that puts back what each app had marks each as restored, and none as finished:
    /// that would count for all apps.
    pub restore_speaks_for_one_app: bool,
    /// `RollBack` checks the claims.
    pub roll_back_checks_claim: bool,
    /// `RollBack` checks the weights.
    pub roll_back_checks_weights: bool,
    /// `RollBack` settles and does the same once more.
    pub second_pass: bool,
    /// A restore takes the claims of those whose work it finishes for its own.
    pub predecessors_are_mine: bool,
    /// Before `ReleaseRoutes` SETTLE passes wherever an earlier attempt may still be writing: with
    /// every ending that has not settled through `RollBack`, but for a success.
    pub settle_before_release: bool,
    /// `ReleaseRoutes` gives no claim back but its own.
    pub release_checks_claim: bool,
    /// ... and says so in the tag, which it does not remove: a claim that is gone was removed by somebody
    /// else.
    pub release_leaves_a_trace: bool,
    /// A claim that somebody has removed ends no way back: what is to be put back stands in the history.
    pub stripped_goes_back: bool,
    /// Nobody but a run that goes on writes where the claim is gone, or is a predecessor's.
    pub anew_looks_at_self: bool,
    /// Where `RollBack` has claimed anew it settles once more.
    pub anew_settles: bool,
    /// A history that does not show a plan yet is read again; it does not mean that nothing was touched.
    pub unseen_is_not_nothing: bool,
}

impl Fences {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        running_holds: true,
        interrupted_holds: true,
        weights_before_claim: true,
        settle_after_claim: true,
        claim_retry_settles: true,
        claim_read_back: true,
        weights_read_back: true,
        look_at_self: true,
        restore_claims_only_its_own: true,
        stopped_restore_keeps_claims: true,
        failed_restore_is_left: true,
        claim_keeps_done: true,
        set_checks_claim: true,
        set_checks_weights: true,
        drift_check: true,
        bake_settles: true,
        swap_checks_claim: true,
        swap_marks_done: true,
        restore_speaks_for_one_app: true,
        roll_back_checks_claim: true,
        roll_back_checks_weights: true,
        second_pass: true,
        predecessors_are_mine: true,
        settle_before_release: true,
        release_checks_claim: true,
        release_leaves_a_trace: true,
        stripped_goes_back: true,
        anew_looks_at_self: true,
        anew_settles: true,
        unseen_is_not_nothing: true,
    };
}

/// A switch of [`Fences`].
pub type Switch = fn(&mut Fences) -> &mut bool;

impl Fences {
    /// Every switch by its name.
    pub const EACH: [(&str, Switch); 30] = [
        ("running_holds", |fences| &mut fences.running_holds),
        ("interrupted_holds", |fences| &mut fences.interrupted_holds),
        ("weights_before_claim", |fences| &mut fences.weights_before_claim),
        ("settle_after_claim", |fences| &mut fences.settle_after_claim),
        ("claim_retry_settles", |fences| &mut fences.claim_retry_settles),
        ("claim_read_back", |fences| &mut fences.claim_read_back),
        ("weights_read_back", |fences| &mut fences.weights_read_back),
        ("look_at_self", |fences| &mut fences.look_at_self),
        ("restore_claims_only_its_own", |fences| &mut fences.restore_claims_only_its_own),
        ("stopped_restore_keeps_claims", |fences| &mut fences.stopped_restore_keeps_claims),
        ("failed_restore_is_left", |fences| &mut fences.failed_restore_is_left),
        ("claim_keeps_done", |fences| &mut fences.claim_keeps_done),
        ("set_checks_claim", |fences| &mut fences.set_checks_claim),
        ("set_checks_weights", |fences| &mut fences.set_checks_weights),
        ("drift_check", |fences| &mut fences.drift_check),
        ("bake_settles", |fences| &mut fences.bake_settles),
        ("swap_checks_claim", |fences| &mut fences.swap_checks_claim),
        ("swap_marks_done", |fences| &mut fences.swap_marks_done),
        ("restore_speaks_for_one_app", |fences| &mut fences.restore_speaks_for_one_app),
        ("roll_back_checks_claim", |fences| &mut fences.roll_back_checks_claim),
        ("roll_back_checks_weights", |fences| &mut fences.roll_back_checks_weights),
        ("second_pass", |fences| &mut fences.second_pass),
        ("predecessors_are_mine", |fences| &mut fences.predecessors_are_mine),
        ("settle_before_release", |fences| &mut fences.settle_before_release),
        ("release_checks_claim", |fences| &mut fences.release_checks_claim),
        ("release_leaves_a_trace", |fences| &mut fences.release_leaves_a_trace),
        ("stripped_goes_back", |fences| &mut fences.stripped_goes_back),
        ("anew_looks_at_self", |fences| &mut fences.anew_looks_at_self),
        ("anew_settles", |fences| &mut fences.anew_settles),
        ("unseen_is_not_nothing", |fences| &mut fences.unseen_is_not_nothing),
    ];

    /// The protocol with one fence taken out.
    pub fn without(switch: Switch) -> Self {
        let mut fences = Self::ALL;
        *switch(&mut fences) = false;
        fences
    }
}
