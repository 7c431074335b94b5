//! The protocol by which executions keep out of each other's way, as a model that a checker
//! explores completely.
//!
//! # Why
//!
//! The balancer has no compare-and-swap: a function reads tags and weights, thinks, and writes, and
//! anything may happen in between. People stop executions, Lambda crashes and tries again, somebody
//! changes a rule by hand. Tests try some orders of these events. Here [`stateright`] tries all of
//! them, for two executions that want the same app, the restores that follow from stops, and one
//! foreign writer.
//!
//! # The protocol
//!
//! A route carries three tags besides its weights: `claim` (who is changing it), `before` (what to go
//! back to) and `live`. An execution goes through `PlanShift` (reads only), `ClaimRoutes`,
//! `SetWeights` and `CheckMetrics` for each stage, `SwapRoles` and `ReleaseRoutes`; or, when the
//! release is not well, `RollBack` and `ReleaseRoutes`. Before each write it reads the claim and the
//! weights, in this order, and goes on only if both are as they must be. Such a check is a **fence**:
//! [`fences`] lists them all.
//!
//! `ClaimRoutes` reads the tags, asks what became of whoever holds a claim, reads the weights, writes
//! claim and `before` together, settles once, and reads tags and weights back. At every exit it asks
//! whether its own execution was stopped, and if so takes the claim away itself. An attempt that fails
//! is repeated only after SETTLE, so that nothing of it is on its way any more when the next one begins.
//!
//! `SwapRoles` writes two tags of a route in one call: `live`, and `before` with the final weights and
//! the mark **done**. From then on there is nothing to put back on any of its routes.
//!
//! Whether a claim keeps an execution out, and whether a run has come to its end, are not said here a second time:
//! [`failover::model::claim`] of the product is called. A fence that is down keeps something from it.
//!
//! # Restores
//!
//! An interrupted execution is followed by a **restore**, which takes over its claims and puts back
//! `before`. A restore may be interrupted as well, and then the next one finishes the work of both: the
//! claims of all that come before it in such a chain are as good as its own. It goes the way of any
//! other: `ClaimRoutes`, `RollBack`, SETTLE, `RollBack` again, `SwapRoles`, `ReleaseRoutes`; only that
//! it makes haste and does not settle after its claim.
//!
//! * If one of the routes that the chain claims is marked as done, its weights are the target on all
//!   of them, and the claim of the restore carries the mark on. So an execution that was stopped after
//!   the first such write of `SwapRoles` is not moved back, and one that was stopped before it is.
//!   (If that write is still on its way when the restore makes its plan, it is moved back, too.)
//! * A restore that has put back what each route had marks each as **restored** in its `SwapRoles`. That
//!   counts for this route alone, since others may have had other weights: the next restore, should this
//!   one be stopped between two such writes, puts back the same.
//! * If a claim has vanished, the predecessor came to its end after all. The restore writes nothing
//!   more, gives back what it still holds, and ends as overtaken. It never claims a route that nobody of
//!   its chain holds.
//! * If it finds no claim it ends at once. The claim of an execution that was stopped in `ClaimRoutes`
//!   may arrive later and stay, but only where the weights are its `before`: see [`properties`].
//! * If it is stopped in `ClaimRoutes` it leaves the claims to the next restore, and if it cannot write
//!   them it ends as a rollback that failed, with `before` left for people. To clean up as other
//!   executions do would throw away what its predecessor recorded.
//!
//! Anybody else may take the claim of an interrupted execution if that is long ago, the weights are
//! `before`, and the route is marked neither as done nor as restored.
//!
//! # Time
//!
//! The one assumption: a write lands within SETTLE of the check before it, or never. To **settle** is
//! to wait for that long. The model has no clock: a wait can end only when every write that was
//! checked before the wait began has landed or is lost. Everything else may take any time at all.
//! That is why an invocation of a stopped execution, which goes on for a while, does no harm: what it
//! has checked lands soon or never, and what it has yet to check meets a fence. More waits rely on it:
//!
//! * A bake is at least SETTLE long.
//! * SETTLE passes before `ClaimRoutes` is tried again, between the two passes of `RollBack`, and
//!   before `ReleaseRoutes` after every failing end that has not settled through `RollBack`.
//! * An interruption is **long ago** when nothing of the execution, nor of those whose work it was to
//!   finish, can be at work or on its way any more, at the moment when its claim is *read*. Its status
//!   is read later, by up to SETTLE. So by the clock of whoever asks it takes the longest invocation and
//!   twice SETTLE.
//!
//! # What is left out
//!
//! A foreign write between a check and the write that follows it is overwritten. Nothing can help
//! that without compare-and-swap; the properties excuse it, and nothing else. Foreign weights that
//! equal weights of ours cannot be told from ours and are not modelled. Neither are metrics
//! (`CheckMetrics` may decide either way at any time), the health of fleets (so there is no way to roll
//! back but to `before`, and `RollBackFailed` stands for `Halted`), probes, and restores that people
//! start. A stopped execution that comes to an ending of its own in the same moment counts as stopped.
//!
//! # Where to read on
//!
//! [`world`] and [`execution`] are the nouns, [`turn`] what an execution does at each call,
//! [`protocol`] what may happen when, [`observer`] and [`properties`] what must hold, [`story`] how a
//! counterexample reads.

pub mod execution;
pub mod fences;
pub mod observer;
pub mod properties;
pub mod protocol;
pub mod state;
pub mod story;
pub mod turn;
pub mod world;
