"""Shows what the example policy of the organisation denies to whom, statement by statement.

    check_organisation.py POLICY
"""

import fnmatch
import json
import sys

# Beyond this AWS takes no service control policy: AWS Organizations user guide, quotas.
MOST = 5120
ROLE = "arn:aws:iam::123456789012:role/"
WRITE = ["ClaimRoutes", "SetWeights", "SwapRoles", "RollBack", "ReleaseRoutes"]
RUNS = [f"failover-{name}Role-1AB" for name in WRITE]
PEOPLE = ["failover-OperatorRole-1AB", "the-role-that-approves"]
DEPLOYS = "the-role-that-deploys"
STRANGERS = ["admin", "failover-CheckMetricsRole-1AB", "failover-OperatorRole"]
OURS = ["failover:claim", "failover:live", "failover:anything"]


def cases():
    """Who tags what, and whether that is denied."""
    for action in ("elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"):
        for key in [*OURS, "failover:request", "failover:release"]:
            yield from ((role, action, [key], False) for role in RUNS)
            yield from ((role, action, [key], True) for role in STRANGERS)
            yield from ((role, action, [key], key != "failover:request") for role in PEOPLE)
            yield DEPLOYS, action, [key], key != "failover:release"
        # What is not ours is nobody's business here, but nothing of ours is hidden behind it.
        for role in [*RUNS, *STRANGERS, *PEOPLE, DEPLOYS]:
            yield role, action, ["Name", "Stage"], False
        for role in [*STRANGERS, *PEOPLE, DEPLOYS]:
            yield role, action, ["Name", "failover:claim"], True
    machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:failover"
    run = "arn:aws:states:eu-central-1:123456789012:execution:failover:web-1"
    for action, resource in (("states:StartExecution", machine), ("states:StopExecution", run)):
        yield "admin", action, resource, True
        yield PEOPLE[0], action, resource, False
        yield DEPLOYS, action, resource, False
        yield "admin", action, resource.replace("failover", "other"), False


def several(value):
    return value if isinstance(value, list) else [value]


def like(text, patterns):
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in several(patterns))


# Each of a condition's operators that the policy uses, on what the request says for the key.
OPERATORS = {
    "ArnLike": like,
    "ArnNotLike": lambda said, patterns: not like(said, patterns),
    "ForAnyValue:StringLike": lambda said, patterns: any(like(one, patterns) for one in said),
    "ForAnyValue:StringNotEquals": lambda said, values: any(one not in several(values) for one in said),
}


def denied(policy, role, action, resource, keys):
    """Whether a statement denies the request."""
    request = {"aws:PrincipalArn": ROLE + role, "aws:TagKeys": keys}
    return any(
        action in statement["Action"]
        and like(resource, statement["Resource"])
        and all(
            OPERATORS[operator](request[key], values)
            for operator, of_keys in statement["Condition"].items()
            for key, values in of_keys.items()
        )
        for statement in policy["Statement"]
    )


def main(file):
    """Goes through all cases."""
    with open(file, encoding="utf-8") as text:
        policy = json.load(text)
    size = len(json.dumps(policy, separators=(",", ":")))
    wrong = [f"it has {size} characters, of at most {MOST}"] if size > MOST else []
    if {statement["Effect"] for statement in policy["Statement"]} != {"Deny"}:
        wrong.append("it has to deny, and nothing else")
    looked_at = 0
    for role, action, about, expected in cases():
        looked_at += 1
        keys, resource = ([], about) if isinstance(about, str) else (about, "arn:aws:elasticloadbalancing:any")
        if denied(policy, role, action, resource, keys) != expected:
            wrong.append(f"{role}: {action} of {about} is {'not ' if expected else ''}denied")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{looked_at} requests judged as they should be, {size} characters")


if __name__ == "__main__":
    main(*sys.argv[1:])
