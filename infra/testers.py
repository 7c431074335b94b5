"""Leads testers to the standby of one app by a rule of their own, or takes that rule away again.

    testers.py add STACK FILE APP
    testers.py remove STACK [APP]

The rule is a stack of testers.yaml, STACK-testers-APP. FILE holds the settings of STACK. What is not
given in the environment as LISTENER, PRIORITY, TARGET_GROUP, HOST_NAME and SECRET is found on the
balancer, kept from before, or asked for.
"""

import getpass
import os
import secrets
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

import settings

HEADER = "x-failover-standby"
# On the stack of a rule: the stack that it belongs to.
OF = "failover:stack"


def pages(call, key, **arguments):
    """All that a call of a client lists under a key."""
    client, name = call
    return [item for page in client.get_paginator(name).paginate(**arguments) for item in page[key]]


def is_for_testers(rule):
    """Whether a rule has the header of testers as a condition."""
    names = [c.get("HttpHeaderConfig", {}).get("HttpHeaderName", "") for c in rule["Conditions"]]
    return HEADER in [name.lower() for name in names]


def weights(rule):
    """What a rule forwards to, as weights by target group.

    AWS shows the weight of each of several groups, having refused a rule without, and that of a single one as 1.
    """
    forwards = [action for action in rule["Actions"] if action["Type"] == "forward"]
    if not forwards:
        return {}
    alone = [{"TargetGroupArn": forwards[-1].get("TargetGroupArn"), "Weight": 1}]
    groups = forwards[-1].get("ForwardConfig", {}).get("TargetGroups") or alone
    return {group["TargetGroupArn"]: group["Weight"] for group in groups}


def target_groups(elb, given, app):
    """The target groups of both fleets of the app, by fleet."""
    found = {}
    for pair in given["Fleets"].split(","):
        fleet, part = pair.split("=")
        name = given["TargetGroupPattern"].replace("{app}", app).replace("{fleet}", part)
        try:
            found[fleet] = elb.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
        except elb.exceptions.TargetGroupNotFoundException:
            sys.exit(f"There is no target group {name} for {fleet} of {app}. Nothing was changed.")
    return found


def standby(elb, fleets, routes):
    """The fleet that is the standby: by the weights, and where these do not tell by the tags of the target groups."""
    given = {arn: sum(weights(rule).get(arn, 0) for _, rule in routes) for arn in fleets.values()}
    silent = [fleet for fleet, arn in fleets.items() if given[arn] == 0]
    if len(silent) != 1:
        tags = elb.describe_tags(ResourceArns=list(fleets.values()))["TagDescriptions"]
        live = {tag["Value"] for found in tags for tag in found["Tags"] if tag["Key"] == "failover:live"}
        silent = [fleet for fleet in fleets if live and fleet not in live]
    if len(silent) != 1:
        sys.exit("Which fleet is the standby cannot be told: drain the app first, or give TARGET_GROUP=arn...")
    return silent[0]


def the_listener(routes):
    """The listener that users come to, where there is one only."""
    found = {listener["ListenerArn"]: f"{listener['Protocol']} {listener['Port']}" for listener, _ in routes}
    if len(found) == 1:
        return next(iter(found))
    listed = "".join(f"\n  LISTENER={arn}  {port}" for arn, port in found.items())
    sys.exit(f"Users of the app come by {len(found)} listeners; say which one testers use:{listed}")


def free_priority(elb, listener, routes):
    """The greatest priority that is free and comes before all of the app's rules on the listener."""
    taken = {rule["Priority"] for rule in pages((elb, "describe_rules"), "Rules", ListenerArn=listener)}
    own = [int(rule["Priority"]) for of, rule in routes if of["ListenerArn"] == listener and not rule["IsDefault"]]
    free = [number for number in range(1, min(own, default=50001)) if str(number) not in taken]
    if not free:
        sys.exit("No priority before those of the app's rules is free; move them, or give PRIORITY=number")
    return str(free[-1])


def the_secret():
    """The secret for testers: given, typed, or made and shown this once."""
    if "SECRET" in os.environ or not sys.stdin.isatty():
        return os.environ.get("SECRET") or sys.exit("Give what testers send as SECRET, in the environment.")
    typed = getpass.getpass(f"What testers send in the header {HEADER} (nothing: one is made): ")
    if not typed:
        typed = secrets.token_urlsafe(24)
        print(f"Testers send the header  {HEADER}: {typed}")
    return typed


def add(stack, file, app):
    """Adds the rule, or brings it up to date."""
    known = settings.load_template()["Parameters"]
    given = {name: parameter.get("Default") for name, parameter in known.items()} | settings.read(file, known)
    elb, formation = boto3.client("elbv2"), boto3.client("cloudformation")
    fleets = target_groups(elb, given, app)
    balancer = elb.describe_load_balancers(Names=[given["LoadBalancerName"]])["LoadBalancers"][0]["LoadBalancerArn"]
    listeners = pages((elb, "describe_listeners"), "Listeners", LoadBalancerArn=balancer)
    rules = [(of, r) for of in listeners for r in pages((elb, "describe_rules"), "Rules", ListenerArn=of["ListenerArn"])]
    routes = [(of, r) for of, r in rules if not is_for_testers(r) and weights(r).keys() & set(fleets.values())]
    if not routes:
        sys.exit(f"No rule of {given['LoadBalancerName']} forwards to a fleet of {app}. Nothing was changed.")

    name = f"{stack}-testers-{app}"
    there = any(found["StackName"] == name for found in pages((formation, "describe_stacks"), "Stacks"))
    listener = os.environ.get("LISTENER") or (None if there else the_listener(routes))
    wanted = {
        "ListenerArn": listener,
        "Priority": os.environ.get("PRIORITY") or (None if there else free_priority(elb, listener, routes)),
        "TargetGroupArn": os.environ.get("TARGET_GROUP") or fleets[standby(elb, fleets, routes)],
        "HostName": os.environ.get("HOST_NAME", None if there else ""),
    }
    print(f"The stack {name}, with", *(f"  {key}={value}" for key, value in wanted.items() if value), sep="\n")
    wanted["Secret"] = os.environ.get("SECRET") if there else the_secret()
    with open(os.path.join(os.path.dirname(__file__), "testers.yaml"), encoding="utf-8") as template:
        arguments = {
            "StackName": name,
            "TemplateBody": template.read(),
            "Tags": [{"Key": OF, "Value": stack}],
            "Parameters": [
                {"ParameterKey": key, "UsePreviousValue": True}
                if value is None
                else {"ParameterKey": key, "ParameterValue": value}
                for key, value in wanted.items()
            ],
        }
    try:
        if there:
            formation.update_stack(**arguments)
        else:
            formation.create_stack(**arguments, OnFailure="DELETE")
        formation.get_waiter("stack_update_complete" if there else "stack_create_complete").wait(StackName=name)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
    except WaiterError:
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        why = [e["ResourceStatusReason"] for e in events if "FAILED" in e["ResourceStatus"] and "ResourceStatusReason" in e]
        sys.exit(f"The stack {name} was refused: {why[-1] if why else 'see its events'}")
    fleet = next((fleet for fleet, arn in fleets.items() if arn == wanted["TargetGroupArn"]), wanted["TargetGroupArn"])
    print(f"Requests with the header {HEADER} go to {fleet}, the standby of {app}; every run keeps it so.")


def remove(stack, app=None):
    """Removes the rule of one app, or those of all apps of the stack."""
    formation = boto3.client("cloudformation")
    for found in pages((formation, "describe_stacks"), "Stacks"):
        name, ours = found["StackName"], {"Key": OF, "Value": stack} in found.get("Tags", [])
        if ours and (app is None or name == f"{stack}-testers-{app}"):
            formation.delete_stack(StackName=name)
            formation.get_waiter("stack_delete_complete").wait(StackName=name)
            print(f"Removed {name}: testers are users like all others.")


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    try:
        {"add": add, "remove": remove}[what](*arguments)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"AWS refused: {error}")
