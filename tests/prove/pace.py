"""Rows with figures: how soon a change shows, and how many changes AWS lets pass."""

import time
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError
from bench import code
from rows import NOT_RUN, PROVEN, REFUTED, THROTTLED, lists, needs_address, refused, said, tag, weigh

ROWS = []
row = lists(ROWS)

POLLS, EVERY_SECONDS, ROUNDS = 20, 0.1, 2
BURST, AT_ONCE = 40, 8


def read_after_write(bench, write, read):
    """How long a change takes to show, and whether it goes back, over some rounds."""
    shows, went_back, missed = [], 0, 0
    for number in range(1, ROUNDS + 1):
        write(number)
        written, first = time.monotonic(), None
        for poll in range(POLLS):
            bench.sleep(max(0.0, written + poll * EVERY_SECONDS - time.monotonic()))
            if read() == number:
                first = first if first is not None else time.monotonic() - written
            elif first is not None:
                went_back += 1
        missed += first is None
        shows += [first] if first is not None else []
    figures = ", ".join(f"{1000 * first:.0f} ms" for first in shows) or "never"
    evidence = f"showed after {figures}; {went_back} of {ROUNDS * POLLS} reads went back; {missed} of {ROUNDS} changes not seen"
    return (REFUTED if went_back or missed else PROVEN), evidence


@row("weight-read-after-write", "DescribeRules", "A changed weight shows within 2 s, and does not go back.")
def _(bench):
    def read():
        shown = bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[0]])["Rules"][0]["Actions"][0]
        groups = {group["TargetGroupArn"]: group["Weight"] for group in shown["ForwardConfig"]["TargetGroups"]}
        return groups.get(bench.groups[1])

    return read_after_write(bench, lambda to: weigh(bench, bench.rules[0], {bench.groups[0]: 100, bench.groups[1]: to}), read)


@row("tag-read-after-write", "DescribeTags", "A changed tag shows within 2 s, and does not go back.")
def _(bench):
    def read():
        found = bench.look("elbv2", "describe_tags", ResourceArns=[bench.rules[1]])["TagDescriptions"][0]["Tags"]
        values = {item["Key"]: item["Value"] for item in found}
        return int(values.get("prove-read", "0"))

    return read_after_write(bench, lambda to: tag(bench, bench.rules[1], str(to), "prove-read"), read)


def metric_data(bench, *statistics):
    balancer = bench.balancer.split(":loadbalancer/", 1)[1]
    group = bench.groups[0].rsplit(":", 1)[1]
    names = {"LoadBalancer": balancer, "TargetGroup": group}
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "TargetResponseTime",
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
    }
    now = time.time()
    stats = [{"Metric": metric, "Period": 60, "Stat": statistic} for statistic in statistics]
    queries = [{"Id": f"q{number}", "MetricStat": stat} for number, stat in enumerate(stats)]
    return bench.look("cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=now - 600, EndTime=now)


def taken(answer):
    """Whether every query was answered in full."""
    results = answer["MetricDataResults"]
    complete = results and all(result["StatusCode"] == "Complete" for result in results)
    shown = ", ".join(f"{result['Id']} {result['StatusCode']} {result['Values']}" for result in results)
    return (PROVEN if complete else REFUTED), shown or "no results"


@row("tc-of-a-target-group", "GetMetricData", "GetMetricData takes `TC(0.1:)` of TargetResponseTime per target group.")
def _(bench):
    return taken(metric_data(bench, "TC(0.1:)"))


@row("percentiles-of-a-target-group", "GetMetricData", "GetMetricData takes `p95` and `p99.9` of TargetResponseTime per target group.")
def _(bench):
    return taken(metric_data(bench, "p95", "p99.9"))


@row("five-hundred-and-one-queries", "GetMetricData", "GetMetricData takes 500 queries: one more is refused with `ValidationError`.")
def _(bench):
    return refused(lambda: metric_data(bench, *["Sum"] * 501), {"ValidationError"})


@row("metric-data-messages", "GetMetricData", "An answer of GetMetricData has Messages at the top, an empty list where there is nothing to say.")
def _(bench):
    answer = metric_data(bench, "Average")
    return (PROVEN if answer.get("Messages") == [] else REFUTED), f"Messages: {answer.get('Messages', 'missing')}"


@row("parts-of-a-result", "GetMetricData", "A result has the id of its query, a label, as many times as values, and how complete it is.")
def _(bench):
    result = metric_data(bench, "Average")["MetricDataResults"][0]
    held = result.get("Id") == "q0" and result.get("Label") and result.get("StatusCode") == "Complete"
    held = held and len(result["Timestamps"]) == len(result["Values"])
    return (PROVEN if held else REFUTED), f"{', '.join(sorted(result))}; {len(result['Values'])} values"


@row("alarms-in-two-lists", "DescribeAlarms", "An alarm has a name and a state; those that are made of others come in a list of their own.")
def _(bench):
    asked = bench.look("cloudwatch", "describe_alarms", AlarmTypes=["CompositeAlarm", "MetricAlarm"], MaxRecords=10)
    lists_there = {"CompositeAlarms", "MetricAlarms"} <= asked.keys()
    alarms = [alarm for name in ("CompositeAlarms", "MetricAlarms") for alarm in asked.get(name, [])]
    if lists_there and not alarms:
        return NOT_RUN, "the account has no alarm"
    held = lists_there and all(alarm.get("AlarmName") and alarm.get("StateValue") for alarm in alarms)
    return (PROVEN if held else REFUTED), f"{len(alarms)} alarms in two lists"


@row("composite-alarms", "DescribeAlarms", "DescribeAlarms answers composite alarms only where AlarmTypes asks for them.")
def _(bench):
    asked = bench.look("cloudwatch", "describe_alarms", AlarmTypes=["CompositeAlarm"], MaxRecords=1)
    names = [alarm["AlarmName"] for alarm in asked.get("CompositeAlarms", [])]
    if not names:
        return NOT_RUN, "the account has no composite alarm, and none is made, since each costs $0.50 a month"
    found = bench.look("cloudwatch", "describe_alarms", AlarmNames=names).get("CompositeAlarms", [])
    return (REFUTED if found else PROVEN), f"{len(found)} of {len(names)} answered without AlarmTypes"


@row("hundred-and-one-alarm-names", "DescribeAlarms", "DescribeAlarms takes 100 names: one more is refused with `ValidationError`.")
def _(bench):
    names = [f"{bench.state.name}-{number}" for number in range(101)]
    return refused(lambda: bench.look("cloudwatch", "describe_alarms", AlarmNames=names), {"ValidationError"})


def burst(call, bench, most=BURST):
    """How many calls pass at once, and whether one was throttled."""
    # The buckets are full again by then.
    bench.sleep(7)
    refusals = []

    def once(number):
        if refusals:
            return False
        try:
            call(number)
        except ClientError as error:
            if code(error) not in THROTTLED:
                raise
            refusals.append(error)
            return False
        return True

    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = sum(pool.map(once, range(most)))
    seconds = time.monotonic() - began
    ended = "then throttled" if refusals else "none was throttled"
    return passed, refusals, f"{passed} of up to {most} passed in {seconds:.1f} s, {ended}"


@row("describing-burst", "DescribeRules", "40 describing calls pass at once before AWS throttles.")
def _(bench):
    ask = lambda _: bench.look("once", "describe_rules", RuleArns=[bench.rules[0]])
    passed, _, evidence = burst(ask, bench, 60)
    return (PROVEN if passed >= 40 else REFUTED), evidence


@row("targets-burst", "RegisterTargets", "20 changes of targets pass at once before AWS throttles.")
@needs_address
def _(bench):
    target = {"TargetGroupArn": bench.groups[5], "Targets": [{"Id": bench.address, "Port": 80}]}
    passed, _, evidence = burst(lambda _: bench.change("register_targets", client="once", **target), bench, 30)
    return (PROVEN if passed >= 20 else REFUTED), evidence


@row("tag-burst", "AddTags", "20 changes of tags pass at once before AWS throttles.")
def _(bench):
    change = lambda number: {"ResourceArns": [bench.rules[0]], "Tags": [{"Key": "prove-burst", "Value": str(number)}]}
    passed, refusals, evidence = burst(lambda number: bench.change("add_tags", client="once", **change(number)), bench)
    bench.throttled = refusals[0] if refusals else None
    bench.rule_after = rule_after_burst(bench) if refusals else None
    return (PROVEN if passed >= 20 else REFUTED), evidence


def rule_after_burst(bench):
    """What a change of a rule meets while changes of tags are throttled; None if it passes."""
    actions = [{"Type": "forward", "TargetGroupArn": bench.groups[2]}]
    try:
        bench.change("modify_rule", client="once", RuleArn=bench.rules[2], Actions=actions)
    except ClientError as error:
        return error
    return None


@row("throttling-code", "AddTags", "Too many changes are refused with HTTP 400 and `Throttling`.")
def _(bench):
    if bench.throttled is None:
        return NOT_RUN, "nothing was throttled"
    status = bench.throttled.response["ResponseMetadata"]["HTTPStatusCode"]
    held = code(bench.throttled) == "Throttling" and status == 400
    return (PROVEN if held else REFUTED), said(bench.throttled)


@row("tags-and-rules-share-a-bucket", "ModifyRule", "Changes of rules are throttled together with those of tags.")
def _(bench):
    if bench.throttled is None:
        return NOT_RUN, "nothing was throttled"
    if bench.rule_after is None:
        return REFUTED, "ModifyRule passed right after AddTags was throttled"
    return (PROVEN if code(bench.rule_after) in THROTTLED else REFUTED), said(bench.rule_after)
