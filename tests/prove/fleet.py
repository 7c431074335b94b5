"""One machine behind the sandbox: an instance that ends by itself, or this machine where the balancer is a local one."""

import os
import socket
import subprocess
import sys
import time

from bench import TAG, CannotRun, code
from botocore.exceptions import BotoCoreError, ClientError

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "target.py")

# The smallest that AWS has.
INSTANCE_TYPE = "t4g.nano"
# AWS keeps the newest Amazon Linux under this name, for everybody to read.
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
PORTS = (8081, 8082)
# It shuts itself down then, and is gone with that, whatever becomes of the machine that has started it.
LIVES_MINUTES = 110
HEALTHY_WITHIN_SECONDS = 5 * 60
GONE_WITHIN_SECONDS = 5 * 60


class Instance:
    """The smallest instance. Nobody can log on to it, only the balancer reaches it, and it reaches whatever it likes."""

    def __init__(self, bench, port):
        self.bench, self.port = bench, port

    def networks(self):
        """Those of the balancer and of the instance: each takes requests from the other alone."""
        name = self.bench.state.name
        balancer, instance = (self.network(f"{name}-{what}") for what in ("balancer", "instance"))
        self.allow(balancer, instance, self.port, self.port)
        self.allow(instance, balancer, *PORTS)
        self.own = instance
        return [balancer]

    def network(self, name):
        tags = [{"ResourceType": "security-group", "Tags": [{"Key": TAG, "Value": self.bench.state.run}]}]
        return self.bench.make_in_ec2(
            "network", "create_security_group", name, lambda made: made["GroupId"], GroupName=name,
            Description="Of make prove, gone at its end", VpcId=self.bench.vpc, TagSpecifications=tags,
        )  # fmt: skip

    def allow(self, into, of, first, last):
        pairs = [{"GroupId": of}]
        rule = [{"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "UserIdGroupPairs": pairs}]
        self.bench.change("authorize_security_group_ingress", "ec2", GroupId=into, IpPermissions=rule)

    def start(self, paths):
        """Makes it; returns the address and the ports of the fleets."""
        bench = self.bench
        host = bench.look("elbv2", "describe_load_balancers", LoadBalancerArns=[bench.balancer])["LoadBalancers"][0]["DNSName"]
        image = bench.look("ssm", "get_parameter", Name=IMAGE)["Parameter"]["Value"]
        tags = [{"Key": TAG, "Value": bench.state.run}, {"Key": "Name", "Value": bench.state.name}]
        self.id = bench.make_in_ec2(
            "instance", "run_instances", bench.state.name, lambda made: made["Instances"][0]["InstanceId"],
            ImageId=image, InstanceType=INSTANCE_TYPE, MinCount=1, MaxCount=1, ClientToken=bench.state.name,
            InstanceInitiatedShutdownBehavior="terminate", UserData=user_data(host, self.port, paths),
            MetadataOptions={"HttpTokens": "required"},
            NetworkInterfaces=[{
                "DeviceIndex": 0, "SubnetId": bench.subnets[0], "Groups": [self.own], "AssociatePublicIpAddress": False,
            }],
            TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        )  # fmt: skip
        found = bench.look("ec2", "describe_instances", InstanceIds=[self.id])
        return found["Reservations"][0]["Instances"][0]["PrivateIpAddress"], PORTS

    def stop(self):
        """It is removed with everything else."""


class Here:
    """This machine."""

    def __init__(self, bench, port):
        self.bench, self.port, self.process = bench, port, None

    def networks(self):
        return None

    def start(self, paths):
        ports = [free_port(), free_port()]
        given = [str(LIVES_MINUTES * 60), self.bench.address, str(self.port), ",".join(paths), *map(str, ports)]
        self.process = subprocess.Popen([sys.executable, TARGET, *given])
        return self.bench.address, ports

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def user_data(host, port, paths):
    """What the instance does when it starts."""
    with open(TARGET, encoding="utf-8") as file:
        program = file.read()
    command = f"python3 /opt/target.py {LIVES_MINUTES * 60} {host} {port} {','.join(paths)} {PORTS[0]} {PORTS[1]}"
    return f"#!/bin/bash\nshutdown -h +{LIVES_MINUTES}\ncat >/opt/target.py <<'END'\n{program}END\nsystemd-run --unit prove {command}\n"


def attach(bench, address, ports):
    """Puts the machine behind the first two groups, and waits until both say that it is healthy."""
    for group, port in zip(bench.groups, ports, strict=False):
        bench.change("register_targets", TargetGroupArn=group, Targets=[{"Id": address, "Port": port}])
    deadline, began = time.monotonic() + HEALTHY_WITHIN_SECONDS, time.monotonic()
    while time.monotonic() < deadline:
        found = [states(bench, group) for group in bench.groups[:2]]
        if found == [["healthy"], ["healthy"]]:
            return f"healthy in both groups after {time.monotonic() - began:.0f} s"
        bench.sleep(5)
    raise ValueError(f"after {HEALTHY_WITHIN_SECONDS // 60} minutes the groups say {found}")


def states(bench, group):
    found = bench.look("elbv2", "describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
    return [target["TargetHealth"]["State"] for target in found]


class Leavings:
    """Takes the instance and its networks away again; the networks once nothing uses them any more."""

    def __init__(self, bench):
        self.bench = bench

    def instance(self, entry):
        found = entry["arn"] or self.find("describe_instances", {"client-token": entry["name"]})
        if not found:
            return
        try:
            self.bench.change("terminate_instances", "ec2", InstanceIds=[found])
            self.wait_until_gone(found)
        except ClientError as error:
            if code(error) != "InvalidInstanceID.NotFound":
                raise

    def wait_until_gone(self, instance):
        deadline = time.monotonic() + GONE_WITHIN_SECONDS
        while time.monotonic() < deadline:
            found = self.bench.look("ec2", "describe_instances", InstanceIds=[instance])["Reservations"]
            if all(one["State"]["Name"] == "terminated" for held in found for one in held["Instances"]):
                return
            self.bench.sleep(5)
        raise CannotRun(f"it is not terminated within {GONE_WITHIN_SECONDS // 60} minutes")

    def network(self, entry):
        found = entry["arn"] or self.find("describe_security_groups", {"group-name": entry["name"]})
        deadline = time.monotonic() + GONE_WITHIN_SECONDS
        while found:
            try:
                # A network that a rule of another one names does not go.
                for each in {found, *(other["arn"] for other in self.bench.state.made if other["kind"] == "network" and other["arn"])}:
                    self.close(each)
                self.bench.change("delete_security_group", "ec2", GroupId=found)
                return
            except ClientError as error:
                if code(error) == "InvalidGroup.NotFound":
                    return
                if code(error) != "DependencyViolation" or time.monotonic() > deadline:
                    raise
                self.bench.sleep(5)

    def close(self, network):
        rules = self.bench.look("ec2", "describe_security_groups", GroupIds=[network])["SecurityGroups"][0]["IpPermissions"]
        if rules:
            self.bench.change("revoke_security_group_ingress", "ec2", GroupId=network, IpPermissions=rules)

    def find(self, operation, names):
        """What was made while nobody could note it any more, with the tag of this run; None where it never was."""
        of = {**names, f"tag:{TAG}": self.bench.state.run}
        filters = [{"Name": name, "Values": [value]} for name, value in of.items()]
        try:
            found = self.bench.look("ec2", operation, Filters=filters)
        except BotoCoreError as error:
            raise CannotRun(f"EC2 does not tell whether it was made: {error}") from error
        instances = [one["InstanceId"] for held in found.get("Reservations", []) for one in held["Instances"]]
        ids = instances or [one["GroupId"] for one in found.get("SecurityGroups", [])]
        if ids:
            # Noted, so that it may be changed.
            self.bench.state.note("found", None, ids[0])
        return ids[0] if ids else None
