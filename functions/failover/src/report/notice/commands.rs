//! What a notice has people type.

use crate::model::Plan;
use crate::wire::NoticeRequest;

/// The stack that the command `failover` is about where none is named.
const STACK: &str = "failover";

/// A command about the apps of a run, such as `failover rollback web`.
pub(super) fn command(request: &NoticeRequest, plan: &Plan, word: &str) -> String {
    // The execution's ARN names the state machine, which is called as its stack.
    let stack = request.execution.split(':').nth(6).filter(|stack| *stack != STACK);
    let options = stack.map(|stack| format!(" --stack {stack}")).unwrap_or_default();
    format!("failover {word} {}{options}", plan.app.names().join(","))
}

/// The commands that put back what was found, for an evening on which nothing else answers. Each is on a
/// line of its own, so that one that fails does not keep the others back.
pub(super) fn by_hand(plan: &Plan) -> String {
    let commands: Vec<&str> = plan.routes.iter().map(|route| route.revert_command.as_str()).collect();
    format!(
        "By hand, should Step Functions not answer; these put the weights back to {}:\n{}\n\n",
        plan.before_in_words(),
        commands.join("\n")
    )
}
