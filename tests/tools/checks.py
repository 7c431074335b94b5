"""What the checkers of this folder have in common.

    CHECKER FILE...        says what is wrong with the files, or how much was looked at
    CHECKER --self-test    judges what is made for it, and says whether that is judged as it should be
"""

import json
import sys

import yaml


def run(name, check, faults, cases):
    """Runs a checker from its command line.

    `name` is what it looks at, in the plural. `check` takes the files and gives what is wrong, a line each, and how
    much was looked at. `faults` gives what is wrong with the case of one of `cases`, each a case and a word that says
    why it must be refused, or None where it must not.
    """
    if sys.argv[1:] == ["--self-test"]:
        for case, why in cases:
            found = faults(case)
            if bool(found) != (why is not None) or (found and not any(why in fault for fault in found)):
                sys.exit(f"{case}: {found or 'not refused'}, expected {why or 'nothing'}")
        print(f"{len(cases)} {name} judged as they should be")
        return
    wrong, seen = check(sys.argv[1:])
    if wrong or not seen:
        sys.exit("\n".join(wrong) or f"There are no {name} to look at")
    print(f"{seen} {name}, nothing wrong")


def lines(files):
    """The lines of files, without those that are empty."""
    for file in files:
        with open(file, encoding="utf-8") as text:
            yield from filter(None, map(str.strip, text))


def of_lines(faults):
    """The check of files that hold a case in each line, as JSON, by what gives the faults of one."""

    def check(files):
        found, seen = [], 0
        for line in lines(files):
            seen += 1
            found += [f"{fault}  in  {line}" for fault in faults(json.loads(line))]
        return found, seen

    return check


def template(text):
    """A template, its intrinsic functions in their long form."""

    def function(loader, tag, node):
        if isinstance(node, yaml.ScalarNode):
            return {tag: node.value}
        build = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
        return {tag: build(node, deep=True)}

    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", function)
    return yaml.load(text, loader)
