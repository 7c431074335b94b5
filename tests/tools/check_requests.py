"""Holds requests against AWS's own models of its services, as botocore ships them.

    check_requests.py FILE
    check_requests.py --self-test

FILE has a request in each line, as JSON: {"service": "elasticloadbalancing", "operation": "AddTags", "parameters":
[["ResourceArns.member.1", "arn:..."], ...]}, with nested parameters by their paths as in the query protocol, or with
the whole request of a JSON protocol as the one parameter Body. What a script or the AWS CLI has asked for, which
noted/sitecustomize.py notes, comes with the service by botocore's name and with what it gave to botocore:
{"service": "elbv2", "operation": "AddTags", "given": {"ResourceArns": ["arn:..."], ...}}. The local AWS is lenient where it was not told to be
strict; the models are not: unknown names, what is required, lengths, ranges, patterns and enumerations.
"""

import json

import checks
import models

# Of the query protocol itself.
ENVELOPE = {"Action", "Version"}


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


def faults(request):
    """What is wrong with a request, a line each."""
    service, name = request["service"], request["operation"]
    operation = models.operation(service, name)
    if isinstance(operation, str):
        return [operation]
    if "given" in request:
        return models.look(operation.input_shape, request["given"], name) if operation.input_shape else []
    pairs = request["parameters"]
    if [path for path, _ in pairs] == ["Body"]:
        try:
            parameters = json.loads(pairs[0][1])
        except ValueError:
            return ["the body is no JSON"]
    else:
        parameters = {key: value for key, value in nested(pairs).items() if key not in ENVELOPE}
    return models.look(operation.input_shape, parameters, name) if operation.input_shape else []


def cases():
    """What must be refused, each with a word of why, and what must not."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
    tag = [["ResourceArns.member.1", arn], ["Tags.member.1.Key", "failover:live"], ["Tags.member.1.Value", "prod1"]]
    change = [["ListenerArn", arn], ["DefaultActions.member.1.Type", "forward"]]
    query = {"MetricDataQueries.member.1.Id": "a1", "StartTime": "2026-11-30T00:00:00Z", "EndTime": "2026-11-30T01:00:00Z"}
    event = {"Source": "failover", "DetailType": "Run", "Detail": "{}"}
    execution = {"executionArn": "arn:aws:states:us-east-1:123456789012:execution:failover:one"}
    put = [["Body", json.dumps({"Entries": [event]})]]
    made = [
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
    execution, bucket = {"stateMachineArn": execution["executionArn"], "statusFilter": "RUNNING"}, {"Bucket": "artifacts"}
    given = [
        ("elbv2", "AddTags", {"ResourceArns": [arn], "Tags": [{"Key": "failover:live", "Value": "prod1"}]}, None),
        ("elbv2", "AddTags", {"ResourceArns": [arn], "Tags": [{"Key": "failover:live", "Value": "who's"}]}, "does not match"),
        ("elbv2", "CreateRule", {"ListenerArn": arn, "Priority": 50001, "Conditions": [], "Actions": []}, "not 1 to 50000"),
        ("stepfunctions", "ListExecutions", execution, None),
        ("stepfunctions", "ListExecutions", execution | {"statusFilter": "GOING_ON"}, "none of"),
        ("s3", "PutBucketVersioning", bucket | {"VersioningConfiguration": {"Status": "Enabled"}}, None),
        ("s3", "PutBucketVersioning", bucket, "VersioningConfiguration is missing"),
        ("sts", "GetCallerIdentity", {}, None),
    ]
    keys = ("service", "operation")
    requests = [(dict(zip(keys, request)) | {"parameters": pairs}, why) for *request, pairs, why in made]
    return requests + [(dict(zip(keys, request)) | {"given": parameters}, why) for *request, parameters, why in given]


if __name__ == "__main__":
    checks.run("kinds of requests", checks.of_lines(faults), faults, cases())
