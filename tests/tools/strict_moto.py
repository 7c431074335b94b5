"""moto's server behind a layer that refuses what AWS refuses and moto takes.

    strict_moto.py PORT

The codes and words of refusals are those of tests/alb/ledger.json, so that what the local balancer is held to and what
moto is held to cannot come apart. What is not refused goes to moto as it came.
"""

import json
import os
import re
import sys
import threading
import time
from io import BytesIO
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moto.elbv2.models import elbv2_backends
from moto.iam.access_control import CreateAccessKeyFailure, IAMPolicy, PermissionResult, create_access_key
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../alb/ledger.json")
# moto's account, and where rehearsals pretend to be.
ACCOUNT, REGION = "123456789012", "us-east-1"
# The list by which a call names things, and what AWS calls them where it says so.
MOST_DESCRIBED = 20
DESCRIBED = {
    "DescribeTags": ("ResourceArns", None),
    "DescribeRules": ("RuleArns", "listener rules"),
    "DescribeListeners": ("ListenerArns", "listeners"),
    "DescribeTargetGroups": ("TargetGroupArns", "target groups"),
    "DescribeLoadBalancers": ("LoadBalancerArns", "load balancers"),
}
# What writes an action that has users sign in with Cognito needs, by pool.
SIGNS_IN = re.compile(r"(?:Default)?Actions\.member\.\d+\.AuthenticateCognitoConfig\.UserPoolArn")
LOOKS_AT_POOLS = "cognito-idp:DescribeUserPoolClient"
FORWARD = re.compile(r"(?:Default)?Actions\.member\.\d+\.ForwardConfig\.")

with open(LEDGER, encoding="utf-8") as ledger:
    REFUSALS = {row["refusal"] for row in json.load(ledger) if "refusal" in row}


class Refused(Exception):
    """A call that AWS refuses, with its code and message."""


def refuse(words, **parts):
    """Refuses by the one refusal of the ledger that has these words, with its parts in angle brackets filled in."""
    found = [refusal for refusal in REFUSALS if words in refusal]
    if len(found) != 1:
        raise LookupError(f"the ledger has {found} for {words!r}")
    code, _, message = found[0].partition(": ")
    for part, value in parts.items():
        message = message.replace(f"<{part}>", value)
    raise Refused(code, message)


def members(form, name):
    return [value for key, value in form.items() if re.fullmatch(rf"{name}\.member\.\d+", key)]


def forwards(form):
    """The forwards among the actions of a call: their groups, and how they bind clients."""
    found = {}
    for key, value in form.items():
        if match := FORWARD.match(key):
            groups, sticky = found.setdefault(match.group(), ({}, {}))
            *_, number, name = ["", *key[match.end() :].split(".")]
            into = groups.setdefault(number, {}) if "TargetGroups.member." in key else sticky
            into[name] = value
    return [(list(groups.values()), sticky) for groups, sticky in found.values()]


def is_bound(sticky):
    return sticky.get("Enabled", "false").lower() == "true"


def check_actions(form):
    backend = elbv2_backends[ACCOUNT][REGION]
    for groups, sticky in forwards(form):
        for group in groups:
            weight = group.get("Weight", "1" if len(groups) == 1 else "")
            if not weight.isdigit() or int(weight) > 999:
                refuse("must be between 0 and 999, inclusive")
        if not 1 <= int(sticky.get("DurationSeconds", 1)) <= 604800:
            refuse("must be between 1 and 604800 seconds")
        held = [backend.target_groups.get(group.get("TargetGroupArn")) for group in groups]
        binds = any(group and group.attributes.get("stickiness.enabled") == "true" for group in held)
        if len(groups) > 1 and binds and not is_bound(sticky):
            refuse("You must enable group stickiness on a rule")


def check_attributes(form):
    """A group behind a rule that weighs it and binds nobody cannot bind clients itself."""
    set_ = {form[key]: form.get(key[: -len("Key")] + "Value") for key in form if key.endswith(".Key")}
    if set_.get("stickiness.enabled") != "true":
        return
    group = form["TargetGroupArn"]
    balancers = elbv2_backends[ACCOUNT][REGION].load_balancers.values()
    for rule in [r for b in balancers for listener in b.listeners.values() for r in listener.rules.values()]:
        for action in rule.actions:
            config = action.data.get("ForwardConfig") or {}
            groups = [part.get("TargetGroupArn") for part in config.get("TargetGroups", [])]
            sticky = config.get("TargetGroupStickinessConfig") or {}
            if len(groups) > 1 and group in groups and not is_bound({k: str(v) for k, v in sticky.items()}):
                refuse("This target group appears behind a rule with group stickiness disabled")


class Bucket:
    """Tokens of an account, one for a call."""

    def __init__(self, holds, per_second):
        self.holds, self.per_second = holds, per_second
        self.tokens, self.filled, self.lock = float(holds), time.monotonic(), threading.Lock()

    def take(self):
        with self.lock:
            now = time.monotonic()
            self.tokens = min(self.holds, self.tokens + (now - self.filled) * self.per_second)
            self.filled = now
            if self.tokens < 1:
                refuse("Rate exceeded")
            self.tokens -= 1


# As the ledger has them.
READS, CHANGES = Bucket(40, 10), Bucket(20, 3)


def check_regions(form):
    """An ARN of another region is none to AWS."""
    for value in form.values():
        if value.startswith("arn:aws:elasticloadbalancing:") and value.split(":")[3] != REGION:
            refuse("must be in ARN format", arn=value)


def check_sign_in(form, key):
    """Whoever writes an action for Cognito has to be allowed to look at the pool, as moto's own IAM judges it."""
    pools = [value for name, value in form.items() if SIGNS_IN.fullmatch(name)]
    try:
        policies = [IAMPolicy(policy) for policy in create_access_key(ACCOUNT, "aws", key, {}).collect_policies()]
    except CreateAccessKeyFailure:
        # The key of a rehearsal is nobody's, whose rights nobody knows.
        return
    for pool in pools:
        said = [policy.is_action_permitted(LOOKS_AT_POOLS, pool) for policy in policies]
        if PermissionResult.DENIED in said or PermissionResult.PERMITTED not in said:
            refuse("describeUserPoolClient")


def check(form, key):
    """Refuses a call, signed with an access key, where AWS does."""
    action = form.get("Action", "")
    (READS if action.startswith("Describe") else CHANGES).take()
    check_regions(form)
    if action in ("AddTags", "RemoveTags") and len(members(form, "ResourceArns")) > 1:
        refuse("Only one resource can be tagged at a time")
    if action in DESCRIBED:
        name, things = DESCRIBED[action]
        if len(members(form, name)) > MOST_DESCRIBED:
            # For tags the ledger knows the code alone.
            if things is None:
                raise Refused("ValidationError", f"more than {MOST_DESCRIBED} resources")
            refuse(f"You cannot describe more than '{MOST_DESCRIBED}' {things} at a time")
    if action == "ModifyTargetGroupAttributes":
        check_attributes(form)
    check_actions(form)
    check_sign_in(form, key)


class Strict:
    """The layer, as WSGI has it."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        signed = environ.get("HTTP_AUTHORIZATION", "")
        if "/elasticloadbalancing/" in signed:
            key = signed.partition("Credential=")[2].partition("/")[0]
            try:
                check(dict(parse_qsl(body.decode(), keep_blank_values=True)), key)
            except Refused as refused:
                code, message = map(escape, refused.args)
                error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                answer = f"<ErrorResponse>{error}<RequestId>strict</RequestId></ErrorResponse>".encode()
                start_response("400 Bad Request", [("Content-Type", "text/xml"), ("Content-Length", str(len(answer)))])
                return [answer]
        return self.inner(environ, start_response)


if __name__ == "__main__":
    port = int(sys.argv[1])
    os.environ["MOTO_PORT"] = str(port)
    moto = Strict(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", port, moto, threaded=True, request_handler=MotoRequestHandler)
