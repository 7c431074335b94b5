"""Holds what scripts ask of AWS against the ledger of what AWS does.

    check_ledger.py LEDGER SCRIPT...
    check_ledger.py --self-test

A script is Python that calls boto3, or lines of a shell, as in a Makefile or a template, that call the AWS CLI. Every
operation that is named in it needs a row. Which names are operations is what botocore knows of the services below; one
that several of them know needs a row of one. What functions ask for is noted while they run instead.
"""

import ast
import json
import re

import botocore.session
import checks
from botocore import xform_name

SESSION = botocore.session.get_session()

# Services that scripts call, as botocore knows them, where permissions name them otherwise.
NAMED = {"stepfunctions": "states", "elbv2": "elasticloadbalancing", "deploy": "codedeploy"}
CALLED = (
    "cloudformation", "cloudwatch", "codedeploy", "ec2", "elbv2", "lambda", "logs", "s3", "signer", "ssm", "stepfunctions",
    "sts",
)  # fmt: skip
# How the CLI calls a service otherwise than botocore.
CLI = {"s3api": "s3", "deploy": "codedeploy"}
# Commands of the CLI that are more than one call, or none.
COMMANDS = {
    ("cloudformation", "package"): ("s3:HeadObject", "s3:PutObject"),
    ("cloudformation", "deploy"): (
        "cloudformation:DescribeStacks",
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ),
    ("codedeploy", "push"): ("s3:PutObject", "codedeploy:RegisterApplicationRevision"),
    ("configure", "get"): (),
}
COMMAND = re.compile(r'(?:(?<![\w./-])aws|"\$AWS") ([a-z0-9]+) (?:wait )?([a-z][a-z-]+)|\b(s3api) ([a-z][a-z-]+)')


def operations(service):
    """The operations of a service, and what its waiters ask for, by their names in Python."""
    named = {xform_name(name): name for name in SESSION.get_service_model(service).operation_names}
    try:
        waiters = SESSION.get_waiter_model(service)
    except botocore.exceptions.UnknownServiceError:
        return named
    return named | {xform_name(name): waiters.get_waiter(name).operation for name in waiters.waiter_names}


KNOWN = {service: operations(service) for service in CALLED}


def permission(service, operation):
    """An operation as permissions name it."""
    return f"{NAMED.get(service, service)}:{operation}"


def of_python(text):
    """Each name in a program that is one of an operation, with the operations that it may be."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for name in sorted(names):
        some = {permission(service, known[name]) for service, known in KNOWN.items() if name in known}
        if some:
            yield name, some


def of_shell(text):
    """Each command of the CLI in some lines, with the operation that it is, once for each of several."""
    # Some lines go on in the next.
    for match in COMMAND.finditer(re.sub(r"\\\n\s*", "", text)):
        # A function of a script may call it by its service alone.
        service, command = match[1] or match[3], match[2] or match[4]
        service = CLI.get(service, service)
        if (service, command) in COMMANDS:
            for operation in COMMANDS[service, command]:
                yield command, {operation}
            continue
        known = KNOWN.get(service, {})
        name = command.replace("-", "_")
        some = {permission(service, known[name])} if name in known else {f"no operation of {service}"}
        yield command, some


def named(script, text):
    """Each operation that a script names, as what it may be."""
    return of_python(text) if script.endswith(".py") else of_shell(text)


def faults(case):
    """What a script names and a ledger lacks."""
    known, script, text = case
    missing = [(word, some) for word, some in named(script, text) if not some & known]
    return [f"{script}: {word} is {' or '.join(sorted(some))}, without a row" for word, some in missing]


def check(files):
    """What is wrong with scripts, a line each, and how many operations they name."""
    ledger, *scripts = files
    with open(ledger, encoding="utf-8") as text:
        known = {row["operation"] for row in json.load(text)}
    found, seen = [], 0
    for script in scripts:
        with open(script, encoding="utf-8") as text:
            case = (script, text.read())
        found += faults((known, *case))
        seen += len(list(named(*case)))
    return found, seen


def cases():
    """What must be refused, each with a word of why, and what must not."""
    known = {"elasticloadbalancing:AddTags", "cloudformation:DescribeStacks", "s3:PutObject", "s3:HeadObject", "s3:HeadBucket"}

    def made(name, text, why):
        return (known, name, text), why

    return [
        made("a.py", "elb.add_tags(ResourceArns=[arn])", None),
        made("a.py", "elb.remove_tags(ResourceArns=[arn])", "RemoveTags, without a row"),
        made("a.py", "pages((elb, 'describe_rules'), 'Rules')", "describe_rules is elasticloadbalancing:DescribeRules"),
        made("a.py", "formation.get_waiter('stack_create_complete').wait(StackName=name)", None),
        made("a.py", "signer.get_waiter('successful_signing_job').wait(jobId=job)", "signer:DescribeSigningJob"),
        made("a.py", "found.add(tags)", None),
        made("a.sh", "aws elbv2 add-tags --resource-arns $arn", None),
        made("a.sh", "aws elbv2 \\\n    add-tags --resource-arns $arn", None),
        made("a.sh", '"$AWS" elbv2 remove-tags --resource-arns $arn', "RemoveTags, without a row"),
        made("a.sh", "aws elbv2 paint-rule --rule-arn $arn", "no operation"),
        made("a.sh", "aws elbv2 wait target-in-service --target-group-arn $arn", "DescribeTargetHealth"),
        made("a.sh", "aws cloudformation package --template-file a", None),
        made("a.sh", "aws cloudformation deploy --template-file a", "cloudformation:CreateChangeSet"),
        made("a.sh", "elif ! s3api head-bucket; then", None),
        made("a.sh", "    s3api put-bucket-policy --policy b", "s3:PutBucketPolicy"),
        made("a.sh", "aws configure get region", None),
    ]


if __name__ == "__main__":
    checks.run("operations", check, faults, cases())
