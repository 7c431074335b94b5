#!/usr/bin/env bash
# Packages the template with the built functions and deploys it as one stack: to AWS from
# `make deploy`, to the local AWS from the rehearsal. Settings come from the environment:
#   STACK       name of the stack
#   BUCKET      S3 bucket for the packaged functions, made if it is missing; by default one of this
#               account and region
#   SETTINGS    file with Name=Value lines for the template, as settings.py writes it; none by default
#   PARAMETERS  more of them, separated by spaces; quoted where they hold some. They win
#   AWS         the AWS CLI to use
set -euo pipefail
cd "$(dirname "$0")/.."

: "${STACK:?name the stack}"
AWS=${AWS:-aws}
if [ -z "${BUCKET:-}" ]; then
    account=$("$AWS" sts get-caller-identity --query Account --output text)
    region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$("$AWS" configure get region)}}
    BUCKET=failover-artifacts-$account-$region
fi
packaged=$(mktemp)
trap 'rm -f "$packaged"' EXIT

"$AWS" s3api head-bucket --bucket "$BUCKET" >/dev/null 2>&1 || "$AWS" s3 mb "s3://$BUCKET" >/dev/null
"$AWS" cloudformation package --template-file infra/template.yaml \
    --s3-bucket "$BUCKET" --s3-prefix "$STACK" --output-template-file "$packaged" >/dev/null
mapfile -t parameters < <(
    cat "${SETTINGS:-/dev/null}"
    python3 -c 'import os, shlex; print(*shlex.split(os.environ.get("PARAMETERS", "")), sep="\n")'
)
# The template is longer than a request to CloudFormation may be.
"$AWS" cloudformation deploy --template-file "$packaged" --stack-name "$STACK" \
    --s3-bucket "$BUCKET" --s3-prefix "$STACK" \
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
    ${parameters[@]:+--parameter-overrides "${parameters[@]}"}
"$AWS" cloudformation describe-stacks --stack-name "$STACK" \
    --query "Stacks[0].Outputs[?OutputKey=='StateMachineArn'].OutputValue" --output text
