//! The protocol by which executions keep out of each other's way, as a model that a checker explores
//! completely. "One run at a time" in the README of the state machine has it in short.
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
//! An app has two target groups and any number of routes. The tags of one of the groups, its **lock**, say who
//! changed the app last and what that one has reached, in one value that one call writes, together with `live`.
//! What an execution had found when it made its plan stands in its history. An execution goes through `PlanShift`
//! (reads only), `ClaimRoutes`, `SetWeights` and `CheckMetrics` for each stage, `SwapRoles` and `ReleaseRoutes`; or,
//! when the release is not well, `RollBack` and `ReleaseRoutes`. Before each write it reads the claims and the
//! weights, in this order, and goes on only if both are as they must be. Such a check is a **fence**: [`fences`]
//! lists them all.
//!
//! What a claim is to whoever finds it, and whether a run has come to its end, are not said here a second time:
//! [`failover::model::hold`] of the product is called. A fence that is down keeps something from it.
//!
//! `ClaimRoutes` reads the tags, asks what became of whoever holds a claim, reads the weights, claims, settles
//! once, and reads tags and weights back. At every exit it asks whether its own execution was stopped, and if so
//! gives the claim back itself. An attempt that fails is repeated only after SETTLE, so that nothing of it is on its
//! way any more when the next one begins.
//!
//! `SwapRoles` writes `live` and the mark **done**. From then on there is nothing to put back on any of its apps.
//! `ReleaseRoutes` writes the mark **released**, or **left** where people have to decide. Nobody removes a claim.
//!
//! # Restores
//!
//! An interrupted execution is followed by a **restore**, which takes over its claims and puts back what its history
//! tells. A restore may be interrupted as well, and then the next one finishes the work of both: the
//! claims of all that come before it in such a chain are as good as its own. It goes the way of any
//! other: `ClaimRoutes`, `RollBack`, SETTLE, `RollBack` again, `SwapRoles`, `ReleaseRoutes`; only that
//! it makes haste and does not settle after its claim.
//!
//! * A history may not show yet what has happened. Then it is read again.
//! * If one of the claims of the chain is marked as done, what that execution leaves at its end is the target on all
//!   routes, and the claim of the restore carries the mark on. So an execution that was stopped after
//!   the first such write of `SwapRoles` is not moved back, and one that was stopped before it is.
//!   (If that write is still on its way when the restore makes its plan, it is moved back, too.)
//! * A restore that has put back what each app had marks each as **restored** in its `SwapRoles`, and none as done,
//!   which would count for the others.
//! * If a claim was given back, the predecessor came to its end after all. If somebody else has claimed, it is none
//!   of the restore's business. In both cases it writes nothing more, gives back what it still holds, and ends as
//!   overtaken; where it finds so at once, it ends at once.
//! * If it is stopped in `ClaimRoutes` it leaves the claims to the next restore, and if it cannot write
//!   them it ends as a rollback that failed, and the app is left to people.
//!
//! Nobody else may take the claim of an interrupted execution, whatever the weights are: a restore may be about to
//! move them. What an execution leaves that was stopped so late, or whose invocation died, that its restore has found
//! nothing is taken up by a restore that a person starts.
//!
//! # Claims that are gone, or late
//!
//! Infrastructure code removes tags that it does not know. Whoever comes then sees the app as free. So an execution
//! that finds its claim gone goes back instead of on, and `RollBack` claims anew. A restore that finds no claim goes by
//! the history: the newest of its chain whose `ClaimRoutes` is over is what it restores, unless that has left
//! `ReleaseRoutes`.
//!
//! An invocation of a stopped execution may go on for as long as it likes, and come to a claim that is gone, or that a
//! late write of a predecessor has put there, when its restore is long over. So whoever is to write where the claim is
//! not its own one looks first whether its own execution is still running; and `RollBack`, where it has claimed anew,
//! settles once more. (An invocation that crashes right between the two forgets that. With the two crashes that this
//! takes nothing is promised.)
//!
//! What holds once tags were removed is shown for one execution and its restores. With a rival it does not hold that
//! both never write: a rival that has taken the claim of an interrupted execution at the same moment as its restore is
//! not seen by that restore any more when the tags are removed.
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
//!
//! # What is left out
//!
//! A foreign write between a check and the write that follows it is overwritten. Nothing can help
//! that without compare-and-swap; the properties excuse it, and nothing else. Foreign weights that
//! equal weights of ours cannot be told from ours and are not modelled. Neither are metrics
//! (`CheckMetrics` may decide either way at any time), probes, hooks, and restores that people start. Fleets have no
//! health: that a rollback leads to the other fleet, or leaves the traffic where it is (`RollBackFailed` stands for
//! `Halted` as well), may happen at any time where a model says that it may, and from then on where the traffic
//! belongs is up to people. A stopped execution that comes to an ending of its own in the same moment counts as
//! stopped.
//!
//! # Runs that were seen
//!
//! [`replay`] follows a run that was made elsewhere, by what can be seen of it ([`trace`]): functions that begin and
//! end, stops, endings, and what routes and claims are after every change. What a function reads is not seen, and a
//! write that changes nothing is not, either. So the model is followed through every state that it may be in, and a
//! run is refused at the first thing that is possible in none of them, or after which a property does not hold in
//! one of them. The simulation of this project shows every run of its own to it.
//!
//! Where the two are not of one grain:
//!
//! * The model reads tags and weights anew before each route, the functions before each lot. What comes in between
//!   is met by states that have read before it.
//! * Functions write the routes and the apps of a lot in any order, and the model in theirs: it is led to the one
//!   that was seen to change.
//! * A function that fails is, to the model, one that crashes, with its write on the way or without, or one whose
//!   write is refused for good. What comes next tells which.
//! * The model ends at once where nothing was claimed. What ships goes through `ReleaseRoutes` then, as it does
//!   where a hook has refused, and that may change nothing.
//! * A plan that finds everything as asked ends in the model where it would have claimed.
//! * The tag `failover:live` is known to the model, but not compared with what was seen: to the model it is weights.
//!   The same holds for `failover:request` and `failover:release`, of which it knows nothing.
//! * Time is not compared. That a write of an earlier execution lands after somebody has settled is refused, as it
//!   is what the model takes for impossible.
//! * In virtual time nobody removes tags, and no two executions that a person starts run at once. For both there is
//!   the exhaustive search alone.
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
pub mod replay;
pub mod state;
pub mod story;
pub mod trace;
pub mod turn;
pub mod world;
