#!/usr/bin/env bash
# Validates the state machine as Step Functions would read it, with ARNs and a partition in place of
# the substitutions that only a deployment can fill in.
set -euo pipefail
cd "$(dirname "$0")/../.."

definition=$(mktemp)
trap 'rm -f "$definition"' EXIT
sed -E 's/\$\{([A-Za-z]+)Arn\}/arn:aws:lambda:eu-central-1:123456789012:function:\1/; s/\$\{Partition\}/aws/' \
    statemachine/failover.asl.json >"$definition"
PATH="$PWD/.tools/venv/bin:$PATH" .tools/npm/node_modules/.bin/asl-validator --json-path "$definition"
