"""What `make prove` makes on AWS, changes there, and takes away again.

Every call goes through a Bench. It counts them, ends them when their time is over, and lets no change
through that concerns anything which it has not made itself.
"""

import contextlib
import json
import os
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

# All names begin so; the id of the run follows.
PREFIX = "failover-prove-"
# On everything made: the id of the run.
TAG = "failover:prove"

MOST_CALLS = 900
MOST_SECONDS = 30 * 60
# The same with runs that move traffic.
MOST_CALLS_DRIVING = 2400
MOST_SECONDS_DRIVING = 105 * 60
# A balancer is active within some three minutes.
ACTIVE_WITHIN_SECONDS = 10 * 60
# A group is in use for a while after its balancer is gone.
FREE_WITHIN_SECONDS = 3 * 60

# Makes something with a name of ours.
NAMED = {"create_load_balancer", "create_target_group", "create_security_group"}
# Changes something that an ARN names.
CHANGES = {
    "create_listener",
    "modify_listener",
    "create_rule",
    "modify_rule",
    "delete_rule",
    "modify_target_group_attributes",
    "register_targets",
    "deregister_targets",
    "add_tags",
    "remove_tags",
    "delete_listener",
    "delete_load_balancer",
    "delete_target_group",
    "modify_load_balancer_attributes",
    "start_execution",
    "stop_execution",
    "authorize_security_group_ingress",
    "revoke_security_group_ingress",
    "delete_security_group",
    "terminate_instances",
}
# Changes something that goes by a name, and which parameter that is.
BY_NAME = {
    "delete_bucket": "Bucket",
    "put_object": "Bucket",
    "delete_object": "Bucket",
    "put_public_access_block": "Bucket",
    "delete_stack": "StackName",
    "update_stack": "StackName",
}
# Of an instance that is made: one, and of these.
SMALLEST = {"t4g.nano"}
NOT_THERE = {"LoadBalancerNotFound", "TargetGroupNotFound"}


class NotOurs(Exception):
    """A change of something that this run has not made."""


class OutOfBounds(Exception):
    """More calls or more time than was said at the start."""


class CannotRun(Exception):
    """There is nothing to run on."""


def code(error):
    """The code of a refusal."""
    return error.response["Error"]["Code"]


def arns(value):
    """Every ARN within a parameter."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [arn for item in value for arn in arns(item)]
    return [value] if isinstance(value, str) and value.startswith("arn:") else []


def ids(value):
    """Every instance and security group within a parameter, which have no ARNs."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in ids(item)]
    return [value] if isinstance(value, str) and value.startswith(("sg-", "i-")) else []


class State:
    """What was made, in a file that is written before each thing is made and after."""

    def __init__(self, path, account, region, run, made=()):
        self.path, self.account, self.region, self.run = path, account, region, run
        self.made = list(made)

    @classmethod
    def read(cls, path):
        """What an earlier run has left, or None."""
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            try:
                held = json.load(file)
                return cls(path, held["account"], held["region"], held["run"], held["made"])
            except (ValueError, KeyError, TypeError) as error:
                raise CannotRun(f"{path} cannot be read ({error}); look for {PREFIX}* and remove it by hand") from error

    def save(self):
        held = {"account": self.account, "region": self.region, "run": self.run, "made": self.made}
        with open(f"{self.path}.new", "w", encoding="utf-8") as file:
            json.dump(held, file, indent=2)
        os.replace(f"{self.path}.new", self.path)

    def forget(self, entry):
        self.made.remove(entry)
        self.save()

    def remove(self):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)

    @property
    def name(self):
        """How every name of this run begins."""
        return f"{PREFIX}{self.run}"

    def note(self, kind, name, arn=None):
        """Notes something that is about to be made, or that was made with something else; gives its ARN."""
        self.made.append({"kind": kind, "name": name, "arn": arn})
        self.save()
        return arn

    def arns(self):
        return {entry["arn"] for entry in self.made if entry["arn"]}


class Bench:
    """A balancer with rules and groups of its own, and the clients to ask about it."""

    def __init__(self, clients, state, say=print, sleep=time.sleep):
        self.clients, self.state, self.say, self.sleep = clients, state, say, sleep
        self.calls, self.began, self.cleaning = 0, time.monotonic(), False
        self.lock = threading.Lock()
        self.vpc = self.subnets = self.port = self.balancer = self.listener = self.default_rule = None
        self.rules, self.groups = [], []
        # How to remove what has no ARN of its own before it is there, by kind.
        self.by_name = ()
        # And what only goes after the balancer.
        self.at_last = ()
        # Addresses in a zone of the balancer and in another one, where nobody is.
        self.address = self.address_elsewhere = None
        # A stack beside it: its state machine, how that came to be, and what it is made of.
        self.machine, self.deployed, self.bucket, self.architecture = None, "was not deployed", None, None
        # What stands behind the first two groups, if anything does, and how its stages went; whether time is short.
        self.fleet, self.behind, self.stages, self.quick = None, None, [], False
        self.most_calls, self.most_seconds = MOST_CALLS, MOST_SECONDS
        # Two security groups without anybody in them.
        self.security_groups = []
        # What a burst of changes met: of a tag, and then of a rule.
        self.throttled = self.rule_after = None

    def count(self):
        with self.lock:
            self.calls += 1
        if self.cleaning:
            return
        if self.calls > self.most_calls:
            raise OutOfBounds(f"more than {self.most_calls} calls")
        if time.monotonic() - self.began > self.most_seconds:
            raise OutOfBounds(f"more than {self.most_seconds // 60} minutes")

    def look(self, service, operation, **parameters):
        """A call that changes nothing."""
        if not operation.startswith(("describe_", "get_", "list_", "filter_", "head_")):
            raise NotOurs(f"{operation} is no reading call")
        self.count()
        return getattr(self.clients[service], operation)(**parameters)

    def change(self, operation, client="elbv2", **parameters):
        """The one way to change anything."""
        self.check(operation, parameters)
        self.count()
        return getattr(self.clients[client], operation)(**parameters)

    def check(self, operation, parameters):
        """Refuses a change that concerns anything else than what this run has made."""
        # A rule of a network names its own as well as another one.
        named = arns(parameters) + ids(parameters)
        if operation in NAMED or operation in BY_NAME:
            name = parameters.get(BY_NAME.get(operation, "Name")) or parameters.get("GroupName") or ""
            if not name.startswith(self.state.name):
                raise NotOurs(f"{operation}: the name {name} is none of this run")
        elif operation == "run_instances":
            if parameters.get("MaxCount") != 1 or parameters.get("InstanceType") not in SMALLEST or not named:
                raise NotOurs(f"{operation}: more than one small instance within networks of this run")
        elif operation not in CHANGES:
            raise NotOurs(f"{operation} is no change that this makes")
        elif not named:
            raise NotOurs(f"{operation}: without an ARN it cannot be told what it changes")
        for arn in named:
            if arn not in self.state.arns() or arn.startswith("arn:") and PREFIX not in arn:
                raise NotOurs(f"{operation}: {arn} was not made by this run")

    def make(self, kind, operation, answer, **parameters):
        """Makes something, noted before and after, and returns its ARN."""
        entry = {"kind": kind, "name": parameters.get("Name"), "arn": None}
        self.state.made.append(entry)
        self.state.save()
        tags = [{"Key": TAG, "Value": self.state.run}]
        made = self.change(operation, Tags=tags, **parameters)
        listed, key = answer
        entry["arn"] = made[listed][0][key]
        self.state.save()
        return entry["arn"]

    def make_in_ec2(self, kind, operation, name, id_of, **parameters):
        """The same in EC2, where things have ids."""
        entry = {"kind": kind, "name": name, "arn": None}
        self.state.made.append(entry)
        self.state.save()
        entry["arn"] = id_of(self.change(operation, "ec2", **parameters))
        self.state.save()
        return entry["arn"]

    def build(self, port):
        """One balancer, one listener, three rules and six groups; nothing can reach them from outside."""
        name, self.port = self.state.name, port
        for number in range(1, 7):
            group = self.make(
                "group", "create_target_group", ("TargetGroups", "TargetGroupArn"), Name=f"{name}-{number}",
                Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip",
                HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2,
            )  # fmt: skip
            self.groups.append(group)
        networks = self.fleet.networks() if self.fleet else None
        self.balancer = self.make(
            "balancer", "create_load_balancer", ("LoadBalancers", "LoadBalancerArn"), Name=name,
            Subnets=self.subnets, Scheme="internal", Type="application",
            **({"SecurityGroups": networks} if networks else {}),
        )  # fmt: skip
        self.listener = self.make(
            "listener", "create_listener", ("Listeners", "ListenerArn"), LoadBalancerArn=self.balancer,
            Protocol="HTTP", Port=port,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )  # fmt: skip
        one, two, three, four = self.groups[:4]
        for number, weights in enumerate([{one: 100, two: 0}, {one: 1, four: 0}, {three: 1}], 1):
            rule = self.make(
                "rule", "create_rule", ("Rules", "RuleArn"), ListenerArn=self.listener, Priority=number,
                Conditions=[{"Field": "path-pattern", "Values": [f"/{name}-{number}"]}], Actions=forward(weights),
            )  # fmt: skip
            self.rules.append(rule)
        listed = self.look("elbv2", "describe_rules", ListenerArn=self.listener)["Rules"]
        self.default_rule = next(rule["RuleArn"] for rule in listed if rule["IsDefault"])
        # Made with the listener, so as much ours as that.
        self.state.made.append({"kind": "rule", "name": None, "arn": self.default_rule})
        self.state.save()
        self.wait_until_active()

    def wait_until_active(self):
        """Health checks and metrics begin with it."""
        deadline = time.monotonic() + ACTIVE_WITHIN_SECONDS
        while time.monotonic() < deadline:
            found = self.look("elbv2", "describe_load_balancers", LoadBalancerArns=[self.balancer])
            state = found["LoadBalancers"][0]["State"]["Code"]
            if state in ("active", "active_impaired"):
                return
            self.sleep(10)
        raise CannotRun(f"the balancer is not active within {ACTIVE_WITHIN_SECONDS // 60} minutes")

    def clean(self):
        """Removes what the state says was made; returns what is left, as sentences."""
        self.cleaning = True
        left = []
        # Its listener and rules go with the balancer, and only then the groups can.
        by_arn = (("balancer", self.remove_balancer), ("group", self.remove_group))
        for kind, remove in (*self.by_name, *by_arn, *self.at_last):
            for entry in [entry for entry in self.state.made if entry["kind"] == kind]:
                try:
                    if kind in dict(by_arn):
                        entry["arn"] = entry["arn"] or self.find(entry)
                        if entry["arn"]:
                            remove(entry["arn"])
                    elif kind in dict(self.at_last):
                        remove(entry)
                    else:
                        remove(entry["name"])
                    self.state.forget(entry)
                except (BotoCoreError, ClientError, NotOurs, CannotRun) as error:
                    left.append(f"{entry['arn'] or entry['name']}: {error}")
        if not left:
            self.state.remove()
        return left

    def find(self, entry):
        """The ARN of something of which only the intention was noted, or None if it was never made."""
        kinds = {
            "balancer": ("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
            "group": ("describe_target_groups", "TargetGroups", "TargetGroupArn"),
        }
        operation, listed, key = kinds[entry["kind"]]
        try:
            arn = self.look("elbv2", operation, Names=[entry["name"]])[listed][0][key]
            tags = self.look("elbv2", "describe_tags", ResourceArns=[arn])["TagDescriptions"][0]["Tags"]
        except ClientError as error:
            if code(error) in NOT_THERE:
                return None
            raise
        if {"Key": TAG, "Value": self.state.run} not in tags:
            raise NotOurs(f"{arn} has the name of this run, and not its tag {TAG}={self.state.run}")
        return arn

    def remove_balancer(self, arn):
        with contextlib.suppress(self.clients["elbv2"].exceptions.LoadBalancerNotFoundException):
            self.change("delete_load_balancer", LoadBalancerArn=arn)

    def remove_group(self, arn):
        deadline = time.monotonic() + FREE_WITHIN_SECONDS
        while True:
            try:
                self.change("delete_target_group", TargetGroupArn=arn)
                return
            except ClientError as error:
                if code(error) in NOT_THERE:
                    return
                if code(error) != "ResourceInUse" or time.monotonic() > deadline:
                    raise
                self.sleep(5)


def forward(weights, sticky=None, named=True):
    """An action that forwards by weights; `sticky` is the stickiness of groups, if any is said."""
    groups = [{"TargetGroupArn": arn, **({"Weight": weight} if named else {})} for arn, weight in weights.items()]
    config = {"TargetGroups": groups}
    if sticky is not None:
        config["TargetGroupStickinessConfig"] = sticky
    return [{"Type": "forward", "ForwardConfig": config}]
