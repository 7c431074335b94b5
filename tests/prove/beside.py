"""Rows about the services that a stack of ours consists of. They come after those of the stack."""

import time

import stack
from bench import code
from botocore.exceptions import ClientError
from rows import NOT_RUN, PROVEN, REFUTED, lists, refused

ROWS = []
row = lists(ROWS)

SHOWN_WITHIN_SECONDS = 10
LOGGED_WITHIN_SECONDS = 60


@row("deploys-again", "DescribeChangeSet", "A deployment in which nothing changes passes, and says so.")
def _(bench):
    machine, said = stack.run_deploy(bench)
    return (PROVEN if machine == bench.machine else REFUTED), said


@row("name-once", "StartExecution", "A name of an execution may hold ! ' ( and ), and is taken once: `ExecutionAlreadyExists`.")
def _(bench):
    name = f"{bench.state.run}-a!b'(c)"
    start = lambda given: bench.change("start_execution", "stepfunctions", stateMachineArn=bench.machine, name=name, input=given)
    execution = bench.state.note("execution", None, start('{"app": "prove", "dryRun": true}')["executionArn"])
    stack.ended(bench, execution)
    return refused(lambda: start('{"app": "other"}'), {"ExecutionAlreadyExists"})


@row("stopped-is-shown", "StopExecution", "A stopped execution is shown as ABORTED within 10 s.")
def _(bench):
    for _ in range(stack.STOPS):
        execution = stack.start(bench, app="prove", standby="prod2")
        bench.change("stop_execution", "stepfunctions", executionArn=execution)
        began, status = time.monotonic(), "RUNNING"
        while status == "RUNNING" and time.monotonic() - began < SHOWN_WITHIN_SECONDS:
            status = bench.look("stepfunctions", "describe_execution", executionArn=execution)["status"]
        if status in ("ABORTED", "RUNNING"):
            after = 1000 * (time.monotonic() - began)
            return (PROVEN if status == "ABORTED" else REFUTED), f"{status} after {after:.0f} ms"
    return NOT_RUN, f"{stack.STOPS} executions were over before they were stopped"


@row("history-shows-the-end", "GetExecutionHistory", "Within 10 s of an execution being shown as over its history has the event of that.")
def _(bench):
    execution = stack.start(bench, app="prove", stagse=[10])
    stack.ended(bench, execution)
    began = time.monotonic()
    while time.monotonic() - began < SHOWN_WITHIN_SECONDS:
        asked = {"executionArn": execution, "reverseOrder": True, "maxResults": 1}
        last = bench.look("stepfunctions", "get_execution_history", **asked)["events"][0]["type"]
        if last == "ExecutionFailed":
            return PROVEN, f"after {1000 * (time.monotonic() - began):.0f} ms"
    return REFUTED, f"the last event is {last}"


@row("definition-of-an-execution", "DescribeStateMachineForExecution", "The definition that an execution runs by is answered, as the state machine has it.")
def _(bench):
    execution = stack.an_execution(bench)
    of = bench.look("stepfunctions", "describe_state_machine_for_execution", executionArn=execution)["definition"]
    has = bench.look("stepfunctions", "describe_state_machine", stateMachineArn=bench.machine)["definition"]
    return (PROVEN if of == has else REFUTED), f"{len(of)} signs, {'the same' if of == has else 'another one'}"


@row("no-concurrency-reserved", "GetFunctionConcurrency", "Nothing is answered where no concurrency is reserved.")
def _(bench):
    found = bench.look("lambda", "get_function_concurrency", FunctionName=f"{bench.state.name}-plan-shift")
    reserved = found.get("ReservedConcurrentExecutions")
    return (PROVEN if reserved is None else REFUTED), f"ReservedConcurrentExecutions {reserved or 'missing'}"


@row("stack-events-newest-first", "DescribeStackEvents", "Events of a stack come newest first, and go on after the call that began them.")
def _(bench):
    events = bench.look("cloudformation", "describe_stack_events", StackName=bench.state.name)["StackEvents"]
    times = [event["Timestamp"] for event in events]
    held = len(times) > 1 and times == sorted(times, reverse=True)
    return (PROVEN if held else REFUTED), f"{len(times)} events, {'in' if held else 'out of'} that order"


@row("nothing-to-update", "UpdateStack", "UpdateStack is refused with `ValidationError` where nothing changes.")
def _(bench):
    found = bench.look("cloudformation", "describe_stacks", StackName=bench.state.name)["Stacks"][0]
    same = [{"ParameterKey": given["ParameterKey"], "UsePreviousValue": True} for given in found.get("Parameters", [])]
    update = lambda: bench.change(
        "update_stack", "cloudformation", StackName=bench.state.name, UsePreviousTemplate=True, Parameters=same,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )  # fmt: skip
    return refused(update, {"ValidationError"}, "No updates are to be performed")


@row("log-lines", "FilterLogEvents", "Lines of a function are found within a minute, oldest first.")
def _(bench):
    began, lines = time.monotonic(), []
    while not lines and time.monotonic() - began < LOGGED_WITHIN_SECONDS:
        lines = bench.look("logs", "filter_log_events", logGroupName=f"/aws/lambda/{bench.state.name}-plan-shift").get("events", [])
        bench.sleep(0 if lines else stack.LOOK_EVERY_SECONDS)
    times = [line["timestamp"] for line in lines]
    held = bool(times) and times == sorted(times)
    return (PROVEN if held else REFUTED), f"{len(times)} lines after {time.monotonic() - began:.0f} s, {'in' if held else 'out of'} order"


@row("bucket-that-is-not-empty", "DeleteBucket", "A bucket with something in it is not deleted: `BucketNotEmpty`.")
def _(bench):
    return refused(lambda: bench.change("delete_bucket", "s3", Bucket=bench.bucket), {"BucketNotEmpty"})


@row("objects", "PutObject", "An object is read as it was last written, in lists too, until it is deleted.")
def _(bench):
    of = {"Bucket": bench.bucket, "Key": "prove"}
    seen = []
    for body in (b"1", b"22"):
        bench.change("put_object", "s3", **of, Body=body)
        size = bench.look("s3", "head_object", **of)["ContentLength"]
        listed = bench.look("s3", "list_objects_v2", Bucket=of["Bucket"], Prefix=of["Key"]).get("Contents", [])
        seen.append((size, [entry["Size"] for entry in listed]))
    bench.change("delete_object", "s3", **of)
    left = bench.look("s3", "list_objects_v2", Bucket=of["Bucket"], Prefix=of["Key"]).get("Contents", [])
    held = seen == [(1, [1]), (2, [2])] and not left
    return (PROVEN if held else REFUTED), f"{seen[0]}, then {seen[1]}, then {len(left)} objects"


@row("public-access-is-blocked", "PutPublicAccessBlock", "PutPublicAccessBlock answers nothing.")
def _(bench):
    every = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    try:
        answer = bench.change("put_public_access_block", "s3", Bucket=bench.bucket, PublicAccessBlockConfiguration=every)
    except ClientError as error:
        return REFUTED, code(error)
    more = sorted(answer.keys() - {"ResponseMetadata"})
    return (REFUTED if more else PROVEN), f"answered {more or 'nothing'}"
