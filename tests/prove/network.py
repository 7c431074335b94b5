"""Where the balancer goes: a VPC, subnets in two zones, and addresses where nobody is."""

import ipaddress

from bench import CannotRun
from botocore.exceptions import BotoCoreError, ClientError

# AWS keeps the first four addresses of a subnet and the last one.
KEPT_AT_THE_END = 2


def choose(bench, vpc, subnets):
    """Fills in what was not given. Nobody is sent anything but health checks to an address that is free."""
    if subnets:
        found = describe(bench, SubnetIds=subnets) if vpc is None else []
        bench.vpc, bench.subnets = vpc or found[0]["VpcId"], subnets
        if vpc is None:
            bench.address = free_address(bench, found[0])
        return
    vpc = vpc or default_vpc(bench)
    by_zone = {}
    for subnet in describe(bench, Filters=[{"Name": "vpc-id", "Values": [vpc]}]):
        by_zone.setdefault(subnet["AvailabilityZone"], subnet)
    chosen = [by_zone[zone] for zone in sorted(by_zone)]
    if len(chosen) < 2:
        raise CannotRun(f"{vpc} has subnets in {len(chosen)} zones, and a balancer needs two: give --subnets A B")
    bench.vpc, bench.subnets = vpc, [subnet["SubnetId"] for subnet in chosen[:2]]
    bench.address = free_address(bench, chosen[0])
    bench.address_elsewhere = free_address(bench, chosen[2]) if len(chosen) > 2 else None


def default_vpc(bench):
    found = ask(bench, "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise CannotRun("there is no default VPC in this region: give --subnets A B of two zones")
    return found[0]["VpcId"]


def describe(bench, **of):
    found = ask(bench, "describe_subnets", **of)["Subnets"]
    if not found:
        raise CannotRun("the VPC has no subnets: give --subnets A B of two zones")
    return found


def ask(bench, operation, **parameters):
    try:
        return bench.look("ec2", operation, **parameters)
    except (BotoCoreError, ClientError) as error:
        raise CannotRun(f"EC2 does not tell of its networks ({error}): give --vpc and --subnets") from error


def free_address(bench, subnet):
    """The greatest address of a subnet that no network interface has; None where that cannot be told."""
    try:
        of = [{"Name": "subnet-id", "Values": [subnet["SubnetId"]]}]
        held = bench.look("ec2", "describe_network_interfaces", Filters=of)
    except (BotoCoreError, ClientError):
        return None
    if held.get("NextToken"):
        return None
    taken = {a["PrivateIpAddress"] for i in held["NetworkInterfaces"] for a in i.get("PrivateIpAddresses", [])}
    network = ipaddress.ip_network(subnet["CidrBlock"])
    last = int(network.broadcast_address) - KEPT_AT_THE_END + 1
    free = (str(ipaddress.ip_address(last - back)) for back in range(min(200, network.num_addresses - 6)))
    return next((address for address in free if address not in taken), None)
