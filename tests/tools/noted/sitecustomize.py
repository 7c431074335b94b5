"""Notes what a program in Python asks of AWS: a script with boto3, or the AWS CLI.

Python imports this by itself where its folder is in PYTHONPATH. Each request that was carried out becomes a line of
the file that NOTED_REQUESTS names, as check_requests.py reads it: what the program gave to botocore.
"""

import json
import os

FILE = os.environ.get("NOTED_REQUESTS")


def note(client):
    """Has every client of botocore note its requests."""
    call = client.BaseClient._make_api_call

    def noted(self, operation, parameters):
        # What is streamed, such as a file, has no shape to be held against.
        request = {"service": self.meta.service_model.service_name, "operation": operation, "given": parameters}
        line = json.dumps(request, default=str) + "\n"
        answer = call(self, operation, parameters)
        # What was refused is left out: `make prove` asks for that on purpose, to see that AWS refuses it.
        with open(FILE, "a", encoding="utf-8") as file:
            file.write(line)
        return answer

    client.BaseClient._make_api_call = noted


if FILE:
    try:
        from botocore import client
    except ImportError:
        # A Python that asks AWS for nothing.
        pass
    else:
        note(client)
