"""Holds answers of the local balancer against AWS's own models of its services, as botocore ships them.

    check_answers.py FILE...
    check_answers.py --self-test

A file has an answer in each line, as JSON: {"service": "elasticloadbalancing", "operation": "AddTags", "status": 200,
"body": "..."}, the body as text where it is XML, and in hexadecimal digits where it is CBOR. What the SDKs read past is
refused here: names that the model does not know, a list without its members, a refusal by a code that is not declared. And
whatever is answered has a source, since a model only says what may be: an example of an answer that botocore ships, or
a row of tests/alb/ledger.json.
"""

import functools
import json
import os
import re
from xml.etree import ElementTree

import cbor2
import checks
import models

# Of every operation: "Common errors" of the services' API references.
COMMON = {"ValidationError", "Throttling", "ThrottlingException", "InvalidAction", "AccessDenied"}
# Declared for none of these operations, and marked as assumed in tests/alb/ledger.json.
ASSUMED = {"TooManyTargetGroups"}
LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../alb/ledger.json")
NO_ITEMS = re.compile(r"the number of items of \S+ is 0,")


def read(shape, element):
    """What an element of XML holds, by its shape; what is not of the shape is left as it is."""
    kind = shape.type_name if shape else None
    if kind == "structure":
        return {plain(part): read(shape.members.get(plain(part)), part) for part in element}
    if kind == "list":
        strange = [plain(part) for part in element if plain(part) != "member"]
        bare = len(element) == 0 and text(element)
        return {"strange": strange} if strange or bare else [read(shape.member, part) for part in element]
    if kind == "map":
        return {text(part[0]): text(part[1]) for part in element}
    return text(element)


def plain(element):
    """The name of an element, without its namespace."""
    return element.tag.rpartition("}")[2]


def text(element):
    return (element.text or "").strip() if len(element) == 0 else ElementTree.tostring(element, encoding="unicode")


def of_xml(operation, body, status):
    root = ElementTree.fromstring(body)
    if status >= 400:
        error = {plain(part): text(part) for part in root.find("{*}Error")}
        if plain(root) != "ErrorResponse" or set(error) != {"Type", "Code", "Message"}:
            return [f"{body} is no refusal of the query protocol"]
        return of_code(operation, error["Code"], status)
    if plain(root) != f"{operation.name}Response":
        return [f"the root is {plain(root)}"]
    parts = {plain(part): part for part in root}
    wanted = {operation.output_shape.serialization.get("resultWrapper"), "ResponseMetadata"}
    if set(parts) != wanted:
        return [f"the root holds {sorted(parts)}, not {sorted(wanted)}"]
    result = parts[operation.output_shape.serialization["resultWrapper"]]
    value = read(operation.output_shape, result)
    found = models.look(operation.output_shape, value, operation.name)
    found += without_source(operation, "elasticloadbalancing", value)
    # The least lengths of lists are for requests, which share some lists with answers: what has no tags is shown with
    # an empty list of them.
    return [fault for fault in found if not NO_ITEMS.match(fault)]


def of_cbor(operation, body, status):
    value = cbor2.loads(bytes.fromhex(body))
    if status < 400:
        found = models.look(operation.output_shape, value, operation.name)
        return found + without_source(operation, "cloudwatch", value)
    if set(value) != {"__type", "message"}:
        return [f"{value} is no refusal of the CBOR protocol"]
    # The absolute name of a shape.
    namespace, _, name = value["__type"].rpartition("#")
    shapes = operation.service_model.shape_names
    if namespace != "com.amazonaws.cloudwatch" or name not in shapes:
        return [f"{value['__type']} is no error of the model"]
    return of_code(operation, operation.service_model.shape_for(name).error_code, status)


def members(shape, value):
    """What a value gives, as members of the shapes of a model."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, part in value.items():
            if name in shape.members:
                yield f"{shape.name}.{name}"
                yield from members(shape.members[name], part)
    elif shape.type_name == "list" and isinstance(value, list):
        for part in value:
            yield from members(shape.member, part)


@functools.cache
def shown(service):
    """The members of answers that an example or a row of the ledger shows."""
    with open(LEDGER, encoding="utf-8") as file:
        found = {name for row in json.load(file) for name in row.get("answers", ())}
    api = models.SESSION.get_service_model(models.MODELS[service])
    examples = models.SESSION.get_component("data_loader").load_service_model(models.MODELS[service], "examples-1")
    for name, each in examples["examples"].items():
        for output in filter(None, (example.get("output") for example in each)):
            found.update(members(api.operation_model(name).output_shape, output))
    return found


def without_source(operation, service, value):
    """What an answer gives of which nothing says that AWS gives it."""
    # Of answers without anything there is nothing to show.
    given = set(members(operation.output_shape, value)) if operation.output_shape else set()
    return [f"nothing shows that AWS answers {name}: give ledger.json a row" for name in sorted(given - shown(service))]


def of_code(operation, code, status):
    """What is wrong with the code of a refusal."""
    declared = {shape.error_code: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes}
    if code not in declared.keys() | COMMON | ASSUMED:
        return [f"{operation.name} declares no {code}"]
    wanted = declared.get(code, 400)
    return [] if status == wanted else [f"{code} comes with status {wanted}, not {status}"]


def faults(answer):
    """What is wrong with an answer, a line each."""
    operation = models.operation(answer["service"], answer["operation"])
    if isinstance(operation, str):
        # What asks for no operation gets this answer, as from AWS, and no other.
        refused = answer["status"] == 400 and "<Code>InvalidAction</Code>" in answer["body"]
        return [] if refused else [operation]
    judge = of_cbor if answer["service"] == "cloudwatch" else of_xml
    return judge(operation, answer["body"], answer["status"])


def cases():
    """What must be refused, each with a word of why, and what must not."""
    namespace = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"

    def xml(operation, result, status=200):
        end = "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        inner = f"<{operation}Result>{result}</{operation}Result>{end}"
        body = f'<{operation}Response xmlns="{namespace}">{inner}</{operation}Response>'
        return {"service": "elasticloadbalancing", "operation": operation, "status": status, "body": body}

    def refused(code, status=400, operation="DescribeRules", more=""):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>No.</Message>{more}</Error>"
        body = f'<ErrorResponse xmlns="{namespace}">{error}<RequestId>1</RequestId></ErrorResponse>'
        return {"service": "elasticloadbalancing", "operation": operation, "status": status, "body": body}

    def cbor(value, status=200):
        body = cbor2.dumps(value).hex()
        return {"service": "cloudwatch", "operation": "GetMetricData", "status": status, "body": body}

    def rules(rule):
        return xml("DescribeRules", f"<Rules><member>{rule}</member></Rules>")

    forward = "<Actions><member><Type>{}</Type><Order>{}</Order></member></Actions>"
    result = {"Id": "a", "StatusCode": "Complete", "Timestamps": [cbor2.CBORTag(1, 1764496800.0)], "Values": [1.0]}
    cloudwatch = "com.amazonaws.cloudwatch#"
    return [
        (rules("<Priority>1</Priority><IsDefault>false</IsDefault>" + forward.format("forward", 1)), None),
        (xml("DescribeTags", "<TagDescriptions><member><Tags/></member></TagDescriptions>"), None),
        (rules("<Transforms/>"), "nothing shows that AWS answers Rule.Transforms"),
        (rules("<Colour>red</Colour>"), "Colour is not known"),
        (rules("<IsDefault>no</IsDefault>"), "neither true nor false"),
        (rules(forward.format("foreward", 1)), "none of"),
        (rules(forward.format("forward", 0)), "not 1 to"),
        (rules("<Actions><Type>forward</Type></Actions>"), "no list"),
        (xml("DescribeRules", "<Rules>one</Rules>"), "no list"),
        ({**rules(""), "operation": "DescribeListeners"}, "the root is"),
        (xml("DescribeLoadBalancers", "<LoadBalancers><member><CreatedTime>now</CreatedTime></member></LoadBalancers>"), "no time"),
        (refused("RuleNotFound"), None),
        (refused("ValidationError"), None),
        ({**refused("InvalidAction"), "operation": ""}, None),
        ({**refused("ValidationError"), "operation": ""}, "no operation"),
        (refused("RuleNotFound", 404), "status 400"),
        (refused("RuleIsGone"), "declares no"),
        (refused("RuleNotFound", more="<Why>gone</Why>"), "no refusal"),
        (cbor({"MetricDataResults": [result], "Messages": []}), None),
        (cbor({"MetricDataResults": [{**result, "StatusCode": "Done"}]}), "none of"),
        (cbor({"MetricDataResults": [{**result, "Values": ["high"]}]}), "no double"),
        (cbor({"MetricDataResults": [{**result, "Label": "a"}], "NextToken": "1"}), None),
        (cbor({"Results": []}), "not known"),
        (cbor({"__type": cloudwatch + "ValidationException", "message": "No."}, 400), None),
        (cbor({"__type": cloudwatch + "ValidationError", "message": "No."}, 400), "no error of the model"),
        (cbor({"__type": cloudwatch + "ResourceNotFound", "message": "No."}, 404), "declares no"),
        (cbor({"__type": "ValidationException", "message": "No."}, 400), "no error of the model"),
    ]


if __name__ == "__main__":
    checks.run("kinds of answers", checks.of_lines(faults), faults, cases())
