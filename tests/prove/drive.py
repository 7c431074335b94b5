"""Runs of the stack with traffic: what a drain, a shift, a restore and a failback do on this balancer."""

import datetime
import json
import time

import fleet
import target
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
# So long the machine sends what it is told to.
TOLD_SECONDS = 100
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


def by_minute(bench, group, metric, begins, ends, period, statistic="Sum"):
    """What is counted of a group, or of the balancer alone, by the beginning of each period."""
    of = {"LoadBalancer": bench.balancer.split(":loadbalancer/")[1], **({"TargetGroup": group.split(":")[-1]} if group else {})}
    dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dimensions}
    query = [{"Id": "a", "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}}]
    if ends <= begins:
        return {}
    found = bench.look("cloudwatch", "get_metric_data", MetricDataQueries=query, StartTime=begins, EndTime=ends)
    result = found["MetricDataResults"][0]
    return {at.timestamp(): value for at, value in zip(result["Timestamps"], result["Values"], strict=True)}


def counted(bench, group, metric, begins, ends, period):
    return sum(by_minute(bench, group, metric, begins, ends, period).values())


def requests(bench, group, begins, ends, period):
    return counted(bench, group, "RequestCount", begins, ends, period)


@row("answers-of-a-group", "GetMetricData", "RequestCount of a group is the sum of what its targets answered, by HTTPCode_Target_2XX to 5XX.")
@needs_a_fleet
def _(bench):
    if not bench.stages:
        return NOT_RUN, "no shift came to its end"
    period = 1 if bench.quick else 60
    begins, ends = (int(datetime.datetime.fromisoformat(bench.stages[-1][at]).timestamp()) for at in ("startedAt", "endedAt"))
    window = (begins // period * period, ends // period * period, period)
    total = requests(bench, bench.groups[1], *window)
    answered = [counted(bench, bench.groups[1], f"HTTPCode_Target_{kind}XX_Count", *window) for kind in range(2, 6)]
    if not total:
        return NOT_RUN, "CloudWatch counts no request"
    # Some are under way at both ends.
    held = abs(total - sum(answered)) <= max(2, total / 100)
    return (PROVEN if held else REFUTED), f"{total:.0f} requests; {', '.join(f'{count:.0f}' for count in answered)} answers of 2XX to 5XX"


@row("minutes-come-late", "GetMetricData", "A minute is shown within two minutes after its end, and may change once it is shown.")
@needs_a_fleet
def _(bench):
    period, every, looks = (1, 0.5, 20) if bench.quick else (60, 15, 20)
    first, shown, changed, began = {}, {}, set(), time.time()
    for _ in range(looks):
        bench.sleep(every)
        now = time.time()
        begins = int(began) // period * period
        for at, value in by_minute(bench, bench.groups[1], "RequestCount", begins, int(now), period).items():
            first.setdefault(at, now - at - period)
            if at + period <= now and shown.get(at, value) != value:
                changed.add(at)
            shown[at] = value
    if not first:
        return REFUTED, f"no period of {looks * every:.0f} s was shown"
    latest = max(first.values())
    told = f"{len(first)} periods of {period} s, shown {min(first.values()):.0f} to {latest:.0f} s after their end, {len(changed)} changed later"
    return (PROVEN if latest <= 120 else REFUTED), told


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


@row("nobody-to-choose", "GetMetricData", "A 503 for want of a target counts as HTTPCode_ELB_503 of the balancer, and is no request of the group.")
@needs_a_fleet
def _(bench):
    period, lasts = (1, 6) if bench.quick else (60, 150)
    empty, begins = bench.groups[4], int(time.time())
    bench.change("modify_rule", RuleArn=bench.rules[2], Actions=forward({empty: 1}))
    bench.sleep(lasts)
    bench.change("modify_rule", RuleArn=bench.rules[2], Actions=forward({bench.groups[0]: 100, bench.groups[1]: 0}))
    bench.sleep(1 if bench.quick else COUNTED_AFTER_SECONDS)
    window = (begins // period * period, int(time.time()) // period * period, period)
    of_balancer, of_group = (counted(bench, group, "HTTPCode_ELB_503_Count", *window) for group in (None, empty))
    chosen = requests(bench, empty, *window)
    if not of_balancer:
        return NOT_RUN, "no 503 was counted"
    held = not of_group and not chosen
    return (PROVEN if held else REFUTED), f"{of_balancer:.0f} of the balancer; of the group {of_group:.0f} and {chosen:.0f} requests"


def told(bench, what):
    """Has the machine send this to the second group alone, where nothing else arrives; the window in which it did."""
    period, lasts = (1, 8) if bench.quick else (60, TOLD_SECONDS)
    bench.sleep(period - time.time() % period)
    begins, rules = int(time.time()), []
    told = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": what}
    actions = {"odd": forward({bench.groups[1]: 1}), "told": [{"Type": "fixed-response", "FixedResponseConfig": told}]}
    for priority, (path, action) in enumerate(actions.items(), 50):
        rule = bench.make(
            "rule", "create_rule", ("Rules", "RuleArn"), ListenerArn=bench.listener, Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [f"/{bench.state.name}-1-{path}"]}], Actions=action,
        )  # fmt: skip
        rules.append(rule)
    bench.sleep(lasts)
    # What is told goes first, and what is under way comes to its end.
    for rule in reversed(rules):
        bench.change("delete_rule", RuleArn=rule)
        bench.sleep(5)
    bench.sleep(1 if bench.quick else COUNTED_AFTER_SECONDS)
    return begins, int(time.time()) // period * period, period


def figures(bench, what):
    """Requests of the second group while it got nothing but this, answers of its targets, and the window."""
    window = told(bench, what)
    answers = sum(counted(bench, bench.groups[1], f"HTTPCode_Target_{kind}XX_Count", *window) for kind in range(2, 6))
    return requests(bench, bench.groups[1], *window), answers, window


@row("clients-that-hang-up", "GetMetricData", "A client that hangs up counts in RequestCount of the group, in no class of its targets, and among the 4XX of the balancer.")
@needs_a_fleet
def _(bench):
    total, answers, window = figures(bench, target.HANG_UP)
    own = counted(bench, None, "HTTPCode_ELB_4XX_Count", *window)
    if not total:
        return NOT_RUN, "CloudWatch counts no request"
    return (PROVEN if not answers and own else REFUTED), f"{total:.0f} requests, {answers:.0f} answers; {own:.0f} 4XX of the balancer"


@row("web-sockets", "GetMetricData", "A WebSocket counts in RequestCount of the group and in no class of its targets.")
@needs_a_fleet
def _(bench):
    total, answers, _ = figures(bench, target.WEB_SOCKET)
    if not total:
        return NOT_RUN, "CloudWatch counts no request"
    return (REFUTED if answers else PROVEN), f"{total:.0f} requests, {answers:.0f} answers"


@row("time-until-headers", "GetMetricData", "TargetResponseTime ends where the target begins to answer: a body that comes 3 s later is not in it.")
@needs_a_fleet
def _(bench):
    total, answers, window = figures(bench, target.LATE_BODY)
    longest = max(by_minute(bench, bench.groups[1], "TargetResponseTime", *window, "Maximum").values(), default=None)
    if not answers or longest is None:
        return NOT_RUN, "CloudWatch counts no answer"
    held = longest < target.LATE_SECONDS / 2
    return (PROVEN if held else REFUTED), f"{answers:.0f} answers of {total:.0f} requests, the slowest after {longest:.3f} s"
