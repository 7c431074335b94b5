"""Holds lines in the embedded metric format against AWS's own schema of it, and against what only its text says.

    check_metrics.py FILE...
    check_metrics.py --self-test

Each line of a file is a line that a function has printed. Lines without `_aws` are none of the format.
"""

import json
import os

import checks
from jsonschema import Draft202012Validator

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "emf.schema.json"), encoding="utf-8") as schema:
    SCHEMA = Draft202012Validator(json.load(schema))

# Of the text of the specification, which the schema does not hold.
MOST_METRICS = 100
MOST_VALUES = 100
LONGEST_DIMENSION = 1024


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def of_directive(line, directive):
    """What the root must hold of what a directive names."""
    found = []
    if len(directive["Metrics"]) > MOST_METRICS:
        found.append(f"{len(directive['Metrics'])} metrics are more than {MOST_METRICS}")
    for name in (name for dimensions in directive["Dimensions"] for name in dimensions):
        value = line.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_DIMENSION:
            found.append(f"the dimension {name} is {value!r} at the root")
    for metric in directive["Metrics"]:
        values = line.get(metric["Name"])
        values = values if isinstance(values, list) else [values]
        if not 1 <= len(values) <= MOST_VALUES or not all(map(is_number, values)):
            found.append(f"the metric {metric['Name']} has no numbers at the root")
    return found


def faults(line):
    """What is wrong with a line."""
    broken = [f"{error.json_path}: {error.message}" for error in SCHEMA.iter_errors(line)]
    return broken or [fault for part in line["_aws"]["CloudWatchMetrics"] for fault in of_directive(line, part)]


def check(files):
    """What is wrong with the lines of files, and how many are of the format."""
    found, seen = [], 0
    for text in checks.lines(files):
        line = json.loads(text)
        if "_aws" in line:
            seen += 1
            found += [f"{fault}  in  {text}" for fault in faults(line)]
    return found, seen


def cases():
    """What must be refused, each with a word of why, and what must not."""

    def made(part=None, **root):
        directive = {"Namespace": "Failover", "Dimensions": [["App"]], "Metrics": [{"Name": "Odds", "Unit": "None"}]}
        aws = {"Timestamp": 1764496800000, "CloudWatchMetrics": [{**directive, **(part or {})}]}
        return {"_aws": aws, "App": "web", "Odds": 1.5, **root}

    def metric(**parts):
        return made({"Metrics": [{"Name": "Odds", **parts}]})

    return [
        (made(), None),
        (made(Odds=[1, 2.5]), None),
        (made({"Metrics": []}), None),
        ({"_aws": {"CloudWatchMetrics": []}}, "Timestamp"),
        ({**made(), "_aws": {"Timestamp": "now", "CloudWatchMetrics": []}}, "not of type 'integer'"),
        (made({"Namespace": ""}), "Namespace"),
        (made({"Dimensions": []}), "Dimensions"),
        (made({"Dimensions": [["App"] * 31]}), "too long"),
        (metric(Unit="Requests"), "not one of"),
        (metric(StorageResolution="1"), "StorageResolution"),
        (made({"Metrics": [{"Unit": "None"}]}), "'Name' is a required"),
        (made({"Metrics": [{"Name": "Odds"}] * 101}), "more than 100"),
        (made(App=7), "dimension App"),
        (made(App=""), "dimension App"),
        (made(Odds="high"), "metric Odds"),
        (made(Odds=True), "metric Odds"),
        (made(Odds=[]), "metric Odds"),
        (made({"Metrics": [{"Name": "Stage"}]}), "metric Stage"),
    ]


if __name__ == "__main__":
    checks.run("lines of metrics", check, faults, cases())
