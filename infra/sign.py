"""Has AWS Signer sign the packages that a packaged template names, and names the signed ones instead.

    sign.py PROFILE ACCOUNT PREFIX TEMPLATE

The packages lie in a bucket of ACCOUNT that keeps versions, and the signed ones go to PREFIX in it. Lambda refuses what
nobody has signed where the stack has a CodeSigningConfigArn.
"""

import re
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

# As `aws cloudformation package` writes them.
PACKAGE = re.compile(r"s3://(?P<bucket>[a-z0-9.-]+)/(?P<key>[\w./-]+)")


def signed(profile, account, prefix, bucket, key):
    """The key of the signed package."""
    s3, signer = boto3.client("s3"), boto3.client("signer")
    version = s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=account)["VersionId"]
    job = signer.start_signing_job(
        source={"s3": {"bucketName": bucket, "key": key, "version": version}},
        destination={"s3": {"bucketName": bucket, "prefix": prefix}},
        profileName=profile,
    )["jobId"]
    signer.get_waiter("successful_signing_job").wait(jobId=job)
    return signer.describe_signing_job(jobId=job)["signedObject"]["s3"]["key"]


def main(profile, account, prefix, file):
    """Signs every package once, and rewrites the template."""
    with open(file, encoding="utf-8") as template:
        text = template.read()
    packages = {match.group(): match for match in PACKAGE.finditer(text)}
    if not packages:
        sys.exit(f"{file} names no package")
    for uri, package in packages.items():
        bucket = package["bucket"]
        text = text.replace(uri, f"s3://{bucket}/{signed(profile, account, prefix, bucket, package['key'])}")
    with open(file, "w", encoding="utf-8") as template:
        template.write(text)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (BotoCoreError, ClientError, WaiterError) as error:
        sys.exit(f"AWS refused: {error}")
