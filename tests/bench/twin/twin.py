"""set-weights as a team would write it in Python, for comparison.

The same input and output, the same AWS calls in the same order, the same refusals. CLIENTS names the
clients that are made at the start: the twin of another function is this one with the clients of that
function, as far as its start and the refusal of a request go.
"""

import os
from datetime import datetime, timezone

import boto3
from botocore.config import Config

CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=5)
CLIENTS = {name: boto3.client(name, config=CONFIG) for name in os.environ["CLIENTS"].split()}
BALANCER = CLIENTS.get("elbv2")


class BadRequest(Exception):
    pass


class ExternalChange(Exception):
    pass


class Unhealthy(Exception):
    pass


class AwsUnavailable(Exception):
    pass


def handler(event, _context):
    try:
        plan, progress = event["plan"], event["progress"]
        stage = plan["stages"][progress["stage"]]
    except (KeyError, IndexError) as error:
        raise BadRequest(f"The request was not understood ({error!r})") from error
    percent = stage["standbyPercent"]
    app = plan["apps"][0]
    desired = {app["liveGroup"]: 100 - percent, app["standbyGroup"]: percent}
    check_health(desired)
    check_claims(plan)
    current = read(plan)
    check_no_external_change(plan, progress, current, desired)
    write(plan, current, desired)
    return set_progress(plan, progress, stage, percent)


def check_claims(plan):
    """Every app is still claimed by this execution."""
    locks = [min(app["liveGroup"], app["standbyGroup"]) for app in plan["apps"]]
    for description in BALANCER.describe_tags(ResourceArns=locks)["TagDescriptions"]:
        tags = {tag["Key"]: tag["Value"] for tag in description["Tags"]}
        if tags.get("failover:claim") != plan["execution"]["arn"]:
            raise ExternalChange(f"This run no longer holds {description['ResourceArn']}")


def read(plan):
    """The actions of every route."""
    arns = [route["ruleArn"] for route in plan["routes"]]
    pages = BALANCER.get_paginator("describe_rules").paginate(RuleArns=arns)
    rules = {rule["RuleArn"]: rule["Actions"] for page in pages for rule in page["Rules"]}
    return [rules[arn] for arn in arns]


def weights_of(actions):
    forward = actions[-1]
    groups = forward.get("ForwardConfig", {}).get("TargetGroups", [])
    if len(groups) < 2:
        return {groups[0]["TargetGroupArn"] if groups else forward["TargetGroupArn"]: 100}
    return {group["TargetGroupArn"]: group.get("Weight", 1) for group in groups}


def check_health(desired):
    for group, percent in desired.items():
        answer = BALANCER.describe_target_health(TargetGroupArn=group)
        states = [target["TargetHealth"]["State"] for target in answer["TargetHealthDescriptions"]]
        if percent > 0 and "healthy" not in states:
            raise Unhealthy(f"{group} has 0 of {len(states)} targets healthy")


def check_no_external_change(plan, progress, current, desired):
    for route, actions in zip(plan["routes"], current):
        earlier = progress["timeline"][-1]["weights"] if progress["timeline"] else route["found"]
        app = plan["apps"][0]
        allowed = [{app["liveGroup"]: earlier[plan["live"]], app["standbyGroup"]: earlier[plan["standby"]]}, desired]
        found = weights_of(actions)
        if not any(gives(found, weights) for weights in allowed):
            raise ExternalChange(f"Somebody else changed {route['label']}: it holds {found}")


def gives(found, weights):
    """Whether both send the same share to every group."""
    total, wanted = sum(found.values()) or 1, sum(weights.values()) or 1
    groups = found.keys() | weights.keys()
    return all(found.get(g, 0) * wanted == weights.get(g, 0) * total for g in groups)


def write(plan, current, desired):
    changed = False
    for route, actions in zip(plan["routes"], current):
        if weights_of(actions) == desired:
            continue
        changed = True
        config = dict(actions[-1].get("ForwardConfig", {}))
        config["TargetGroups"] = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in desired.items()]
        forward = {"Type": "forward", "ForwardConfig": config}
        if "Order" in actions[-1]:
            forward["Order"] = actions[-1]["Order"]
        written = [*(keep_secret(action) for action in actions[:-1]), forward]
        if "defaultOf" in route:
            BALANCER.modify_listener(ListenerArn=route["defaultOf"], DefaultActions=written)
        else:
            BALANCER.modify_rule(RuleArn=route["ruleArn"], Actions=written)
    if changed and any(weights_of(actions) != desired for actions in read(plan)):
        raise AwsUnavailable("a route was written but does not read back")


def keep_secret(action):
    if action["Type"] != "authenticate-oidc":
        return action
    oidc = {**action["AuthenticateOidcConfig"], "UseExistingClientSecret": True}
    oidc.pop("ClientSecret", None)
    return {**action, "AuthenticateOidcConfig": oidc}


def set_progress(plan, progress, stage, percent):
    record = {
        "stage": progress["stage"],
        "weights": {plan["live"]: 100 - percent, plan["standby"]: percent},
        "startedAt": datetime.now(timezone.utc).isoformat(),
    }
    wait = max(1, min(plan["pollSeconds"], stage["bakeSeconds"]))
    return {**progress, "timeline": [*progress["timeline"], record], "waitSeconds": wait}
