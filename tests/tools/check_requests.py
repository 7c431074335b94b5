"""Holds requests against AWS's own models of its services, as botocore ships them.

    check_requests.py FILE
    check_requests.py --self-test

FILE has a request in each line, as JSON: {"service": "elasticloadbalancing", "operation": "AddTags", "parameters":
[["ResourceArns.member.1", "arn:..."], ...]}, with nested parameters by their paths as in the query protocol, or with
the whole request of a JSON protocol as the one parameter Body. The local AWS is lenient where it was not told to be
strict; the models are not: unknown names, what is required, lengths, ranges, patterns and enumerations.
"""

import json
import sys

import botocore.session
import regex
from botocore.exceptions import DataNotFoundError
from botocore.model import OperationNotFoundError

# How a rehearsal calls them: as IAM does.
MODELS = {
    "elasticloadbalancing": "elbv2",
    "cloudwatch": "cloudwatch",
    "states": "stepfunctions",
    "events": "events",
    "sns": "sns",
}
# Of the query protocol itself.
ENVELOPE = {"Action", "Version"}
SESSION = botocore.session.get_session()


def nested(pairs):
    """The parameters as a tree, by the parts of their paths."""
    tree = {}
    for path, value in pairs:
        *above, last = path.split(".")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def items(tree):
    """The members of a list in the tree, in their order; nothing at all is an empty list."""
    if tree == "":
        return []
    return [tree["member"][number] for number in sorted(tree["member"], key=int)]


def look(shape, value, path):
    """What is wrong with a value, a line each."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path} is no structure"]
        found = [f"{path}.{name} is not known" for name in value if name not in shape.members]
        found += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        known = [(name, part) for name, part in value.items() if name in shape.members]
        return found + [fault for name, part in known for fault in look(shape.members[name], part, f"{path}.{name}")]
    if kind == "list":
        try:
            parts = value if isinstance(value, list) else items(value)
        except (KeyError, TypeError, ValueError):
            return [f"{path} is no list"]
        each = [fault for number, part in enumerate(parts, 1) for fault in look(shape.member, part, f"{path}.{number}")]
        return bounds(shape, len(parts), f"the number of items of {path}") + each
    if kind == "map":
        return [] if isinstance(value, dict) else [f"{path} is no map"]
    if kind == "boolean":
        return [] if str(value).lower() in ("true", "false") else [f"{path} is {value}, neither true nor false"]
    if kind in ("integer", "long", "float", "double"):
        try:
            return bounds(shape, (int if kind in ("integer", "long") else float)(value), path)
        except (TypeError, ValueError):
            return [f"{path} is {value!r}, no {kind}"]
    if kind == "string":
        return text(shape, value, path)
    return []


def text(shape, value, path):
    """What is wrong with a text."""
    if not isinstance(value, str):
        return [f"{path} is {value!r}, no text"]
    found = bounds(shape, len(value), f"the length of {path}")
    if shape.enum and value not in shape.enum:
        found.append(f"{path} is {value}, none of {', '.join(shape.enum)}")
    pattern = shape.metadata.get("pattern")
    # Where one is not anchored, finding it is enough.
    if pattern and not regex.search(pattern, value):
        found.append(f"{path} is {value!r}, which does not match {pattern}")
    return found


def bounds(shape, number, what):
    """What is wrong with a number or a length."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and number < least) or (most is not None and number > most):
        return [f"{what} is {number}, not {least} to {most}"]
    return []


def faults(request):
    """What is wrong with a request, a line each."""
    service, name, pairs = request["service"], request["operation"], request["parameters"]
    try:
        operation = SESSION.get_service_model(MODELS[service]).operation_model(name)
    except (KeyError, DataNotFoundError):
        return [f"{service} is not known here"]
    except OperationNotFoundError:
        return [f"{service} has no operation {name}"]
    if [path for path, _ in pairs] == ["Body"]:
        try:
            parameters = json.loads(pairs[0][1])
        except ValueError:
            return ["the body is no JSON"]
    else:
        parameters = {key: value for key, value in nested(pairs).items() if key not in ENVELOPE}
    return look(operation.input_shape, parameters, name) if operation.input_shape else []


def check(file):
    """What is wrong with the requests of a file, and how many there are."""
    found, seen = [], 0
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            seen += 1
            found += [f"{fault}  in  {line.strip()}" for fault in faults(json.loads(line))]
    return found, seen


def self_test():
    """What must be refused, each with a word of why, and what must not."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
    tag = [["ResourceArns.member.1", arn], ["Tags.member.1.Key", "failover:live"], ["Tags.member.1.Value", "prod1"]]
    change = [["ListenerArn", arn], ["DefaultActions.member.1.Type", "forward"]]
    query = {"MetricDataQueries.member.1.Id": "a1", "StartTime": "2026-11-30T00:00:00Z", "EndTime": "2026-11-30T01:00:00Z"}
    event = {"Source": "failover", "DetailType": "Run", "Detail": "{}"}
    execution = {"executionArn": "arn:aws:states:us-east-1:123456789012:execution:failover:one"}
    put = [["Body", json.dumps({"Entries": [event]})]]
    cases = [
        ("elasticloadbalancing", "AddTags", tag, None),
        ("elasticloadbalancing", "AddTags", [["Action", "AddTags"], ["Version", "2015-12-01"], *tag], None),
        ("elasticloadbalancing", "AddTags", tag[:1], "Tags is missing"),
        ("elasticloadbalancing", "AddTags", [*tag[:2], ["Tags.member.1.Value", "x" * 257]], "length"),
        ("elasticloadbalancing", "AddTags", [*tag[:2], ["Tags.member.1.Value", "who's"]], "does not match"),
        ("elasticloadbalancing", "AddTags", [*tag, ["Tags.member.1.Colour", "red"]], "not known"),
        ("elasticloadbalancing", "PaintListener", tag, "no operation"),
        ("elasticloadbalancing", "ModifyListener", change, None),
        ("elasticloadbalancing", "ModifyListener", [change[0], [change[1][0], "foreward"]], "none of"),
        ("elasticloadbalancing", "ModifyListener", [*change, ["DefaultActions.member.1.Order", "0"]], "not 1 to"),
        ("elasticloadbalancing", "ModifyListener", [*change, ["Port", "http"]], "no integer"),
        ("elasticloadbalancing", "DescribeRules", [["PageSize", "401"]], "not 1 to"),
        ("cloudwatch", "GetMetricData", [*query.items()], None),
        ("cloudwatch", "GetMetricData", [*query.items()][:2], "EndTime is missing"),
        ("events", "PutEvents", put, None),
        ("events", "PutEvents", [["Body", '{"Entries": []}']], "number of items"),
        ("states", "DescribeExecution", [["Body", json.dumps(execution)]], None),
        ("states", "DescribeExecution", [["Body", "{}"]], "executionArn is missing"),
        ("sns", "Publish", [["TopicArn", "arn:aws:sns:us-east-1:123456789012:notices"], ["Message", "x"]], None),
        ("sns", "Publish", [["Subject", "x"]], "Message is missing"),
        ("nobody", "Knows", [], "not known here"),
    ]
    for service, operation, pairs, why in cases:
        found = faults({"service": service, "operation": operation, "parameters": pairs})
        right = not found if why is None else any(why in fault for fault in found)
        if not right:
            sys.exit(f"{service} {operation} {pairs}: {found or 'not refused'}, expected {why}")
    print(f"{len(cases)} requests judged as they should be")


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    else:
        wrong, requests = check(sys.argv[1])
        if wrong or not requests:
            sys.exit("\n".join(wrong) or "There is no request to look at")
        print(f"{requests} kinds of requests, all as AWS's models have them")
