"""AWS's own models of its services, as botocore ships them, and what they say of a value."""

from datetime import datetime

import botocore.session
import dateutil.parser
import regex
from botocore.exceptions import DataNotFoundError
from botocore.model import OperationNotFoundError

# How a rehearsal calls some of them: as IAM does. The others by botocore's own names.
MODELS = {
    "elasticloadbalancing": "elbv2",
    "cloudwatch": "cloudwatch",
    "states": "stepfunctions",
    "events": "events",
    "sns": "sns",
}
SESSION = botocore.session.get_session()


def operation(service, name):
    """The model of an operation, or what is wrong with its name."""
    try:
        return SESSION.get_service_model(MODELS.get(service, service)).operation_model(name)
    except DataNotFoundError:
        return f"{service} is not known here"
    except OperationNotFoundError:
        return f"{service} has no operation {name}"


def items(tree):
    """The members of a list, in their order: as a list, or by their numbers as in the query protocol."""
    if isinstance(tree, list):
        return tree
    # Nothing at all is an empty list.
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
            parts = items(value)
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
    if kind == "timestamp" and not isinstance(value, (int, float, datetime)):
        try:
            dateutil.parser.isoparse(value)
        except ValueError:
            return [f"{path} is {value!r}, no time"]
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
