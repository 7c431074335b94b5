"""Asks AWS what no source settles, on a balancer of its own that is gone afterwards.

Ends with 0 where nothing was refuted, with 1 where something was, with 3 where it could not run to its
end. `--self-test` needs no AWS.
"""

import argparse
import os
import secrets
import signal
import sys
import time
import unittest

import beside
import boto3
import drive
import fleet
import network
import pace
import removal
import report
import rows
import services
import shown
import stack
from bench import (
    MOST_CALLS,
    MOST_CALLS_DRIVING,
    MOST_SECONDS,
    MOST_SECONDS_DRIVING,
    PREFIX,
    Bench,
    CannotRun,
    NotOurs,
    OutOfBounds,
    State,
)
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rows import NOT_RUN, REFUTED

NOTHING_REFUTED, SOMETHING_REFUTED, COULD_NOT_RUN = 0, 1, 3

# The list price of us-east-1 for an hour of a balancer, in dollars. Assumed: no source in this checkout.
HOUR = 0.0225
# Half an hour lies within two started hours at most.
STARTED_HOURS = 2
# With traffic it takes up to 105 minutes and what removing takes. An hour of the instance with its disk, an hour of
# a capacity unit of the balancer, of which 20 requests a second stay below one, and all polls, transitions and
# metrics of the runs, in dollars, at the prices of us-east-1. Assumed as well.
STARTED_HOURS_DRIVING = 3
HOUR_OF_INSTANCE, HOUR_OF_CAPACITY, RUNS = 0.006, 0.008, 0.05
# What stands in reports for the account, so that they can be shown around.
SOME_ACCOUNT = "123456789012"


# Of the sandbox alone. Those with figures come last, since throttling gets in the way of others.
SANDBOX = [*rows.ROWS, *services.ROWS, *shown.ROWS, *pace.ROWS]
# Of a stack beside it, which may have runs with traffic.
BESIDE = [*stack.ROWS, *beside.ROWS]


class Stopped(BaseException):
    """A signal to end. No Exception, which boto3 takes for trouble with the network."""


def clients():
    """Clients that wait where AWS throttles, and one that does not."""
    patient = Config(retries={"mode": "standard", "total_max_attempts": 8}, connect_timeout=10, read_timeout=30)
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
    services = ("elbv2", "cloudwatch", "ec2", "ssm", "sts", "cloudformation", "s3", "stepfunctions", "lambda", "logs")
    made = {name: boto3.client(name, config=patient) for name in services}
    return {**made, "once": boto3.client("elbv2", config=once)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--clean", action="store_true", help="only remove what an interrupted run has left")
    parser.add_argument("--report", metavar="FILE", help="write FILE.md and FILE.json")
    parser.add_argument("--state", metavar="FILE", default=".prove.json", help="what was made (%(default)s)")
    parser.add_argument("--vpc", help="instead of the default one")
    parser.add_argument("--subnets", nargs=2, metavar="ID", help="of two zones, instead of some of the VPC")
    parser.add_argument("--address", help="of a target that nobody has, instead of a free one of a subnet")
    parser.add_argument("--port", type=int, default=80, help="of the listener (%(default)s)")
    parser.add_argument("--stack", metavar="ARCHITECTURE", help="deploy a stack beside it, built for arm64 or x86_64")
    parser.add_argument(
        "--drive",
        choices=["instance", "here"],
        help="move traffic: with an instance behind the balancer, or with this machine, for a balancer that is a local one",
    )
    parser.add_argument("--self-test", action="store_true", help="test this, without AWS")
    return parser.parse_args()


def stop_on_signals():
    def stop(number, _):
        raise Stopped(f"stopped by {signal.Signals(number).name}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def deaf():
    """What was made has to be gone first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def announce(account, region, with_stack, drives):
    hours, seconds, calls = STARTED_HOURS, MOST_SECONDS, MOST_CALLS
    price, minutes, fleets = HOUR * hours, 7, "six target groups without instances"
    if drives:
        hours, seconds, calls = STARTED_HOURS_DRIVING, MOST_SECONDS_DRIVING, MOST_CALLS_DRIVING
        price, minutes = (HOUR + HOUR_OF_INSTANCE + HOUR_OF_CAPACITY) * hours + RUNS, 80
        fleets = f"""six target groups, two security groups, and behind two of the target groups one {fleet.INSTANCE_TYPE}
  without a public address, which sends 20 requests a second to the balancer and ends by itself after
  {fleet.LIVES_MINUTES} minutes"""
    beside = f"""Beside it a stack of ours named {PREFIX}..., from this checkout: a state machine, nine functions, their roles, logs
  and rules, a dashboard and a bucket, all gone at the end. It takes some 9 minutes more and costs less than a cent:
  a dozen executions of a few steps, refused before they touch anything. The rights are those of make deploy.
""" if with_stack else ""
    print(f"""This makes, in account {account}, {region}:
  one internal Application Load Balancer with one listener, three rules and the default action,
  and {fleets}, all of them named {PREFIX}...
  and gone at the end.
{beside}It takes some {minutes} minutes, as estimated, {seconds // 60} at most, and {calls} calls at most. It changes nothing else.
It costs less than ${price + 0.005:.2f} at the prices of us-east-1, which are assumed: ${HOUR} for each started hour of
the balancer, of which there are {hours} at most{", and the instance, the requests and the runs" if drives else ""}.""")


def agreed(given):
    if given.yes:
        return True
    if not sys.stdin.isatty():
        raise CannotRun("nobody can be asked whether to go on: say so with --yes (make prove YES=1)")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def clean(bench):
    """Removes everything; whether nothing is left."""
    deaf()
    left = bench.clean()
    for what in left:
        print(f"Could not be removed: {what}", file=sys.stderr)
    if left:
        print(f"{bench.state.path} keeps what is left: make prove CLEAN=1", file=sys.stderr)
    stop_on_signals()
    return not left


def clean_earlier(path, account, region, known):
    """Removes what an earlier run has left, if anything."""
    state = State.read(path)
    if state is None:
        return False
    if (state.account, state.region) != (account, region):
        raise CannotRun(f"{path} lists what was made in account {state.account}, {state.region}: clean up there first")
    print(f"Removing what run {state.run} has left.")
    if not clean(bench_of(known, state)):
        raise CannotRun("what an earlier run has left could not be removed")
    return True


def bench_of(known, state):
    """A bench that can remove a stack as well."""
    bench = Bench(known, state)
    leavings = stack.Leavings(bench)
    bench.by_name = (("stack", leavings.stack), ("bucket", leavings.bucket))
    machine = fleet.Leavings(bench)
    bench.at_last = (("instance", machine.instance), ("network", machine.network))
    return bench


def ask_all(bench, given):
    """Asks every row; returns them with the reason why not all were asked, or None."""
    drives = bool(given.stack and given.drive)
    asks = [*SANDBOX, *(BESIDE if given.stack else []), *(drive.ROWS if drives else []), *removal.ROWS]
    asked, stopped = [], None
    try:
        network.choose(bench, given.vpc, given.subnets)
        bench.address = given.address or bench.address
        if drives:
            bench.most_calls, bench.most_seconds = MOST_CALLS_DRIVING, MOST_SECONDS_DRIVING
            bench.quick = given.drive == "here"
            bench.fleet = (fleet.Here if bench.quick else fleet.Instance)(bench, given.port)
        bench.build(given.port)
        for row in asks:
            if row is stack.ROWS[0]:
                bench.machine, bench.deployed = stack.deploy(bench, given.stack)
            elif row in (*BESIDE, *drive.ROWS) and not bench.machine:
                asked.append(report.entry(row.name, row.operation, row.claim, NOT_RUN, "the stack was not deployed"))
                continue
            verdict, evidence = row.run(bench)
            evidence = evidence.replace(bench.state.account, SOME_ACCOUNT)
            asked.append(report.entry(row.name, row.operation, row.claim, verdict, evidence))
            print(f"  {verdict:<8}  {row.name}", flush=True)
    except (Stopped, OutOfBounds, NotOurs, CannotRun, BotoCoreError, ClientError, KeyboardInterrupt) as error:
        stopped = str(error) or type(error).__name__
    finally:
        print("Removing what was made.", flush=True)
        if bench.fleet:
            bench.fleet.stop()
        cleaned = clean(bench)
    if not cleaned:
        stopped = "; ".join(filter(None, [stopped, "not everything could be removed"]))
    rest = [report.entry(r.name, r.operation, r.claim, NOT_RUN, stopped) for r in asks[len(asked) :]]
    return [*asked, *rest, *report.by_hand({row.name for row in asks})], stopped


def run(given):
    known = clients()
    account = known["sts"].get_caller_identity()["Account"]
    region = known["elbv2"].meta.region_name
    if clean_earlier(given.state, account, region, known) and given.clean:
        return NOTHING_REFUTED
    if given.clean:
        print(f"There is nothing to remove: {given.state} does not exist.")
        return NOTHING_REFUTED
    announce(account, region, given.stack, given.stack and given.drive)
    if not agreed(given):
        print("Nothing was made.")
        return COULD_NOT_RUN
    bench = bench_of(known, State(given.state, account, region, secrets.token_hex(4)))
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    asked, stopped = ask_all(bench, given)
    local = not known["elbv2"].meta.endpoint_url.endswith((".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"))
    found = {
        "where": "a local endpoint" if local else region,
        "at": at,
        "calls": bench.calls,
        "seconds": round(time.monotonic() - bench.began),
        "stopped": stopped,
        "rows": [*asked, *report.unasked()],
    }
    print(report.table(asked))
    print(f"{len(found['rows']) - len(asked)} more claims of the ledger are open, and nothing here asks for them: REPORT=prove lists them.")
    if given.report:
        print(f"Written to {report.write(given.report, found)}.")
    if stopped:
        print(f"It was not run to its end: {stopped}.", file=sys.stderr)
        return COULD_NOT_RUN
    return SOMETHING_REFUTED if any(row["verdict"] == REFUTED for row in asked) else NOTHING_REFUTED


def main():
    given = arguments()
    if given.self_test:
        tests = unittest.defaultTestLoader.discover(os.path.dirname(os.path.abspath(__file__)), "self_test.py")
        return 0 if unittest.TextTestRunner().run(tests).wasSuccessful() else 1
    stop_on_signals()
    try:
        return run(given)
    except (Stopped, KeyboardInterrupt, EOFError) as error:
        print(f"\n{error or 'stopped'}: nothing was made.", file=sys.stderr)
    except (CannotRun, BotoCoreError, ClientError) as error:
        print(f"This cannot run: {error}", file=sys.stderr)
    return COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
