"""A stack of ours beside the sandbox, under a name of this run: whether it deploys, and what it does there.

Nobody is behind the sandbox, so a run is refused before it touches anything; that alone needs the whole stack.
"""

import json
import os
import signal
import subprocess
import sys
import time

from bench import CannotRun, code, forward
from botocore.exceptions import ClientError
from rows import NOT_RUN, PROVEN, REFUTED, lists, refused

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")

# CloudFormation makes it within some four minutes.
DEPLOYED_WITHIN_SECONDS = 10 * 60
# A function that starts for the first time answers within a few seconds.
ENDS_WITHIN_SECONDS = 90
# Events of executions are delivered on a best-effort basis.
RESTORED_WITHIN_SECONDS = 120
# An execution may be over before it is stopped.
STOPS = 5
LOOK_EVERY_SECONDS = 2

ROWS = []
row = lists(ROWS)


def parameters(bench, architecture):
    """Of the template: the sandbox's balancer, and its first two groups as fleets."""
    name = bench.state.name
    return (
        f"LoadBalancerName={name} TargetGroupPattern={name}-{{fleet}} Fleets=prod1=1,prod2=2 "
        f"Architecture={architecture} ReservedConcurrency=0 LogRetentionDays=7 AlarmTopicArn=none"
    )


def said_by(command, environment):
    """What a script prints, and whether it fails. Whatever it has started ends with it, also where this is interrupted."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        try:
            out, err = process.communicate(timeout=DEPLOYED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise CannotRun(f"the stack is not there within {DEPLOYED_WITHIN_SECONDS // 60} minutes") from late
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out.strip(), err.strip()


def make_bucket(bench, name):
    """A bucket for the packages of the functions, closed to others as new ones are."""
    elsewhere = bench.state.region != "us-east-1"
    place = {"CreateBucketConfiguration": {"LocationConstraint": bench.state.region}} if elsewhere else {}
    bench.count()
    bench.clients["s3"].create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **place)


def deploy(bench, architecture, run=said_by):
    """Deploys the stack as `make deploy` does, with a bucket of its own, noted before either is made."""
    name = bench.state.name
    bench.bucket, bench.architecture = f"{name}-{bench.state.account}", architecture
    bench.state.note("bucket", bench.bucket)
    make_bucket(bench, bench.bucket)
    bench.state.note("stack", name)
    machine, said = run_deploy(bench, run)
    bench.machine = machine and bench.state.note("machine", name, machine)
    return machine, said


def run_deploy(bench, run=said_by):
    """Runs the script; gives the ARN of the state machine, if it comes to that, and what it said or how long it took."""
    environment = {
        **os.environ,
        "STACK": bench.state.name,
        "BUCKET": bench.bucket,
        "PARAMETERS": parameters(bench, bench.architecture),
        "AWS": os.path.join(os.path.dirname(sys.executable), "aws"),
        "AWS_DEFAULT_REGION": bench.state.region,
    }
    began = time.monotonic()
    failed, out, err = run([os.path.join(ROOT, "infra/deploy.sh")], environment)
    machine = (out.splitlines() or [""])[-1].strip()
    if failed or not machine.startswith("arn:"):
        return None, " ".join((err or out).splitlines()[-3:])
    return machine, f"after {time.monotonic() - began:.0f} s"


def start(bench, **given):
    execution = bench.change("start_execution", "stepfunctions", stateMachineArn=bench.machine, input=json.dumps(given))
    return bench.state.note("execution", None, execution["executionArn"])


def ended(bench, execution, within=ENDS_WITHIN_SECONDS):
    """An execution once it is over."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = bench.look("stepfunctions", "describe_execution", executionArn=execution)
        if found["status"] != "RUNNING":
            return found
        bench.sleep(LOOK_EVERY_SECONDS)
    raise ValueError(f"{execution} goes on after {within} s")


def weights(bench):
    rule = bench.look("elbv2", "describe_rules", RuleArns=[bench.rules[0]])["Rules"][0]
    return rule["Actions"]


@row("deploys", "CreateChangeSet", "The template deploys, and its state machine is taken as it is.")
def _(bench):
    return (PROVEN if bench.machine else REFUTED), bench.deployed


@row("refuses", "StartExecution", "A run onto fleets without a healthy target is refused by name, and nothing is touched.")
def _(bench):
    one, two = bench.groups[:2]
    # Other rows have had it meanwhile.
    bench.change("modify_rule", RuleArn=bench.rules[0], Actions=forward({one: 100, two: 0}))
    before = weights(bench)
    found = ended(bench, start(bench, app="prove", standby="prod2"))
    said = f"{found['status']} {found.get('error')}: {found.get('cause')}"
    refused = found.get("error") == "PlanRejected" and "healthy" in found.get("cause", "")
    return (PROVEN if refused and weights(bench) == before else REFUTED), said


@row("refuses-quietly", "StartExecution", "The same run succeeds as `unchanged` with `skipIfBlocked`, with the reason.")
def _(bench):
    found = ended(bench, start(bench, app="prove", standby="prod2", skipIfBlocked=True))
    output = json.loads(found.get("output") or "{}")
    held = found["status"] == "SUCCEEDED" and output.get("status") == "unchanged"
    return (PROVEN if held else REFUTED), f"{found['status']}: {output.get('summary', found.get('cause'))}"


@row("names-bad-input", "StartExecution", "An input with a field that nobody knows is refused by that field's name.")
def _(bench):
    found = ended(bench, start(bench, app="prove", stagse=[10]))
    held = found.get("error") == "PlanRejected" and "stagse" in found.get("cause", "")
    return (PROVEN if held else REFUTED), f"{found.get('error')}: {found.get('cause')}"


@row("stopped-event", "StopExecution", "An execution that is stopped is ABORTED without error and cause, and EventBridge starts its restore.")
def _(bench):
    for _ in range(STOPS):
        execution = start(bench, app="prove", standby="prod2")
        bench.change("stop_execution", "stepfunctions", executionArn=execution)
        found = ended(bench, execution)
        if found["status"] == "ABORTED":
            break
    else:
        return NOT_RUN, f"{STOPS} executions were over before they were stopped"
    shown = sorted({"error", "cause"} & found.keys())
    deadline, began = time.monotonic() + RESTORED_WITHIN_SECONDS, time.monotonic()
    while time.monotonic() < deadline:
        if restore_of(bench, execution):
            evidence = f"a restore began within {time.monotonic() - began:.0f} s; shown beside ABORTED: {shown or 'nothing'}"
            return (REFUTED if shown else PROVEN), evidence
        bench.sleep(LOOK_EVERY_SECONDS)
    return REFUTED, f"no restore began within {RESTORED_WITHIN_SECONDS} s"


def restore_of(bench, execution):
    """The execution that restores this one, or None."""
    listed = bench.look("stepfunctions", "list_executions", stateMachineArn=bench.machine, maxResults=20)
    for other in (found["executionArn"] for found in listed["executions"]):
        given = json.loads(bench.look("stepfunctions", "describe_execution", executionArn=other).get("input") or "{}")
        if given.get("operation") == "restore" and given.get("execution") == execution:
            return other
    return None


@row("executions-newest-first", "ListExecutions", "ListExecutions names what ended last first, and of what is running what began last.")
def _(bench):
    listed = bench.look("stepfunctions", "list_executions", stateMachineArn=bench.machine, maxResults=20)["executions"]
    running = [found["startDate"] for found in listed if found["status"] == "RUNNING"]
    over = [found["stopDate"] for found in listed if found["status"] != "RUNNING"]
    newest_first = len(over) > 1 and all(times == sorted(times, reverse=True) for times in (running, over))
    order = "in" if newest_first else "out of"
    return (PROVEN if newest_first else REFUTED), f"{len(over)} that are over and {len(running)} that are running, {order} that order"


def an_execution(bench):
    """The newest that is over."""
    listed = bench.look("stepfunctions", "list_executions", stateMachineArn=bench.machine, maxResults=20)["executions"]
    return next(found["executionArn"] for found in listed if found["status"] == "FAILED")


@row("history-from-its-beginning", "GetExecutionHistory", "A history shows all events in a row, and what a function failed with among them.")
def _(bench):
    events = bench.look("stepfunctions", "get_execution_history", executionArn=an_execution(bench), maxResults=1000)["events"]
    numbers = [event["id"] for event in events]
    # A local Step Functions calls a function by another kind of task.
    named = ("lambdaFunctionFailedEventDetails", "taskFailedEventDetails")
    told = [event[name].get("cause") for event in events for name in named if name in event]
    held = numbers == list(range(1, len(numbers) + 1)) and any(told)
    kinds = ", ".join(dict.fromkeys(event["type"] for event in events))
    return (PROVEN if held else REFUTED), f"{len(numbers)} events, {numbers[0]} to {numbers[-1]}: {kinds}"


@row("history-in-pages", "GetExecutionHistory", "A history comes in pages of as many events as are asked for, at most.")
def _(bench):
    asked = {"executionArn": an_execution(bench), "maxResults": 3}
    first = bench.look("stepfunctions", "get_execution_history", **asked)
    token = first.get("nextToken")
    second = bench.look("stepfunctions", "get_execution_history", **asked, nextToken=token) if token else {"events": []}
    numbers = [event["id"] for event in first["events"] + second["events"]]
    held = len(first["events"]) <= 3 < len(numbers) and numbers == sorted(set(numbers))
    return (PROVEN if held else REFUTED), f"{len(first['events'])} and {len(second['events'])} events: {numbers}"


@row("unknown-execution", "GetExecutionHistory", "The history of an unknown execution is refused with `ExecutionDoesNotExist`.")
def _(bench):
    unknown = bench.machine.replace(":stateMachine:", ":execution:") + ":nobody"
    return refused(lambda: bench.look("stepfunctions", "get_execution_history", executionArn=unknown), {"ExecutionDoesNotExist"})


@row("unknown-state-machine", "DescribeStateMachine", "An unknown state machine is refused with `StateMachineDoesNotExist`.")
def _(bench):
    unknown = f"{bench.machine}-none"
    return refused(lambda: bench.look("stepfunctions", "describe_state_machine", stateMachineArn=unknown), {"StateMachineDoesNotExist"})


@row("unknown-stack", "DescribeStacks", "An unknown stack is refused with `ValidationError`.")
def _(bench):
    unknown = f"{bench.state.name}-none"
    return refused(lambda: bench.look("cloudformation", "describe_stacks", StackName=unknown), {"ValidationError"})


class Leavings:
    """Takes a stack and its bucket away again."""

    def __init__(self, bench):
        self.bench = bench

    def check(self, name):
        if not name.startswith(self.bench.state.name):
            raise CannotRun(f"{name} was not made by this run")

    def stack(self, name):
        self.check(name)
        client = self.bench.clients["cloudformation"]
        self.bench.count()
        client.delete_stack(StackName=name)
        deadline = time.monotonic() + DEPLOYED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            try:
                found = self.bench.look("cloudformation", "describe_stacks", StackName=name)["Stacks"]
            except ClientError as error:
                if code(error) == "ValidationError":
                    return
                raise
            if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
                return
            if found[0]["StackStatus"] == "DELETE_FAILED":
                raise CannotRun(f"CloudFormation could not delete it: {found[0].get('StackStatusReason')}")
            self.bench.sleep(LOOK_EVERY_SECONDS)
        raise CannotRun(f"it is still there after {DEPLOYED_WITHIN_SECONDS // 60} minutes")

    def bucket(self, name):
        self.check(name)
        client = self.bench.clients["s3"]
        try:
            self.bench.count()
            ours = {"Bucket": name, "ExpectedBucketOwner": self.bench.state.account}
            for entry in client.list_objects_v2(**ours).get("Contents", []):
                self.bench.count()
                client.delete_object(Key=entry["Key"], **ours)
            client.delete_bucket(**ours)
        except ClientError as error:
            if code(error) != "NoSuchBucket":
                raise
