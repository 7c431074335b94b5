"""What is asked of AWS: each row has a claim of ours, and a function that asks whether it holds."""

import time

from bench import TAG, code, forward
from botocore.exceptions import BotoCoreError, ClientError

PROVEN, REFUTED, NOT_RUN = "proven", "refuted", "not run"

# With these, AWS says nothing about what was asked.
NO_ANSWER = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "InternalError",
    "InvalidAction",
    "InvalidClientTokenId",
    "OptInRequired",
    "RequestExpired",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnknownOperationException",
    "UnrecognizedClientException",
}
THROTTLED = {"Throttling", "ThrottlingException"}

# All rows, in the order in which they are asked.
ROWS = []


class Row:
    """A claim, and how it is asked."""

    def __init__(self, name, operation, claim, ask):
        self.name, self.operation, self.claim, self.ask = name, operation, claim, ask

    def run(self, bench):
        """The verdict and the evidence for it."""
        try:
            return self.ask(bench)
        except ClientError as error:
            return (REFUTED if answers(error) else NOT_RUN), f"answered {said(error)}"
        except BotoCoreError as error:
            return NOT_RUN, f"no answer: {error}"
        except (KeyError, IndexError, TypeError, ValueError) as error:
            return NOT_RUN, f"an answer of another shape: {error!r}"


def lists(rows):
    """A decorator for the rows of one list: what is decorated asks for its row's claim."""

    def row(name, operation, claim):
        def listed(ask):
            rows.append(Row(name, operation, claim, ask))
            return ask

        return listed

    return row


row = lists(ROWS)


def answers(error):
    """Whether a refusal is one of what was asked. A code that is a number is that of HTTP: the other side speaks
    another protocol."""
    return code(error) not in NO_ANSWER | THROTTLED and not code(error).isdigit()


def said(error):
    """A refusal in a line."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
    return f"HTTP {status} {code(error)}: {error.response['Error'].get('Message', '')}"


def refused(call, codes, words=""):
    """Whether a call is refused with one of these codes, and these words; any code where none is given."""
    try:
        call()
    except ClientError as error:
        if not answers(error):
            raise
        held = (not codes or code(error) in codes) and words in error.response["Error"].get("Message", "")
        return (PROVEN if held else REFUTED), said(error)
    return REFUTED, "was not refused"


def refused_for_count(ask, real, words):
    """Whether 21 things are refused by these words. Most of them do not exist, and where AWS looks for them first,
    the ones that do are named again and again."""
    verdict, evidence = refused(lambda: ask(twenty_one(real)), {"ValidationError"}, words)
    if verdict == PROVEN or "NotFound" not in evidence:
        return verdict, evidence
    again, repeated = refused(lambda: ask((real * 21)[:21]), {"ValidationError"}, words)
    # They may have been counted once only.
    return (PROVEN if again == PROVEN else NOT_RUN), f"21 different ones {evidence}; with doubles {repeated}"


def made_up(real, number):
    """An ARN or a name like this one, of something that does not exist."""
    start, sign, _ = real.rpartition("/" if "/" in real else "-")
    return f"{start}{sign}{number:016x}" if sign == "/" else f"{start}{sign}{number + 100}"


def twenty_one(real):
    return real + [made_up(real[0], number) for number in range(1, 22 - len(real))]


def tag(bench, arn, value, key=TAG):
    return bench.change("add_tags", ResourceArns=[arn], Tags=[{"Key": key, "Value": value}])


def weigh(bench, rule, weights, **more):
    return bench.change("modify_rule", RuleArn=rule, Actions=forward(weights, **more))


def target_stickiness(bench, group, enabled):
    kind = [{"Key": "stickiness.type", "Value": "lb_cookie"}] if enabled else []
    on = {"Key": "stickiness.enabled", "Value": "true" if enabled else "false"}
    return bench.change("modify_target_group_attributes", TargetGroupArn=group, Attributes=[on, *kind])


@row("add-tags-two-resources", "AddTags", "AddTags takes one resource a call: `Only one resource can be tagged at a time`.")
def _(bench):
    two = {"ResourceArns": bench.rules[:2], "Tags": [{"Key": "prove", "Value": "two"}]}
    return refused(lambda: bench.change("add_tags", **two), {"ValidationError"}, "Only one resource can be tagged at a time")


@row("remove-tags-two-resources", "RemoveTags", "RemoveTags takes one resource a call; its words are recorded nowhere.")
def _(bench):
    two = {"ResourceArns": bench.rules[:2], "TagKeys": ["prove"]}
    return refused(lambda: bench.change("remove_tags", **two), {"ValidationError"})


@row("describe-rules-21", "DescribeRules", "DescribeRules takes 20 ARNs: `You cannot describe more than '20' listener rules at a time`.")
def _(bench):
    ask = lambda arns: bench.look("elbv2", "describe_rules", RuleArns=arns)
    words = "You cannot describe more than '20' listener rules at a time"
    return refused_for_count(ask, [*bench.rules, bench.default_rule], words)


@row("describe-target-groups-21", "DescribeTargetGroups", "DescribeTargetGroups takes 20 names.")
def _(bench):
    names = [f"{bench.state.name}-{number}" for number in range(1, 7)]
    return refused_for_count(lambda named: bench.look("elbv2", "describe_target_groups", Names=named), names, "20")


@row("describe-listeners-21", "DescribeListeners", "DescribeListeners takes 20 ARNs.")
def _(bench):
    ask = lambda arns: bench.look("elbv2", "describe_listeners", ListenerArns=arns)
    return refused_for_count(ask, [bench.listener], "20")


@row("describe-load-balancers-21", "DescribeLoadBalancers", "DescribeLoadBalancers takes 20 ARNs.")
def _(bench):
    ask = lambda arns: bench.look("elbv2", "describe_load_balancers", LoadBalancerArns=arns)
    return refused_for_count(ask, [bench.balancer], "20")


@row("describe-tags-21", "DescribeTags", "DescribeTags takes 20 resources.")
def _(bench):
    ask = lambda arns: bench.look("elbv2", "describe_tags", ResourceArns=arns)
    return refused_for_count(ask, [*bench.rules, bench.default_rule], "20")


def rules_are(bench, wanted):
    found = bench.look("elbv2", "describe_rules", RuleArns=wanted)["Rules"]
    priorities = sorted(rule["Priority"] for rule in found)
    same = {rule["RuleArn"] for rule in found} == set(wanted) and "default" in priorities
    return (PROVEN if same else REFUTED), f"{len(found)} rules, of the priorities {', '.join(priorities)}"


@row("describe-rules-default", "DescribeRules", "DescribeRules answers the ARN of a default rule, with the priority `default`.")
def _(bench):
    return rules_are(bench, [bench.default_rule])


@row("describe-rules-default-mixed", "DescribeRules", "DescribeRules answers default rules and others in one call.")
def _(bench):
    return rules_are(bench, [bench.rules[0], bench.default_rule, bench.rules[2]])


@row("describe-rules-unknown", "DescribeRules", "One unknown ARN fails the whole call of DescribeRules with `RuleNotFound`.")
def _(bench):
    some = [bench.rules[0], made_up(bench.rules[0], 1)]
    return refused(lambda: bench.look("elbv2", "describe_rules", RuleArns=some), {"RuleNotFound"})


@row("describe-tags-unknown", "DescribeTags", "One unknown ARN fails the whole call of DescribeTags with `RuleNotFound`.")
def _(bench):
    some = [bench.rules[0], made_up(bench.rules[0], 1)]
    return refused(lambda: bench.look("elbv2", "describe_tags", ResourceArns=some), {"RuleNotFound"})


@row("describe-tags-mixed", "DescribeTags", "DescribeTags takes rules, default rules and listeners in one call.")
def _(bench):
    asked = {bench.rules[0], bench.default_rule, bench.listener, bench.groups[0]}
    found = bench.look("elbv2", "describe_tags", ResourceArns=sorted(asked))["TagDescriptions"]
    same = {item["ResourceArn"] for item in found} == asked
    return (PROVEN if same else REFUTED), f"{len(found)} of {len(asked)} resources answered"


@row("tag-a-default-rule", "AddTags", "A default rule takes tags.")
def _(bench):
    tag(bench, bench.default_rule, "default", "prove")
    return PROVEN, "AddTags passed"


@row("target-stickiness-alone", "ModifyRule", "A rule to several groups, one of them with target stickiness, needs group stickiness.")
def _(bench):
    target_stickiness(bench, bench.groups[4], True)
    try:
        pair = {bench.groups[0]: 1, bench.groups[4]: 1}
        words = "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups"
        return refused(lambda: weigh(bench, bench.rules[0], pair), {"InvalidLoadBalancerAction"}, words)
    finally:
        weigh(bench, bench.rules[0], {bench.groups[0]: 100, bench.groups[1]: 0})
        target_stickiness(bench, bench.groups[4], False)


@row("target-stickiness-behind-rule", "ModifyTargetGroupAttributes", "A group of a rule that weighs without group stickiness takes no target stickiness.")
def _(bench):
    words = "This target group appears behind a rule with group stickiness disabled"
    try:
        return refused(lambda: target_stickiness(bench, bench.groups[1], True), {"InvalidConfigurationRequest"}, words)
    finally:
        target_stickiness(bench, bench.groups[1], False)


@row("target-stickiness-with-group-stickiness", "ModifyRule", "With group stickiness a rule takes groups that have target stickiness.")
def _(bench):
    target_stickiness(bench, bench.groups[4], True)
    try:
        sticky = {"Enabled": True, "DurationSeconds": 60}
        weigh(bench, bench.rules[0], {bench.groups[0]: 1, bench.groups[4]: 1}, sticky=sticky)
        return PROVEN, "ModifyRule passed"
    finally:
        weigh(bench, bench.rules[0], {bench.groups[0]: 100, bench.groups[1]: 0})
        target_stickiness(bench, bench.groups[4], False)


@row("weights-left-out", "ModifyRule", "Several groups need a weight each: `The weight for each target group must be between 0 and 999, inclusive`.")
def _(bench):
    pair = {bench.groups[0]: 1, bench.groups[1]: 1}
    words = "The weight for each target group must be between 0 and 999, inclusive"
    return refused(lambda: weigh(bench, bench.rules[0], pair, named=False), {"ValidationError"}, words)


@row("duration-zero", "ModifyRule", "Group stickiness lasts 1 to 604800 seconds, also where it is off.")
def _(bench):
    off = {"Enabled": False, "DurationSeconds": 0}
    pair = {bench.groups[0]: 100, bench.groups[1]: 0}
    return refused(lambda: weigh(bench, bench.rules[0], pair, sticky=off), {"ValidationError"}, "between 1 and 604800")


@row("six-groups", "ModifyRule", "An action to six groups is refused with `TooManyTargetGroups`, which the model of ModifyRule does not know.")
def _(bench):
    six = dict.fromkeys(bench.groups, 1)
    return refused(lambda: weigh(bench, bench.rules[0], six), {"TooManyTargetGroups"})


@row("tag-characters", "AddTags", "A tag's value takes none of ! ' ( ), which names of executions may hold.")
def _(bench):
    signs = {sign: refused(lambda: tag(bench, bench.rules[0], f"a{sign}b", "prove"), set()) for sign in "!'()"}
    all_refused = all(verdict == PROVEN for verdict, _ in signs.values())
    return (PROVEN if all_refused else REFUTED), "; ".join(f"{sign} {evidence}" for sign, (_, evidence) in signs.items())


@row("modify-default-rule", "ModifyRule", "ModifyRule of a default rule is refused with `OperationNotPermitted`.")
def _(bench):
    return refused(lambda: weigh(bench, bench.default_rule, {bench.groups[0]: 1}), {"OperationNotPermitted"})


@row("delete-default-rule", "DeleteRule", "DeleteRule of a default rule is refused with `OperationNotPermitted`.")
def _(bench):
    return refused(lambda: bench.change("delete_rule", RuleArn=bench.default_rule), {"OperationNotPermitted"})


@row("rule-made-anew", "CreateRule", "A rule that is deleted and made anew has another ARN, and the old one is unknown.")
def _(bench):
    name = bench.state.name
    made = []
    for _ in range(2):
        rule = bench.make(
            "rule", "create_rule", ("Rules", "RuleArn"), ListenerArn=bench.listener, Priority=9,
            Conditions=[{"Field": "path-pattern", "Values": [f"/{name}-9"]}], Actions=forward({bench.groups[2]: 1}),
        )  # fmt: skip
        made.append(rule)
        bench.change("delete_rule", RuleArn=rule)
    verdict, evidence = refused(lambda: bench.look("elbv2", "describe_rules", RuleArns=[made[0]]), {"RuleNotFound"})
    return (verdict if made[0] != made[1] else REFUTED), f"{'two ARNs' if made[0] != made[1] else 'the same ARN'}; {evidence}"


@row("conditions-stay", "ModifyRule", "ModifyRule without conditions leaves them as they are.")
def _(bench):
    conditions = lambda: bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[0]])["Rules"][0]["Conditions"]
    before = conditions()
    weigh(bench, bench.rules[0], {bench.groups[0]: 100, bench.groups[1]: 0})
    after = conditions()
    return (PROVEN if before and after == before else REFUTED), f"{before}, then {after}"


@row("group-in-use", "DeleteTargetGroup", "A group that a rule names cannot be deleted: `ResourceInUse`.")
def _(bench):
    return refused(lambda: bench.change("delete_target_group", TargetGroupArn=bench.groups[3]), {"ResourceInUse"})


def listen(bench, protocol):
    """Whether a second listener is refused. One that is not goes with the balancer."""
    answer = ("Listeners", "ListenerArn")
    actions = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    wanted = {"LoadBalancerArn": bench.balancer, "Protocol": protocol, "Port": 8443, "DefaultActions": actions}
    return lambda: bench.make("listener", "create_listener", answer, **wanted)


@row("listener-by-tcp", "CreateListener", "An application balancer does not listen by TCP: `UnsupportedProtocol`.")
def _(bench):
    return refused(listen(bench, "TCP"), {"UnsupportedProtocol"})


@row("https-without-certificate", "CreateListener", "An HTTPS listener needs a certificate: `CertificateNotFound`.")
def _(bench):
    return refused(listen(bench, "HTTPS"), {"CertificateNotFound"})


@row("target-of-another-kind", "RegisterTargets", "A group of addresses takes no instance: `InvalidTarget`.")
def _(bench):
    # No instance of anybody: ids have 8 or 17 signs.
    targets = [{"Id": "instance"}]
    return refused(lambda: bench.change("register_targets", TargetGroupArn=bench.groups[4], Targets=targets), {"InvalidTarget"})


@row("health-of-an-empty-group", "DescribeTargetHealth", "The target health of a group without targets is an empty list.")
def _(bench):
    found = bench.look("elbv2", "describe_target_health", TargetGroupArn=bench.groups[4])["TargetHealthDescriptions"]
    return (REFUTED if found else PROVEN), f"{len(found)} targets"


def needs_address(ask):
    """For what is asked of a target: only where a free address of a subnet was found."""
    return lambda bench: ask(bench) if bench.address else (NOT_RUN, "no free address of a subnet was found")


def health(bench, group):
    found = bench.look("elbv2", "describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
    shown = found[0]["TargetHealth"] if found else {}
    return shown.get("State", "not listed"), shown.get("Reason", ""), shown.get("Description", "")


@row("health-unattached", "DescribeTargetHealth", "A target of a group that no rule names is `unused` by `Target.NotInUse`.")
@needs_address
def _(bench):
    bench.change("register_targets", TargetGroupArn=bench.groups[5], Targets=[{"Id": bench.address, "Port": 80}])
    shown = health(bench, bench.groups[5])
    return (PROVEN if shown[:2] == ("unused", "Target.NotInUse") else REFUTED), " ".join(shown)


@row("health-at-weight-0", "DescribeTargetHealth", "A group at weight 0 is health-checked: its target is not `unused`.")
@needs_address
def _(bench):
    bench.change("register_targets", TargetGroupArn=bench.groups[3], Targets=[{"Id": bench.address, "Port": 80}])
    began, seen = time.monotonic(), []
    for _ in range(25):
        shown = " ".join(health(bench, bench.groups[3])[:2]).strip()
        if not seen or seen[-1] != shown:
            seen.append(shown)
        if shown.startswith("unhealthy"):
            break
        bench.sleep(2)
    checked = seen[-1].startswith(("unhealthy", "initial"))
    return (PROVEN if checked else REFUTED), f"{', then '.join(seen)} within {time.monotonic() - began:.0f} s"


@row("health-draining", "DeregisterTargets", "A target that is taken out of a group in use is shown as `draining`.")
@needs_address
def _(bench):
    bench.change("deregister_targets", TargetGroupArn=bench.groups[3], Targets=[{"Id": bench.address, "Port": 80}])
    shown = health(bench, bench.groups[3])
    return (PROVEN if shown[0] == "draining" else REFUTED), " ".join(shown)


@row("health-zone-not-enabled", "DescribeTargetHealth", "A target in a zone that the balancer has not is `unused` by `Target.NotInUse`, in a group that is attached.")
def _(bench):
    if not bench.address_elsewhere:
        return NOT_RUN, "the VPC has no subnet in a third zone, or subnets were given"
    targets = [{"Id": bench.address_elsewhere, "Port": 80}]
    bench.change("register_targets", TargetGroupArn=bench.groups[2], Targets=targets)
    shown = health(bench, bench.groups[2])
    return (PROVEN if shown[:2] == ("unused", "Target.NotInUse") else REFUTED), " ".join(shown)
