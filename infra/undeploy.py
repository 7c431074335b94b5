"""Removes a stack from AWS, and the rules for testers that belong to it. The balancer's rules for users stay as they are.

    undeploy.py STACK

Refused while an execution is running: nothing could put back the weights that it leaves.
"""

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

import testers

# What is named where it runs.
NAMED = 10


def state_machine(formation, stack):
    """The ARN of the stack's state machine; nothing where the stack has none, as after a deployment that failed."""
    outputs = formation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    return next((output["OutputValue"] for output in outputs if output["OutputKey"] == "StateMachineArn"), None)


def running(machine):
    """The executions that are running, by name."""
    listed = boto3.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    return [execution["name"] for execution in listed["executions"]]


def main(stack):
    """Removes it, unless something runs."""
    formation = boto3.client("cloudformation")
    machine = state_machine(formation, stack)
    names = running(machine) if machine else []
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        sys.exit(
            f"{', '.join(names[:NAMED])}{more} of {machine} is running. Wait for its end, or stop it and wait for the "
            "restore that follows; without the stack nobody would put back what it has changed. Nothing was removed."
        )
    testers.remove(stack)
    formation.delete_stack(StackName=stack)
    formation.get_waiter("stack_delete_complete").wait(StackName=stack)
    print(f"Removed {stack}. The rules of the balancer keep their weights.")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (BotoCoreError, ClientError, WaiterError) as error:
        sys.exit(f"AWS refused: {error}")
