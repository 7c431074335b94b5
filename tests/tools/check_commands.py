"""Holds commands of the AWS CLI against the CLI's own reading of them, and what they ask for against AWS's models.

    check_commands.py FILE...
    check_commands.py --self-test

A file is whatever holds commands that scripts or people run: a script, a template, a page, the source of what the
functions tell people. Each command is given to the AWS CLI, which sends nothing here: it must know the operation and
each option, miss none, and come to a request as the service's model has it. What is put in where a command runs, such
as `$group`, stands for any value.
"""

import ast
import contextlib
import io
import os
import re
import shlex
import tempfile

import awscli.clidriver
import checks
import models
from botocore.client import BaseClient

# Where a command begins: not within a path or a word.
BEGINS = re.compile(r"(?<![\w./#-])aws (?=[a-z0-9]+ +(?:\\\n *)?[a-z])")
# How deploy.sh asks for something of its bucket, and what it adds to that.
OF_BUCKET = re.compile(r"(?m)^(\s*(?:(?:el)?if )?(?:! )?)s3api ([a-z-]+)")
ADDED = r"\1aws s3api \2 --bucket any --expected-bucket-owner any"
# Options that are there or not.
SOME = re.compile(r"\$\{\w+\[@\](?:[^{}]|\$\{[^}]*\})*\}")
# What a shell, CloudFormation or CodePipeline puts in where a command runs, and a function where it prints one.
PUT_IN = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]*\}|\$\w+|#\{[^}]*\}")
PRINTED = re.compile(r"\{\w*\}")
ANY = "any"
# Commands of the CLI that are more than one call, or none.
CUSTOM = {("cloudformation", "package"), ("cloudformation", "deploy"), ("deploy", "push"), ("configure", "get")}
# Of version 2 of the CLI alone; version 1 is installed here.
NEWER = {("logs", "tail"), ("sso", "login")}
# What the CLI says where something is left out, or a value cannot be read; and its code where it is called wrongly.
LEFT_OUT = re.compile(r"required: --|expected (?:one|at least one) argument")
UNREAD = re.compile(r"Error parsing parameter '(--[a-z-]+)'")
MISUSED = 2

SENT = []


class Sent(Exception):
    """A request was made, and is not sent."""


def send(client, operation, parameters):
    """Keeps a request instead of sending it."""
    SENT.append((client.meta.service_model.operation_model(operation), parameters))
    raise Sent


BaseClient._make_api_call = send
for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
    os.environ.pop(name, None)
os.environ |= {"AWS_ACCESS_KEY_ID": ANY, "AWS_SECRET_ACCESS_KEY": ANY, "AWS_DEFAULT_REGION": "us-east-1"}
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
DRIVER = awscli.clidriver.create_clidriver()


def texts(file, text):
    """The parts of a file that may hold commands, each with whether these are whole or only speak of one."""
    if file.endswith(".md"):
        for number, part in enumerate(re.split(r"(?m)^ *```.*\n", text)):
            if number % 2:
                yield part, True
            else:
                yield from ((span.replace("\n", " "), False) for span in re.findall(r"`([^`]+)`", part))
    elif file.endswith(".py"):
        nodes = ast.walk(ast.parse(text))
        yield from ((node.value, False) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    elif file.endswith(".rs"):
        for part in re.findall(r'"((?:[^"\\]|\\.)*)"', text, re.DOTALL):
            part = re.sub(r"\\\n\s*", "", part).replace(r"\n", "\n").replace(r"\"", '"')
            yield PRINTED.sub(ANY, part.replace("{{", "").replace("}}", "")), True
    elif file.endswith(".yaml"):
        yield from ((part, True) for part in strings(checks.template(text)))
    else:
        yield text, True


def strings(tree):
    """All texts in a tree."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, (dict, list)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from strings(part)


def end(text, at):
    """Where the command ends that goes on there: with its line, or where a shell goes on with something else."""
    quote = None
    while at < len(text):
        c = text[at]
        if c == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = None if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "\n|;)&`<>":
            break
        at += 1
    return at


def commands(text):
    """The commands in some text, each as its words after `aws`."""
    text = SOME.sub("", OF_BUCKET.sub(ADDED, text.replace('"$AWS" ', "aws ")))
    for match in BEGINS.finditer(text):
        line = PUT_IN.sub(ANY, text[match.end() : end(text, match.end())]).replace("\\\n", " ")
        try:
            # What is left of a stream that goes elsewhere is its number.
            yield shlex.split(re.sub(r" \d$", "", line))
        except ValueError:
            yield line.split()


def of_one(words, whole):
    """What is wrong with a command, a line each."""
    if tuple(words[:2]) in NEWER:
        return []
    SENT.clear()
    said = io.StringIO()
    # A command of the CLI's own may read a folder before it sends anything.
    nowhere = tempfile.TemporaryDirectory()
    with nowhere as folder, contextlib.chdir(folder), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            code = DRIVER.main(words)
        except SystemExit as usage:
            code = usage.code
    if SENT:
        operation, parameters = SENT[0]
        found = models.look(operation.input_shape, parameters, operation.name) if operation.input_shape else []
        return [fault for fault in found if not re.search(rf"\b{ANY}\b", fault)]
    complaint = said.getvalue().strip()
    is_custom = tuple(words[:2]) in CUSTOM and code != MISUSED
    is_left_out = not whole and LEFT_OUT.search(complaint)
    unread = UNREAD.search(complaint)
    is_put_in = unread and words[words.index(unread[1]) + 1] in (ANY, "...")
    if is_custom or is_left_out or is_put_in:
        return []
    # Between how it is called and all that may be called.
    said = [line for line in complaint.splitlines() if "rror" in line or "nknown" in line]
    return said[:1] or [complaint or "asks for nothing"]


def judged(case):
    """Each command of a file, with what is wrong with it."""
    file, text = case
    for part, whole in texts(file, text):
        for words in commands(part):
            yield [f"{file}: aws {' '.join(words)}: {fault}" for fault in of_one(words, whole)]


def faults(case):
    """What is wrong with the commands of a file, a line each."""
    return [fault for found in judged(case) for fault in found]


def check(files):
    """What is wrong with the commands of files, a line each, and how many commands there are."""
    found = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            found += judged((file, text.read()))
    return [fault for each in found for fault in each], len(found)


def cases():
    """What must be refused, each with a word of why, and what must not."""
    rule = "aws elbv2 modify-rule --rule-arn $rule"
    weights = '[{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "a", "Weight": 5}]}}]'
    deploy = 'machine=$("$AWS" cloudformation deploy --template-file a --stack-name b'
    made = [
        ("a.sh", rule, None),
        ("a.sh", f"{rule} --actions '{weights}'", None),
        ("a.sh", f"{rule} --actions '{weights}' 2>/dev/null || true", None),
        ("a.sh", f"{rule} --actions '{weights.replace('forward', 'foreward')}'", "none of"),
        ("a.sh", f"{rule} --actions '{weights.replace('Weight', 'Share')}'", "Share is not known"),
        ("a.sh", f"{rule} --actions '{weights.replace(']', '')}'", "--actions"),
        ("a.sh", f"{rule} \\\n    --colour red", "nknown options"),
        ("a.sh", "aws elbv2 modify-rule", "required: --rule-arn"),
        ("a.sh", "aws elbv2 paint-rule --rule-arn $rule", "nvalid choice"),
        ("a.sh", "aws elbv2 wait target-in-service --target-group-arn $group", None),
        ("a.sh", "for one in $(aws stepfunctions describe-execution --query status); do", "required: --execution-arn"),
        ("a.sh", f"{deploy} ${{p[@]:+--parameter-overrides \"${{p[@]}}\"}})", None),
        ("a.sh", f"{deploy} --colour red)", "nvalid choice"),
        ("a.sh", "elif ! s3api head-bucket; then", None),
        ("a.sh", "    s3api put-bucket-versioning", "required: --versioning-configuration"),
        ("a.sh", "/usr/bin/aws elbv2 paint-rule", None),
        ("a.yaml", "Commands: [!Sub 'aws deploy push --application-name ${A} --s3-location s3://${B}/a.zip']", None),
        ("a.yaml", "Commands: [!Sub 'aws deploy push --application-name ${A}']", "required: --s3-location"),
        ("a.md", f"```sh\n{rule}\n```\n", None),
        ("a.md", "```sh\naws elbv2 modify-rule\n```\n", "required: --rule-arn"),
        ("a.md", "try `aws elbv2\nmodify-rule`", None),
        ("a.md", "try `aws elbv2 paint-rule`", "nvalid choice"),
        ("a.md", "```\naws elbv2 modify-rule --rule-arn arn:... --actions ...\n```\n", None),
        ("a.rs", 'format!("aws elbv2 modify-rule --rule-arn {arn} --actions \'{actions}\'")', None),
        ("a.rs", 'format!("aws elbv2 modify-rule --rule-arn {arn} --colour red")', "nknown options"),
        ("a.rs", 'format!("  {by_name}\\n  aws elbv2 add-tags --resource-arns {group}\\n")', "required: --tags"),
        ("a.py", '"by aws elbv2 describe-rule"', "nvalid choice"),
    ]
    return [((file, text), why) for file, text, why in made]


if __name__ == "__main__":
    checks.run("commands", check, faults, cases())
