"""Rows about the services beside the balancer that cost nothing to ask."""

import time

import fleet
from bench import code
from botocore.exceptions import ClientError
from rows import NOT_RUN, PROVEN, REFUTED, lists, refused

ROWS = []
row = lists(ROWS)


@row("image-by-its-name", "GetParameter", "AWS publishes the newest image of Amazon Linux by the name that is used here.")
def _(bench):
    found = bench.look("ssm", "get_parameter", Name=fleet.IMAGE)["Parameter"]["Value"]
    return (PROVEN if found.startswith("ami-") else REFUTED), found


@row("unknown-parameter", "GetParameter", "An unknown parameter is refused with `ParameterNotFound`.")
def _(bench):
    return refused(lambda: bench.look("ssm", "get_parameter", Name=f"/{bench.state.name}"), {"ParameterNotFound"})


@row("networks-are-told", "DescribeVpcs", "VPCs tell whether they are the default one, and subnets their zone and addresses.")
def _(bench):
    vpc = bench.look("ec2", "describe_vpcs", VpcIds=[bench.vpc])["Vpcs"][0]
    subnet = bench.look("ec2", "describe_subnets", SubnetIds=bench.subnets[:1])["Subnets"][0]
    held = isinstance(vpc.get("IsDefault"), bool) and subnet.get("AvailabilityZone") and subnet.get("CidrBlock")
    told = f"IsDefault {vpc.get('IsDefault')}, {subnet.get('AvailabilityZone')}, {subnet.get('CidrBlock')}"
    return (PROVEN if held else REFUTED), told


@row("taken-addresses-are-told", "DescribeNetworkInterfaces", "Network interfaces tell the addresses that they hold.")
def _(bench):
    # The balancer has one in each of its subnets.
    of = [{"Name": "subnet-id", "Values": bench.subnets[:1]}]
    interfaces = bench.look("ec2", "describe_network_interfaces", Filters=of)["NetworkInterfaces"]
    if not interfaces:
        return NOT_RUN, "no network interface in the subnet, though the balancer should have one"
    held = all(interface.get("PrivateIpAddresses") for interface in interfaces)
    return (PROVEN if held else REFUTED), f"{len(interfaces)} interfaces, {'all' if held else 'not all'} with addresses"


def security_groups(bench):
    """Two of them, which go after the balancer as those of its networks do."""
    if not bench.security_groups:
        for name in (f"{bench.state.name}-{what}" for what in ("one", "two")):
            make = ("network", "create_security_group", name, lambda made: made["GroupId"])
            bench.security_groups.append(bench.make_in_ec2(*make, **wanted(bench, name)))
    return bench.security_groups


def wanted(bench, name):
    return {"GroupName": name, "Description": "Of make prove, gone at its end", "VpcId": bench.vpc}


def ingress(bench, into):
    return bench.look("ec2", "describe_security_groups", GroupIds=[into])["SecurityGroups"][0]["IpPermissions"]


def from_group(group):
    return [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}]


@row("security-group-name-once", "CreateSecurityGroup", "A name of a security group is taken once in a VPC: `InvalidGroup.Duplicate`.")
def _(bench):
    security_groups(bench)
    again = wanted(bench, f"{bench.state.name}-one")
    return refused(lambda: bench.change("create_security_group", "ec2", **again), {"InvalidGroup.Duplicate"})


@row("security-group-rules", "AuthorizeSecurityGroupIngress", "A rule may name another security group, is shown, and goes by its own values.")
def _(bench):
    one, two = security_groups(bench)
    bench.change("authorize_security_group_ingress", "ec2", GroupId=one, IpPermissions=from_group(two))
    named = [pair.get("GroupId") for permission in ingress(bench, one) for pair in permission.get("UserIdGroupPairs", [])]
    bench.change("revoke_security_group_ingress", "ec2", GroupId=one, IpPermissions=from_group(two))
    left = ingress(bench, one)
    return (PROVEN if named == [two] and not left else REFUTED), f"{'shown' if named == [two] else 'not shown'}, {len(left)} rules left"


@row("security-group-in-use", "DeleteSecurityGroup", "A security group that a rule of another one names is not deleted: `DependencyViolation`.")
def _(bench):
    one, two = security_groups(bench)
    bench.change("authorize_security_group_ingress", "ec2", GroupId=one, IpPermissions=from_group(two))
    try:
        return refused(lambda: bench.change("delete_security_group", "ec2", GroupId=two), {"DependencyViolation"})
    finally:
        bench.change("revoke_security_group_ingress", "ec2", GroupId=one, IpPermissions=from_group(two))


@row("account-concurrency", "GetAccountSettings", "GetAccountSettings answers the concurrency of the account.")
def _(bench):
    limit = bench.look("lambda", "get_account_settings")["AccountLimit"].get("ConcurrentExecutions")
    return (PROVEN if isinstance(limit, int) and limit > 0 else REFUTED), f"{limit} at once"


@row("bucket-of-nobody", "HeadBucket", "A bucket that is not there is refused with 404 and without words.")
def _(bench):
    try:
        bench.look("s3", "head_bucket", Bucket=f"{bench.state.name}-none")
    except ClientError as error:
        return (PROVEN if code(error) == "404" else REFUTED), f"{code(error)}: {error.response['Error'].get('Message')}"
    return REFUTED, "was not refused"


@row("stack-of-nobody-is-deleted", "DeleteStack", "DeleteStack passes where there is no such stack.")
def _(bench):
    bench.change("delete_stack", "cloudformation", StackName=f"{bench.state.name}-none")
    return PROVEN, "passed"


def shows_within(bench, asks, seconds):
    """How long until something is answered with True, or None."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if asks():
            return time.monotonic() - began
        bench.sleep(0.2)
    return None


@row("new-and-gone", "CreateTargetGroup", "What is new is known within 10 s, and what is gone is unknown within 10 s.")
def _(bench):
    group = bench.make(
        "group", "create_target_group", ("TargetGroups", "TargetGroupArn"), Name=f"{bench.state.name}-7",
        Protocol="HTTP", Port=80, VpcId=bench.vpc, TargetType="ip",
    )  # fmt: skip

    def known():
        try:
            return bool(bench.look("elbv2", "describe_target_groups", TargetGroupArns=[group])["TargetGroups"])
        except ClientError as error:
            if code(error) != "TargetGroupNotFound":
                raise
            return False

    new = shows_within(bench, known, 10)
    bench.change("delete_target_group", TargetGroupArn=group)
    gone = shows_within(bench, lambda: not known(), 10)
    shown = lambda seconds: "never" if seconds is None else f"after {1000 * seconds:.0f} ms"
    return (PROVEN if None not in (new, gone) else REFUTED), f"known {shown(new)}, unknown {shown(gone)}"
