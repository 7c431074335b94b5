"""Rows about what answers of the balancer show."""

from rows import PROVEN, REFUTED, health, lists, needs_address, refused

ROWS = []
row = lists(ROWS)


@row("parts-of-an-action", "DescribeRules", "A fixed response and a redirect are shown with all their parts, also those left out.")
def _(bench):
    fixed = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "prove"}
    redirect = {"Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}", "StatusCode": "HTTP_302"}
    given = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_302"}
    told, held = [], True
    for kind, field, written, wanted in (
        ("fixed-response", "FixedResponseConfig", fixed, fixed),
        ("redirect", "RedirectConfig", given, redirect),
    ):
        bench.change("modify_rule", RuleArn=bench.rules[2], Actions=[{"Type": kind, field: written}])
        shown = bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[2]])["Rules"][0]["Actions"][0]
        held = held and shown.get(field) == wanted
        told.append(f"{kind} as {shown.get(field)}")
    return (PROVEN if held else REFUTED), "; ".join(told)


@row("one-group-shown-both-ways", "DescribeRules", "One group is shown as TargetGroupArn and in ForwardConfig with weight 1.")
def _(bench):
    plain = [{"Type": "forward", "TargetGroupArn": bench.groups[2]}]
    bench.change("modify_rule", RuleArn=bench.rules[2], Actions=plain)
    shown = bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[2]])["Rules"][0]["Actions"][0]
    inner = shown.get("ForwardConfig", {}).get("TargetGroups")
    same = shown.get("TargetGroupArn") == bench.groups[2] and inner == [{"TargetGroupArn": bench.groups[2], "Weight": 1}]
    return (PROVEN if same else REFUTED), f"shown as {shown}"


@row("parts-of-a-condition", "DescribeRules", "A condition on paths is shown by Values and by PathPatternConfig.")
def _(bench):
    shown = bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[0]])["Rules"][0]["Conditions"][0]
    inner = shown.get("PathPatternConfig", {}).get("Values")
    return (PROVEN if inner and shown.get("Values") == inner else REFUTED), f"shown as {shown}"


@row("defaults-of-a-group", "DescribeTargetGroups", "A group shows HTTP1, ipv4 and that it is checked, where nothing else was asked for.")
def _(bench):
    group = bench.look("elbv2", "describe_target_groups", TargetGroupArns=[bench.groups[3]])["TargetGroups"][0]
    told = {key: group.get(key) for key in ("ProtocolVersion", "IpAddressType", "HealthCheckEnabled")}
    return (PROVEN if list(told.values()) == ["HTTP1", "ipv4", True] else REFUTED), f"shown as {told}"


@row("addresses-of-a-balancer", "DescribeLoadBalancers", "A balancer shows the kind of its addresses.")
def _(bench):
    balancer = bench.look("elbv2", "describe_load_balancers", LoadBalancerArns=[bench.balancer])["LoadBalancers"][0]
    kind = balancer.get("IpAddressType")
    return (PROVEN if kind == "ipv4" else REFUTED), f"shown as {kind}"


@row("attributes-of-a-group", "DescribeTargetGroupAttributes", "A group shows stickiness.enabled, stickiness.type, and a delay of 300 s by default.")
def _(bench):
    found = bench.look("elbv2", "describe_target_group_attributes", TargetGroupArn=bench.groups[3])["Attributes"]
    shown = {item["Key"]: item["Value"] for item in found}
    told = {key: shown.get(key) for key in ("stickiness.enabled", "stickiness.type", "deregistration_delay.timeout_seconds")}
    held = list(told.values()) == ["false", "lb_cookie", "300"]
    return (PROVEN if held else REFUTED), ", ".join(f"{key}={value}" for key, value in told.items())


@row("attributes-of-a-balancer", "DescribeLoadBalancerAttributes", "All attributes of a balancer are texts, idle_timeout.timeout_seconds among them.")
def _(bench):
    found = bench.look("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=bench.balancer)["Attributes"]
    shown = {item["Key"]: item.get("Value", "") for item in found}
    held = "idle_timeout.timeout_seconds" in shown and all(isinstance(value, str) for value in shown.values())
    return (PROVEN if held else REFUTED), f"{len(shown)} attributes, idle_timeout.timeout_seconds={shown.get('idle_timeout.timeout_seconds')}"


@row("unknown-attribute-of-a-balancer", "ModifyLoadBalancerAttributes", "An attribute that a balancer does not have is refused with `ValidationError`.")
def _(bench):
    unknown = {"LoadBalancerArn": bench.balancer, "Attributes": [{"Key": "prove.nothing", "Value": "1"}]}
    return refused(lambda: bench.change("modify_load_balancer_attributes", **unknown), {"ValidationError"})


@row("health-at-once", "DescribeTargetHealth", "A target of a group in use is `initial` right after it was registered, and `draining` right after it was deregistered.")
@needs_address
def _(bench):
    target = {"TargetGroupArn": bench.groups[0], "Targets": [{"Id": bench.address, "Port": 81}]}
    bench.change("register_targets", **target)
    first = health(bench, bench.groups[0])[0]
    bench.change("deregister_targets", **target)
    then = health(bench, bench.groups[0])[0]
    return (PROVEN if (first, then) == ("initial", "draining") else REFUTED), f"{first}, then {then}"


@row("health-with-anomalies", "DescribeTargetHealth", "With Include=AnomalyDetection the states of targets are those without.")
@needs_address
def _(bench):
    ask = lambda **more: bench.look("elbv2", "describe_target_health", TargetGroupArn=bench.groups[5], **more)
    states = [[t["TargetHealth"]["State"] for t in answer["TargetHealthDescriptions"]] for answer in (ask(), ask(Include=["AnomalyDetection"]))]
    return (PROVEN if states[0] and states[0] == states[1] else REFUTED), f"{states[0]} without, {states[1]} with"
