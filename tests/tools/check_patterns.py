"""Holds the event pattern for interrupted runs against events as AWS was recorded to put them.

    check_patterns.py TEMPLATE ENDINGS
    check_patterns.py --self-test

The pattern is evaluated as moto does, since the local AWS of rehearsals agrees with itself. It must meet every run that
ended without an ending of its own, and no other; the endings are those of `RunEnding` in the functions' ending.rs.
"""

import json
import re

import checks
from moto.events.models import EventPattern, EventPatternParser

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:failover"
OTHER = MACHINE + "-other"
# Names of errors that are nobody's ending: Step Functions' own, Lambda's, and a run that somebody stopped with a name.
FOREIGN = ["States.Runtime", "States.DataLimitExceeded", "States.Timeout", "Lambda.Unknown", "Stopped", ""]
MISSING = object()


def event(status, error=None, cause=None, machine=MACHINE, **more):
    """A `Step Functions Execution Status Change`.

    Recorded by localstack, tests/aws/services/stepfunctions/v2/base/test_base.snapshot.json,
    test_event_bridge_events_base: error and cause are null where there is none, not missing.
    """
    detail = {
        "executionArn": machine.replace("stateMachine", "execution") + ":run",
        "stateMachineArn": machine,
        "name": "run",
        "status": status,
        "startDate": 1707314218000,
        "stopDate": None if status == "RUNNING" else 1707314219000,
        "input": "{}",
        "inputDetails": {"included": True},
        "output": "{}" if status == "SUCCEEDED" else None,
        "outputDetails": {"included": True} if status == "SUCCEEDED" else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": f"Execution is {status} and cannot be redriven",
        "error": error,
        "cause": cause,
    }
    return {
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000001",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "123456789012",
        "time": "2024-02-07T13:56:58Z",
        "region": "us-east-1",
        "resources": [detail["executionArn"]],
        "detail": {key: value for key, value in detail.items() if value is not MISSING},
        **more,
    }


def expected(endings):
    """Events, each with whether the rule must meet it."""
    yield event("RUNNING"), False
    yield event("SUCCEEDED"), False
    for status in ("ABORTED", "TIMED_OUT", "FAILED"):
        yield event(status), True
        # Not recorded with these, so it must not matter whether they are there.
        yield event(status, error=MISSING, cause=MISSING), True
        yield event(status, machine=OTHER), False
        yield event(status, source="somebody.else"), False
    for name in FOREIGN:
        yield event("FAILED", name, "Something."), True
        yield event("ABORTED", name, "Somebody stopped it."), True
    for name in endings:
        yield event("FAILED", name, "What happened, and what to do."), False


def faults(case):
    """What is wrong with a pattern, given the endings of runs."""
    pattern, endings = case
    text = json.dumps(pattern)
    matcher = EventPattern(text, EventPatternParser(text).parse())
    found = []
    for put, wanted in expected(endings):
        if matcher.matches_event(put) != wanted:
            detail = put["detail"]
            what = f"{put['source']} {detail['stateMachineArn']} {detail['status']} {detail.get('error', 'without error')}"
            found.append(f"{what} is {'not ' if wanted else ''}met")
    return found


def filled(part):
    """A pattern of the template with the state machine's ARN in it."""
    if isinstance(part, dict):
        return MACHINE if "Ref" in part else {key: filled(value) for key, value in part.items()}
    return [filled(value) for value in part] if isinstance(part, list) else part


def check(files):
    """What is wrong with the pattern of a template, given the functions' endings, and how many events were tried."""
    template, source = files
    with open(template, encoding="utf-8") as text:
        pattern = checks.template(text.read())["Resources"]["RestoreRule"]["Properties"]["EventPattern"]
    with open(source, encoding="utf-8") as text:
        code = text.read()
    count = re.search(r"ALL: \[Self; (\d+)\]", code)
    endings = re.findall(r'Self::\w+ => "(\w+)"', code)
    if not count or len(endings) != int(count[1]):
        return [f"{source} names no endings"], 0
    return faults((filled(pattern), endings)), len(list(expected(endings)))


def cases():
    """Patterns that must be refused, each with a word of why, and one that must not."""

    def made(error, statuses=("ABORTED", "TIMED_OUT", "FAILED")):
        detail = {"stateMachineArn": [MACHINE], "status": list(statuses), "error": error}
        return {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail}

    others = {"anything-but": ["RolledBack", "Halted"]}
    endings = ["RolledBack", "Halted"]
    return [
        ((made([None, {"exists": False}, others]), endings), None),
        ((made([{"exists": False}]), endings), "ABORTED None is not met"),
        ((made([None, others]), endings), "ABORTED without error is not met"),
        ((made([None, {"exists": False}]), endings), "FAILED States.Runtime is not met"),
        ((made([None, {"exists": False}, others]), [*endings, "Lost"]), "FAILED Lost is met"),
        ((made([None, {"exists": False}, others], ["FAILED"]), endings), "TIMED_OUT None is not met"),
    ]


if __name__ == "__main__":
    checks.run("events", check, faults, cases())
