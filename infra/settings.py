"""Sees to it that a stack has settings, before `make deploy` deploys it.

    settings.py STACK FILE COMPLETE

FILE holds lines of Name=Value, parameters of template.yaml. Where it is missing, a person in a
terminal is asked for the few that matter, and it is written. Then it is checked, since the AWS CLI
drops a parameter that it does not know without a word, and written to COMPLETE with the defaults of
all others, since CloudFormation keeps what they were deployed with before.
"""

import os
import re
import sys

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

# What the defaults of the template cannot know.
ASKED = ["LoadBalancerName", "TargetGroupPattern", "Fleets", "BalanceApp"]
# Functions are named after the stack, release-routes being the longest, and AWS allows 64 characters.
STACK = r"[A-Za-z][A-Za-z0-9-]{0,48}"
# What AWS keeps for all functions that have nothing reserved.
UNRESERVED = 100
# What makes no sense, or is refused by AWS, without the other one. The template has rules that say the same.
NEEDS = {
    "ProbeSubnets": "ProbeSecurityGroups",
    "ProbeSecurityGroups": "ProbeSubnets",
    "NoticeTopicKeyArn": "NoticeTopicArn",
}
# One of these says who is told when something goes wrong that no run can tell of itself.
TOLD = ["AlarmTopicArn", "NoticeTopicArn", "NoticeEmail"]


def load_template():
    """The template, without its short forms of intrinsic functions, which do not matter here."""
    yaml.SafeLoader.add_multi_constructor("!", lambda loader, tag, node: None)
    with open(os.path.join(os.path.dirname(__file__), "template.yaml"), encoding="utf-8") as template:
        return yaml.safe_load(template)


def fault(name, value, known):
    """What is wrong with a setting, or None."""
    if name not in known:
        return f"{name} is no parameter of the template; there are {', '.join(known)}"
    parameter = known[name]
    allowed = [str(a) for a in parameter.get("AllowedValues", [])]
    if allowed and value not in allowed:
        return f"{name}={value}: one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", ".*"), value):
        return f"{name}={value}: {parameter['ConstraintDescription']}"
    if len(value) > parameter.get("MaxLength", len(value)):
        return f"{name} has {len(value)} characters, of at most {parameter['MaxLength']}"
    if parameter["Type"] == "Number":
        least, most = parameter.get("MinValue"), parameter.get("MaxValue")
        if not re.fullmatch(r"\d+", value, re.ASCII):
            return f"{name}={value}: a whole number"
        if least is not None and not least <= int(value) <= most:
            return f"{name}={value}: {least} to {most}"
    return None


def read(file, known):
    """The settings in a file, none of which says anything that the template does not know."""
    settings = {}
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines.read().splitlines(), 1):
            if not line or line.startswith("#"):
                continue
            name, equals, value = line.partition("=")
            problem = fault(name, value, known) if equals else "this is no Name=Value"
            if name in settings:
                problem = f"{name} is there twice"
            if problem:
                sys.exit(f"{file}:{number}: {problem}")
            settings[name] = value
    missing = [name for name in known if name not in settings and "Default" not in known[name]]
    if missing:
        sys.exit(f"{file}: {', '.join(missing)} is missing")
    for name, other in NEEDS.items():
        if settings.get(name) and not settings.get(other):
            sys.exit(f"{file}: {name} needs {other}")
    return settings


def write(file, settings):
    """Writes lines of Name=Value."""
    with open(file, "w", encoding="utf-8") as lines:
        lines.writelines(f"{name}={value}\n" for name, value in settings.items())


def ask(name, known, default=None):
    """Asks until the answer is one that the template takes."""
    print(f"\n{name}: {known[name]['Description']}")
    while True:
        answer = input(f"[{default}] " if default else "> ").strip() or default or ""
        problem = fault(name, answer, known)
        if problem is None:
            return answer
        print(problem)


def ask_for_balancer(elb, known):
    """Lets one of the application load balancers be chosen, by number or by name."""
    pages = elb.get_paginator("describe_load_balancers").paginate()
    found = [b for page in pages for b in page["LoadBalancers"] if b["Type"] == "application"]
    if not found:
        sys.exit("There is no Application Load Balancer in this account and region.")
    print(f"\nLoadBalancerName: {known['LoadBalancerName']['Description']}")
    for number, balancer in enumerate(found, 1):
        print(f"  {number:>2}  {balancer['LoadBalancerName']:<32}  {balancer['Scheme']}, {balancer['VpcId']}")
    while True:
        answer = input("> ").strip()
        for number, balancer in enumerate(found, 1):
            if answer in (str(number), balancer["LoadBalancerName"]):
                return balancer
        print("Choose one of them, by its number or its name.")


def ask_who_is_told(known):
    """Asks for a mail address or a topic until there is one, or somebody says that there is none."""
    print("\nWho is told of runs and of alarms: a mail address, the ARN of an SNS topic, or none for nobody.")
    while True:
        answer = input("> ").strip()
        if answer == "none":
            return {"AlarmTopicArn": answer}
        name = "NoticeTopicArn" if answer.startswith("arn:") else "NoticeEmail"
        problem = fault(name, answer, known) if answer else "Somebody has to be told, or nobody by name."
        if problem is None:
            return {name: answer}
        print(problem)


def groups_of(elb, settings):
    """The target groups of both fleets of the app, by fleet; says so where one does not exist."""
    names = {}
    for pair in settings["Fleets"].split(","):
        fleet, part = pair.split("=")
        pattern = settings["TargetGroupPattern"]
        names[fleet] = pattern.replace("{app}", settings["BalanceApp"]).replace("{fleet}", part)
    for fleet, name in names.items():
        try:
            elb.describe_target_groups(Names=[name])
        except elb.exceptions.TargetGroupNotFoundException:
            print(f"\nThe target group of {fleet} would be {name}, which does not exist.")
            return None
    return names


def has_room(template):
    """Whether the account's quota leaves room for what the template reserves by default."""
    limits = boto3.client("lambda").get_account_settings()["AccountLimit"]
    functions = [r for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    reserved = len(functions) * template["Parameters"]["ReservedConcurrency"]["Default"]
    return limits["UnreservedConcurrentExecutions"] - reserved >= UNRESERVED


def ask_for_all(stack, file, template):
    """Asks, shows what will be done, and writes the file once that is confirmed."""
    known = template["Parameters"]
    account = boto3.client("sts").get_caller_identity()["Account"]
    elb = boto3.client("elbv2")
    where = f"account {account}, {elb.meta.region_name}"
    print(f"The stack {stack} has no settings yet. It will be deployed to {where}.")
    balancer = ask_for_balancer(elb, known)
    pages = elb.get_paginator("describe_target_groups").paginate(LoadBalancerArn=balancer["LoadBalancerArn"])
    print("\nIt forwards to", ", ".join(g["TargetGroupName"] for page in pages for g in page["TargetGroups"]))
    settings = {"LoadBalancerName": balancer["LoadBalancerName"]}
    groups = None
    while groups is None:
        for name in ASKED[1:]:
            settings[name] = ask(name, known, settings.get(name, known[name]["Default"]))
        groups = groups_of(elb, settings)
    settings |= ask_who_is_told(known)
    if not has_room(template):
        settings["ReservedConcurrency"] = "0"
        print("\nNothing is reserved for its functions: too little would be left of the account's quota for the others.")
    fleets = " and ".join(f"{fleet} is {group}" for fleet, group in groups.items())
    print(f"\nThe stack {stack} in {where}, with")
    print("\n".join(f"  {name}={value}" for name, value in settings.items()))
    print(f"For the app {settings['BalanceApp']}, {fleets}.")
    print("Its functions may change the rules and listeners of that balancer and of no other.")
    print(f"Deploying changes none of them. These settings go to {file}; later deployments take them from there.")
    if input("Deploy? [y/N] ").strip().lower() not in ("y", "yes"):
        sys.exit("Nothing was written, nothing is deployed.")
    write(file, settings)


def main():
    stack, file, complete = sys.argv[1:]
    if not re.fullmatch(STACK, stack):
        sys.exit(f"{stack} cannot be the name of a stack: a letter, then at most 48 letters, digits and hyphens.")
    template = load_template()
    known = template["Parameters"]
    if not os.path.exists(file):
        if not sys.stdin.isatty():
            sys.exit(
                f"The stack {stack} has no settings: {file} is missing. Run this in a terminal to be asked for "
                "them, or copy infra/dev.example.env to that name and change it."
            )
        try:
            ask_for_all(stack, file, template)
        except (EOFError, KeyboardInterrupt):
            sys.exit("\nNothing was written, nothing is deployed.")
        except (BotoCoreError, ClientError) as error:
            sys.exit(f"AWS could not be asked: {error}")
    given = read(file, known)
    if not any(given.get(name) for name in TOLD):
        sys.exit(
            f"{file}: nobody would be told of a failure. Give {', '.join(TOLD)}, one of them, or say AlarmTopicArn=none."
        )
    defaults = {name: parameter["Default"] for name, parameter in known.items() if "Default" in parameter}
    os.makedirs(os.path.dirname(complete), exist_ok=True)
    write(complete, {**defaults, **given})


if __name__ == "__main__":
    main()
