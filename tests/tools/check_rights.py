"""Holds what scripts ask of AWS against the rights that the page about them lists.

    check_rights.py PAGE SCRIPT...
    check_rights.py --self-test

The page has tables whose first cell names services and whose second names actions, with their service in front where it
is another one. What CloudFormation asks for in turn is not seen here: that is of the resource types' schemas.
"""

import re

import check_ledger
import checks

# What permissions call otherwise than the operation is called, and what needs no permission.
PERMITTED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
# Services of the balancer's own rights are named with it.
NAME = re.compile(r"`(?:([a-z0-9-]+):)?([A-Za-z0-9]+)`")


def rights(page):
    """The rights that a page lists, as service:Action."""
    found = set()
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")] if line.startswith("|") else []
        if len(cells) != 2:
            continue
        services = [name for _, name in NAME.findall(cells[0]) if name.islower()]
        for service, action in NAME.findall(cells[1]):
            services = [service] if service else services
            found |= {f"{name}:{action}" for name in services}
    return found


def faults(case):
    """What a script names and a page lacks."""
    known, script, text = case
    missing = []
    for word, some in check_ledger.named(script, text):
        needed = {PERMITTED.get(operation, operation) for operation in some}
        if not needed & known:
            missing.append(f"{script}: {word} needs {' or '.join(sorted(needed))}, which the page does not list")
    return missing


def check(files):
    """What is wrong with a page, a line each, and how many operations the scripts name."""
    page, *scripts = files
    with open(page, encoding="utf-8") as text:
        known = rights(text.read())
    found, seen = [], 0
    for script in scripts:
        with open(script, encoding="utf-8") as text:
            case = (script, text.read())
        found += faults((known, *case))
        seen += len(list(check_ledger.named(*case)))
    return found, seen


def cases():
    """What must be refused, each with a word of why, and what must not."""
    page = """
| | |
|---|---|
| `s3`, on a bucket | `ListBucket`, `PutObject` |
| `lambda` and `signer` | `StartSigningJob`; `GetFunction` |
| on everything | `sts:GetCallerIdentity`; `elasticloadbalancing:DescribeRules` and `AddTags` |
"""

    def made(text, why):
        return (rights(page), "a.py", text), why

    return [
        made("s3.put_object(Key=key)", None),
        made("s3.head_bucket(Bucket=bucket)", None),
        made("s3.delete_bucket(Bucket=bucket)", "s3:DeleteBucket, which the page does not list"),
        made("signer.start_signing_job()", None),
        made("elb.add_tags(ResourceArns=[arn])", None),
        made("elb.remove_tags(ResourceArns=[arn])", "elasticloadbalancing:RemoveTags"),
        made("sts.get_caller_identity()", None),
    ]


if __name__ == "__main__":
    checks.run("operations", check, faults, cases())
