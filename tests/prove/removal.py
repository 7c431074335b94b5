"""Rows about what goes along with what is removed. They come last: nothing is left to ask afterwards."""

from bench import code, forward
from botocore.exceptions import ClientError
from rows import NOT_RUN, PROVEN, REFUTED, answers, lists, refused, said

# Of one balancer, besides its default rules, unless the account's quota was raised.
MOST_RULES = 100

ROWS = []
row = lists(ROWS)


def listen(bench):
    answer = ("Listeners", "ListenerArn")
    actions = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    wanted = {"LoadBalancerArn": bench.balancer, "Protocol": "HTTP", "Port": bench.port, "DefaultActions": actions}
    return bench.make("listener", "create_listener", answer, **wanted)


def add_rule(bench, listener, number):
    return bench.make(
        "rule", "create_rule", ("Rules", "RuleArn"), ListenerArn=listener, Priority=1000 + number,
        Conditions=[{"Field": "path-pattern", "Values": [f"/{bench.state.name}-{number}"]}], Actions=forward({bench.groups[2]: 1}),
    )  # fmt: skip


@row("hundred-rules", "CreateRule", "A balancer has 100 rules besides the default ones: one more is refused with `TooManyRules`.")
def _(bench):
    has = len(bench.look("elbv2", "describe_rules", ListenerArn=bench.listener)["Rules"]) - 1
    for number in range(has + 1, MOST_RULES + 2):
        try:
            add_rule(bench, bench.listener, number)
        except ClientError as error:
            if not answers(error):
                raise
            held = number - 1 == MOST_RULES and code(error) == "TooManyRules"
            return (PROVEN if held else REFUTED), f"after {number - 1} rules {said(error)}"
    return NOT_RUN, f"{MOST_RULES + 1} rules passed: the account's quota was raised"


@row("listener-goes-with-its-rules", "DeleteListener", "DeleteListener takes the rules along.")
def _(bench):
    bench.change("delete_listener", ListenerArn=bench.listener)
    return refused(lambda: bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[0]]), {"RuleNotFound"})


@row("balancer-goes-with-its-listeners", "DeleteLoadBalancer", "DeleteLoadBalancer takes listeners and rules along and leaves the groups.")
def _(bench):
    listener = listen(bench)
    rule = add_rule(bench, listener, 0)
    bench.change("delete_load_balancer", LoadBalancerArn=bench.balancer)
    gone = [
        refused(lambda: bench.look("elbv2", "describe_listeners", ListenerArns=[listener]), {"ListenerNotFound"}),
        refused(lambda: bench.look("elbv2", "describe_rules", RuleArns=[rule]), {"RuleNotFound"}),
    ]
    left = bench.look("elbv2", "describe_target_groups", TargetGroupArns=bench.groups)["TargetGroups"]
    held = all(verdict == PROVEN for verdict, _ in gone) and len(left) == len(bench.groups)
    return (PROVEN if held else REFUTED), f"{'; '.join(evidence for _, evidence in gone)}; {len(left)} groups are left"


@row("balancer-goes-twice", "DeleteLoadBalancer", "DeleteLoadBalancer passes where there is no balancer any more.")
def _(bench):
    try:
        bench.change("delete_load_balancer", LoadBalancerArn=bench.balancer)
    except ClientError as error:
        return REFUTED, said(error)
    return PROVEN, "passed"
