"""Holds what a deployment asks of AWS against the rights that the page about them lists.

    check_rights.py PAGE HANDLERS TEMPLATE... SCRIPT...
    check_rights.py --self-test

The page has a table for each thing that is deployed. Its header names the templates; each line's first cell names a
service, and the second names actions, with their service in front where it is another one. Scripts are held against the
first table. What a table lists and nothing asks for is refused as well.

HANDLERS is handlers.json: what CloudFormation asks for in turn, as the schema of each resource type lists it, and where
that was read. Which of it is asked for with a property only (`only_with`) is our reading, since the schemas do not say.
Whoever sets one of these in a template needs the rights as well.
"""

import functools
import json
import logging
import os
import re

import boto3
import cfnlint.decode.cfn_yaml
import check_ledger
import checks
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# What permissions call otherwise than the operation is called, and what needs no permission.
PERMITTED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    # No actions, though a schema names them: to delete one S3 asks for the same as to put it (S3's API reference).
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
}
# What is asked for beside another right.
BESIDE = {
    # Before an update, by `cloudformation deploy`: AWS CLI, deployer.py.
    "cloudformation:CreateChangeSet": "cloudformation:GetTemplateSummary",
    # Where an object ownership is given: S3's API reference, CreateBucket.
    "s3:CreateBucket": "s3:PutBucketOwnershipControls",
    # Assumed: for connections whose ARN has the newer prefix, while the schema has the older.
    "codestar-connections:PassConnection": "codeconnections:PassConnection",
}
HANDLERS = {"create", "read", "update", "delete"}
# Where an entry was read.
SOURCE = {"repository": r"[\w.-]+/[\w.-]+", "commit": "[0-9a-f]{40}", "path": r".+\.json"}
# Of resources, beside their properties.
ATTRIBUTES = {"UpdatePolicy"}
# Services of the balancer's own rights are named with it.
NAME = re.compile(r"`(?:([a-z0-9-]+):)?([A-Za-z0-9]+)`")
REGION = "us-east-1"
# It misses a publication of its metrics, which are none of ours.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


def tables(page):
    """The tables of a page: the templates that each is about, and its rights as service:Action."""
    found = []
    for block in page.split("\n\n"):
        if not block.startswith("| "):
            continue
        rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.strip().splitlines()]
        listed = set()
        for cells in rows[2:]:
            services = [name for _, name in NAME.findall(cells[0]) if name.islower()]
            for service, action in NAME.findall(cells[1]):
                services = [service] if service else services
                listed |= {f"{name}:{action}" for name in services}
        found.append((set(re.findall(r"[\w-]+\.yaml", rows[0][0])), listed))
    return found


@functools.cache
def deployed(text):
    """The resources of a template, by logical id, as CloudFormation gets them: after SAM."""
    template = cfnlint.decode.cfn_yaml.loads(text)
    if "Transform" not in template:
        return template["Resources"]
    for resource in template["Resources"].values():
        for property in {"CodeUri", "DefinitionUri"} & set(resource["Properties"]):
            # As `cloudformation package` puts it.
            resource["Properties"][property] = "s3://bucket/key"
    session = boto3.Session(region_name=REGION)
    return Translator({}, Parser(), boto_session=session).translate(template, {})["Resources"]


def names(part):
    """Every property that is set somewhere in a resource."""
    if isinstance(part, dict):
        return set(part).union(*map(names, part.values()))
    return set().union(*map(names, part)) if isinstance(part, list) else set()


def of_template(name, text, types):
    """What CloudFormation asks for when it deploys a template: who needs it, and the right."""
    for resource in deployed(text).values():
        entry, properties = types.get(resource["Type"], {}), names(resource)
        kept = resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == "Retain"
        handlers = HANDLERS - {"delete"} if kept else HANDLERS
        asked = {right for handler in handlers for right in entry.get(handler, [])}
        only_with = entry.get("only_with", {})
        # One that serves several properties is asked for with any of them.
        used = {right for property, served in only_with.items() if property in properties for right in served}
        unused = {right for served in only_with.values() for right in served} - used
        for right in asked - unused:
            service, action = right.split(":")
            right = f"{service.lower()}:{action}"
            yield f"{name}: {resource['Type']}", {PERMITTED.get(right, right)}


def of_script(name, text):
    """The same for the operations that a script names."""
    for word, some in check_ledger.named(name, text):
        yield f"{name}: {word}", {PERMITTED.get(operation, operation) for operation in some}


def needs(given, types):
    """What templates and scripts ask for."""
    for name, text in given.items():
        for who, some in of_template(name, text, types) if is_template(name) else of_script(name, text):
            yield who, some
            yield from ((who, {BESIDE[right]}) for right in some & BESIDE.keys())


def is_template(name):
    return name.endswith(".yaml")


def of_entries(types):
    """What is wrong with what is said of resource types."""
    for name, entry in types.items():
        if not all(re.fullmatch(pattern, entry.get(key, "")) for key, pattern in SOURCE.items()):
            yield f"{name}: the repository, the commit or the path is missing that this was read from"
        schema = str(PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, name).schema)
        asked = {right for handler in HANDLERS for right in entry.get(handler, [])}
        for property, served in entry.get("only_with", {}).items():
            if property not in ATTRIBUTES and f"'{property}'" not in schema:
                yield f"{name} knows no property {property}"
            yield from (f"{name}: no handler asks for {right}" for right in set(served) - asked)


def faults(case):
    """What is wrong with a page, given what is known of resource types, and templates and scripts by name."""
    page, types, given = case
    found, about = list(of_entries(types)), tables(page)
    for name in filter(is_template, given):
        unknown = {resource["Type"] for resource in deployed(given[name]).values()} - types.keys()
        found += [f"{name}: what the handlers of {kind} ask for is not known" for kind in sorted(unknown)]
        if sum(os.path.basename(name) in templates for templates, _ in about) != 1:
            found.append(f"{name}: exactly one table has to name it")
    seen = {resource["Type"] for name in filter(is_template, given) for resource in deployed(given[name]).values()}
    found += [f"{kind}: no template has it" for kind in sorted(types.keys() - seen)]
    scripts = {name: text for name, text in given.items() if not is_template(name)}
    for templates, listed in about:
        here = {name: text for name, text in given.items() if os.path.basename(name) in templates} | scripts
        scripts = {}
        asked = list(needs(here, types))
        missing = {(who, " or ".join(sorted(some))) for who, some in asked if not some & listed}
        found += [f"{who} needs {some}, which its table does not list" for who, some in sorted(missing)]
        needless = listed - {right for _, some in asked for right in some}
        what = " and ".join(sorted(templates))
        found += [f"{right} is listed for {what}, and nothing asks for it" for right in sorted(needless)]
    return found


def check(files):
    """What is wrong with the page, a line each, and how many rights are asked for."""
    texts = {}
    for file in files:
        with open(file, encoding="utf-8") as text:
            texts[file] = text.read()
    page, handlers, *others = files
    types = {entry["type"]: entry for entry in json.loads(texts[handlers])}
    given = {file: texts[file] for file in others}
    return faults((texts[page], types, given)), len({right for _, some in needs(given, types) for right in some})


PAGE = """
What is said before.

| for `a.yaml` and the scripts | |
|---|---|
| `s3`, on a bucket | `ListBucket`, `PutObject`, `CreateBucket`, `PutBucketOwnershipControls` |
| `sqs` and `sns` | `TagResource` |
| with a key | `signer:DescribeSigningJob`, `StartSigningJob`; `sqs:CreateQueue` and `DeleteQueue` |

| for `b.yaml` | |
|---|---|
| `lambda` | `CreateFunction`, `PublishVersion`, `CreateAlias` |
"""
SCRIPT = """
s3.create_bucket(Bucket=bucket)
s3.head_bucket(Bucket=bucket)
s3.put_object(Key=key)
signer.start_signing_job()
signer.get_waiter("successful_signing_job").wait(jobId=job)
"""
QUEUE = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}}"
FUNCTION = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: f.zip, Handler: f, Runtime: provided.al2023, Role: r, AutoPublishAlias: current}
"""


def cases():
    """What must be refused, each with a word of why, and what must not."""
    source = {"repository": "owner/name", "commit": "0" * 40, "path": "schemas/a.json"}
    queue = source | {
        "create": ["sqs:CreateQueue", "kms:Encrypt"],
        "update": ["sqs:TagResource", "sns:TagResource", "kms:Encrypt"],
        "delete": ["SQS:DeleteQueue"],
        "only_with": {"KmsMasterKeyId": ["kms:Encrypt"], "RedrivePolicy": ["kms:Encrypt"]},
    }
    types = {
        "AWS::SQS::Queue": queue,
        "AWS::Lambda::Function": source | {"create": ["lambda:CreateFunction"]},
        "AWS::Lambda::Version": source | {"create": ["lambda:PublishVersion"]},
        "AWS::Lambda::Alias": source | {"create": ["lambda:CreateAlias"]},
    }

    def made(why, page=PAGE, types=types, queue=QUEUE, function=FUNCTION, script=SCRIPT):
        return (page, types, {"a.yaml": queue, "b.yaml": function, "a.py": script}), why

    def read(why, **entry):
        return made(why, types=types | {"AWS::SQS::Queue": queue | entry})

    # Each right of each table, taken out.
    for name in re.findall(r"`(?:[a-z]+:)?[A-Z]\w+`", PAGE):
        action = name.strip("`").split(":")[-1]
        # Its service is named again, for what comes after.
        yield made(f"{action}, which its table does not list", page=PAGE.replace(name, name.replace(action, "Nothing")))
    yield from [
        made(None),
        made("s3:Nothing is listed for a.yaml, and nothing asks", page=PAGE.replace("`PutObject`", "`PutObject`, `Nothing`")),
        made("a.py: add_tags needs elasticloadbalancing:AddTags", script=SCRIPT + "elb.add_tags(ResourceArns=[arn])"),
        made("s3:PutObject is listed for a.yaml", script=SCRIPT.replace("s3.put_object(Key=key)", "")),
        made("a.yaml: AWS::SQS::Queue needs kms:Encrypt", queue=QUEUE.replace("QueueName: q", "KmsMasterKeyId: !Ref Key")),
        made("a.yaml: AWS::SQS::Queue needs kms:Encrypt", queue=QUEUE.replace("q}", "!If [C, {RedrivePolicy: {}}, q]}")),
        made(
            "sqs:DeleteQueue is listed for a.yaml",
            queue=QUEUE.replace("Properties", "DeletionPolicy: Retain, UpdateReplacePolicy: Retain, Properties"),
        ),
        made(None, queue=QUEUE.replace("Properties", "DeletionPolicy: Retain, Properties")),
        made("lambda:PublishVersion is listed for b.yaml", function=FUNCTION.replace(", AutoPublishAlias: current", "")),
        made("the handlers of AWS::SNS::Topic ask for is not known", queue=QUEUE[:-1] + ", T: {Type: AWS::SNS::Topic}}"),
        made("b.yaml: exactly one table", page=PAGE.replace("b.yaml", "c.yaml")),
        made("b.yaml: exactly one table", page=PAGE.replace("a.yaml", "a.yaml` and `b.yaml")),
        read("AWS::SQS::Queue knows no property KeyOfSomebody", only_with={"KeyOfSomebody": ["kms:Encrypt"]}),
        read("AWS::SQS::Queue: no handler asks for kms:Decrypt", only_with={"KmsMasterKeyId": ["kms:Decrypt", "kms:Encrypt"]}),
        read("AWS::SQS::Queue: the repository", commit="main"),
        made("AWS::SNS::Topic: no template has it", types=types | {"AWS::SNS::Topic": source}),
    ]


if __name__ == "__main__":
    checks.run("rights", check, faults, list(cases()))
