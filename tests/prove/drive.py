"""Runs of the stack with traffic: what a drain, a shift, a restore and a failback do on this balancer."""

import datetime
import json
import time

import fleet
from bench import forward
from rows import NOT_RUN, PROVEN, REFUTED, lists
from stack import LOOK_EVERY_SECONDS, ended, restore_of, start

# Stages of two minutes, looked at every twenty seconds: as short as CloudWatch, which is a minute or two late, allows.
PACE = {"bake": "2m", "poll": "20s"}
# Of a local balancer, whose periods may be as short as this.
QUICK = {"bake": "4s", "poll": "1s", "period": "1s", "criteria": {"longerPeriods": 8, "slowSeconds": 3}}
RUN_WITHIN_SECONDS = 15 * 60
# CloudWatch has counted a minute for good after so many more.
COUNTED_AFTER_SECONDS = 3 * 60
ROWS = []
row = lists(ROWS)


def paths(bench):
    """One of each rule, and one that only the default action has."""
    name = bench.state.name
    return [f"/{name}-1", f"/{name}-2", f"/{name}-3", "/"]


def weigh(bench, one, two):
    """Every route of the app: three rules and the default action."""
    actions = forward({bench.groups[0]: one, bench.groups[1]: two})
    for rule in bench.rules:
        bench.change("modify_rule", RuleArn=rule, Actions=actions)
    bench.change("modify_listener", ListenerArn=bench.listener, DefaultActions=actions)


def split(bench):
    """What all routes hold, or None where they differ."""
    listed = bench.look("elbv2", "describe_rules", ListenerArn=bench.listener)["Rules"]
    found = set()
    for rule in listed:
        weights = {g["TargetGroupArn"]: g["Weight"] for g in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]}
        found.add(tuple(weights.get(group, 0) for group in bench.groups[:2]))
    return found.pop() if len(found) == 1 else None


def run(bench, operation, **more):
    """An execution that is over, and its output."""
    given = {"app": "prove", "operation": operation, **(QUICK if bench.quick else PACE), **more}
    found = ended(bench, start(bench, **given), RUN_WITHIN_SECONDS)
    return found, json.loads(found.get("output") or "{}")


def reached(bench, found, output, status, weights):
    """Whether a run ended so, and all routes hold what it says."""
    said = output.get("summary") or f"{found.get('error')}: {found.get('cause')}"
    held = found["status"] == "SUCCEEDED" and output.get("status") == status and split(bench) == weights
    return (PROVEN if held else REFUTED), f"{said}; the four routes hold {split(bench)}"


@row("behind-healthy", "RegisterTargets", "One machine behind two groups, on a port for each, becomes healthy in both.")
def _(bench):
    weigh(bench, 50, 50)
    bench.behind = fleet.attach(bench, *bench.fleet.start(paths(bench)))
    return PROVEN, bench.behind


def needs_a_fleet(ask):
    def asked(bench):
        return ask(bench) if bench.behind else (NOT_RUN, "nobody is behind the balancer")

    return asked


@row("drains", "StartExecution", "A drain takes the standby out of four routes, and ends as `drained` once no request reaches it.")
@needs_a_fleet
def _(bench):
    return reached(bench, *run(bench, "drain", standby="prod2"), "drained", (100, 0))


@row("shifts", "StartExecution", "A shift in two stages is judged by CloudWatch's figures of both fleets, and ends as `shifted`.")
@needs_a_fleet
def _(bench):
    found, output = run(bench, "shift", stages=[50, 100])
    bench.stages = output.get("stages", [])
    verdict, said = reached(bench, found, output, "shifted", (0, 100))
    return verdict, f"{said}; {'; '.join(stage.get('reason', '') for stage in bench.stages)}"


@row("weights-spread", "GetMetricData", "Changed weights reach all nodes of the balancer in seconds: a minute later the other group has no request.")
@needs_a_fleet
def _(bench):
    if not bench.stages:
        return NOT_RUN, "no shift came to its end"
    last = bench.stages[-1]
    period = 1 if bench.quick else 60
    begins, ends = (datetime.datetime.fromisoformat(last[at]).timestamp() for at in ("startedAt", "endedAt"))
    begins = (int(begins) // period + 2) * period
    bench.sleep(0 if bench.quick else max(0, ends + COUNTED_AFTER_SECONDS - time.time()))
    old, new = (requests(bench, group, begins, int(ends) // period * period, period) for group in bench.groups[:2])
    if not new:
        return NOT_RUN, f"CloudWatch counts no request between {begins} and {ends:.0f}"
    return (REFUTED if old else PROVEN), f"from {period} s after the change of weights on: {old:.0f} and {new:.0f} requests"


def requests(bench, group, begins, ends, period):
    dimensions = {"LoadBalancer": bench.balancer.split(":loadbalancer/")[1], "TargetGroup": group.split(":")[-1]}
    dimensions = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": dimensions}
    query = [{"Id": "a", "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}]
    if ends <= begins:
        return 0
    found = bench.look("cloudwatch", "get_metric_data", MetricDataQueries=query, StartTime=begins, EndTime=ends)
    return sum(found["MetricDataResults"][0]["Values"])


@row("restores", "StopExecution", "The restore of a run that is stopped in a stage puts back what that run had found, on all routes.")
@needs_a_fleet
def _(bench):
    before = split(bench)
    execution = start(bench, app="prove", operation="shift", stages=[50, 100], **(QUICK if bench.quick else PACE))
    deadline = time.monotonic() + RUN_WITHIN_SECONDS
    while split(bench) != (50, 50):
        if time.monotonic() > deadline:
            return NOT_RUN, "the run never came to its first stage"
        bench.sleep(LOOK_EVERY_SECONDS)
    bench.change("stop_execution", "stepfunctions", executionArn=execution)
    while not (restore := restore_of(bench, execution)):
        if time.monotonic() > deadline:
            return REFUTED, "no restore began"
        bench.sleep(LOOK_EVERY_SECONDS)
    found = ended(bench, restore, RUN_WITHIN_SECONDS)
    return reached(bench, found, json.loads(found.get("output") or "{}"), "restored", before)


@row("fails-back", "StartExecution", "A failback takes the traffic back in one step, and ends as `failedBack`.")
@needs_a_fleet
def _(bench):
    return reached(bench, *run(bench, "failback"), "failedBack", (100, 0))
