#!/usr/bin/env bash
# Packages the template with the built functions and deploys it as one stack: to AWS from
# `make deploy`, to the local AWS from the rehearsal. Settings come from the environment:
#   STACK       name of the stack
#   BUCKET      S3 bucket of this account for the packaged functions; by default one of this account
#               and region, which is made if it is missing
#   SETTINGS    file with Name=Value lines for the template, as settings.py writes it; none by default
#   PARAMETERS  more of them, separated by spaces; quoted where they hold some. They win
#   AWS         the AWS CLI to use
#   SIGNING_PROFILE  a signing profile of AWS Signer, for CodeSigningConfigArn; by default nothing is signed
#   PYTHON      with boto3, to sign; python3 by default
set -euo pipefail
cd "$(dirname "$0")/.."

: "${STACK:?name the stack}"
AWS=${AWS:-aws}
account=$("$AWS" sts get-caller-identity --query Account --output text)
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$("$AWS" configure get region)}}
packaged=$(mktemp)
trap 'rm -f "$packaged"' EXIT

# Every call on the bucket names its owner, so that nothing is put where somebody else can read or change it.
s3api() {
    "$AWS" s3api "$1" --bucket "$BUCKET" --expected-bucket-owner "$account" "${@:2}" >/dev/null
}

# For some minutes after this is first switched on S3 may not find what is put. So a new bucket gets it once its first
# packages have been read; only AWS Signer needs it before.
version() {
    s3api put-bucket-versioning --versioning-configuration Status=Enabled
}

new=
if [ -z "${BUCKET:-}" ]; then
    # No other account can have a bucket of such a name, not even once this one is deleted.
    BUCKET=failover-artifacts-$account-$region-an
    if ! s3api head-bucket 2>/dev/null; then
        place=()
        [ "$region" = us-east-1 ] || place=(--create-bucket-configuration "LocationConstraint=$region")
        "$AWS" s3api create-bucket --bucket "$BUCKET" --bucket-namespace account-regional \
            --object-ownership BucketOwnerEnforced ${place[@]:+"${place[@]}"} >/dev/null
        [ -n "${SIGNING_PROFILE:-}" ] || new=yes
    fi
    s3api put-public-access-block --public-access-block-configuration \
        BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
    [ -n "$new" ] || version
    partition=$("$AWS" sts get-caller-identity --query Arn --output text | cut -d: -f2)
    s3api put-bucket-policy --policy "{
        \"Version\": \"2012-10-17\",
        \"Statement\": [{
            \"Sid\": \"TlsOnly\", \"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"s3:*\",
            \"Resource\": [\"arn:$partition:s3:::$BUCKET\", \"arn:$partition:s3:::$BUCKET/*\"],
            \"Condition\": { \"Bool\": { \"aws:SecureTransport\": \"false\" } }
        }]
    }"
elif ! s3api head-bucket; then
    echo "The bucket $BUCKET is missing or belongs to another account than $account." >&2
    exit 1
fi
"$AWS" cloudformation package --template-file infra/template.yaml \
    --s3-bucket "$BUCKET" --s3-prefix "$STACK" --output-template-file "$packaged" >/dev/null
if [ -n "${SIGNING_PROFILE:-}" ]; then
    "${PYTHON:-python3}" infra/sign.py "$SIGNING_PROFILE" "$account" "$STACK/signed/" "$packaged"
fi
mapfile -t parameters < <(
    cat "${SETTINGS:-/dev/null}"
    python3 -c 'import os, shlex; print(*shlex.split(os.environ.get("PARAMETERS", "")), sep="\n")'
)
# The template is longer than a request to CloudFormation may be.
"$AWS" cloudformation deploy --template-file "$packaged" --stack-name "$STACK" \
    --s3-bucket "$BUCKET" --s3-prefix "$STACK" \
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
    ${parameters[@]:+--parameter-overrides "${parameters[@]}"}
[ -z "$new" ] || version
"$AWS" cloudformation describe-stacks --stack-name "$STACK" \
    --query "Stacks[0].Outputs[?OutputKey=='StateMachineArn'].OutputValue" --output text
