"""What was found, as a table in the terminal, as Markdown and as JSON."""

import json
import os
import textwrap

from rows import NOT_RUN, PROVEN, REFUTED

# What only a deployed stack or an instance shows.
BY_HAND = [
    ("deploys", "The template deploys, and its state machine is taken as it is.", "make prove, without WITHOUT_STACK=1"),
    ("deployer-rights", "The template deploys with the permissions that the page about rights lists, and no others.", "make deploy"),
    ("behind-healthy", "One machine behind two groups, on a port for each, becomes healthy in both.", "make prove, without WITHOUT_INSTANCE=1"),
    ("drains", "A drain takes the standby out of the traffic.", "the same"),
    ("shifts", "A shift is judged by CloudWatch's figures of both fleets.", "the same"),
    ("fails-back", "A failback takes the traffic back in one step.", "the same"),
    ("keeps-secret", "UseExistingClientSecret keeps the secret of authenticate-oidc.", "a drain on such a rule, then sign in"),
    ("restores", "The restore of a stopped run puts back what that run had found.", "the same, or start a shift, stop it in the console, look for a restore"),
    ("survives-upgrade", "A run goes on with the functions it started with.", "start a shift, make deploy meanwhile"),
    ("operator-rights", "An operator starts and stops executions and nothing else.", "aws sts assume-role with OperatorRoleArn"),
    ("hook-errors", "A hook that crashes or is late fails with the names of errors that are known.", "a shift with such a hook"),
    ("weights-spread", "Changed weights reach all nodes of the balancer in seconds.", "the same, or a shift with stages [10, 100], and the counts of both groups"),
    ("stopped-instances", "Stopped instances are unused by Target.InvalidState.", "stop an instance of a group, then aws elbv2 describe-target-health"),
]  # fmt: skip


LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../alb/ledger.json")


def ledger():
    with open(LEDGER, encoding="utf-8") as file:
        return json.load(file)


def by_hand(asked=()):
    """Rows for what cannot be asked here, without those that were."""
    why = "needs a deployed stack or an instance; by hand: "
    rest = [row for row in BY_HAND if row[0] not in asked]
    return [entry(name, None, claim, NOT_RUN, why + command, True) for name, claim, command in rest]


def unasked():
    """Rows for whatever the ledger does not hold for settled and nothing here asks for, with the reason."""
    open_rows = [row for row in ledger() if row["settled"] != "yes" and "proved_by" not in row]
    return [
        {**entry(f"unasked-{number}", None, row["does"], NOT_RUN, f"{row['unasked']}; known by: {row['source']}", True),
         "operation": row["operation"]}
        for number, row in enumerate(open_rows, 1)
    ]  # fmt: skip


# The service of each operation.
SERVICE = {operation: service for service, operation in (row["operation"].split(":") for row in ledger())}


def entry(name, operation, claim, verdict, evidence, hand=False):
    return {
        "row": name,
        "operation": operation and f"{SERVICE[operation]}:{operation}",
        "claim": claim,
        "verdict": verdict,
        "evidence": evidence,
        "byHand": hand,
    }


def counts(rows):
    return ", ".join(f"{sum(row['verdict'] == verdict for row in rows)} {verdict}" for verdict in (PROVEN, REFUTED, NOT_RUN))


def table(rows):
    """For the terminal: a line for each row, what it says below."""
    lines = []
    for row in rows:
        lines.append(f"{row['verdict']:<8}  {row['row']:<40}  {row['claim']}")
        lines += textwrap.wrap(row["evidence"], 110, initial_indent=" " * 10, subsequent_indent=" " * 10)
    return "\n".join([*lines, "", counts(rows)])


def markdown(found):
    cell = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    head = f"# What AWS answered\n\n{found['where']}, {found['at']}: {found['calls']} calls in {found['seconds']} s; {counts(found['rows'])}."
    if found["stopped"]:
        head += f"\n\nIt was not run to its end: {found['stopped']}."
    lines = [f"| {' | '.join(cell(row[key]) for key in ('row', 'claim', 'verdict', 'evidence'))} |" for row in found["rows"]]
    return "\n".join([head, "", "| row | what we claim | verdict | evidence |", "|---|---|---|---|", *lines, ""])


def write(base, found):
    """Writes BASE.md and BASE.json."""
    base = base.removesuffix(".md").removesuffix(".json")
    with open(f"{base}.md", "w", encoding="utf-8") as file:
        file.write(markdown(found))
    with open(f"{base}.json", "w", encoding="utf-8") as file:
        json.dump(found, file, indent=2)
        file.write("\n")
    return f"{base}.md and {base}.json"
