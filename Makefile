# Everything beyond cargo, python3 and make is installed into the checkout, below .tools.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .tools/venv
BIN := $(abspath $(VENV))/bin
# Wants older versions of what the other tools share.
CHECKOV := .tools/checkov
# What deploys, with credentials, has little beside it.
DEPLOY := .tools/deploy
DEPLOY_BIN := $(abspath $(DEPLOY))/bin
PYTHON_TOOLS := infra/requirements.txt tests/tools/requirements.txt
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

# Runs in virtual time: how many, from which seed on, or one, which may be of a kind of world.
RUNS ?= 1000
FROM ?= 0
KIND ?=
# In a profile and with features of their own, which would change how everything else is built.
VIRTUAL := --locked --profile simulation --package simulation --features virtual
SIMULATE := cargo run --quiet $(VIRTUAL) --bin simulate --

# How long an endurance run is, and which disturbances it draws.
CYCLES ?= 100
SEED ?= 1

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rehearse: tools build ## Run whole cycles with real traffic on a local AWS, or make rehearse SCENARIO=path [JSON=1]
	cargo run --quiet --locked --package rehearsal --bin rehearse -- $(SCENARIO) $(if $(JSON),--json)

test: tools $(DEPLOY)/stamp build ## Run every test: the pure core, the balancer, the scenarios, a thousand runs in virtual time
	cargo test --quiet --locked --workspace
	$(MAKE) test-simulation

test-quick: tools ## Run the tests that start no process: all but the scenarios and the simulation
	cargo test --quiet --locked --workspace --exclude rehearsal
	cargo test --quiet --locked --package rehearsal --lib --test checkers --test expressions --test template

test-simulation: tools ## Run the tests of the simulation alone, as `make test` does: make test-simulation [RUNS=1000]
	RUNS=$(RUNS) cargo test --quiet $(VIRTUAL) -- --nocapture

simulate: tools ## Make runs in virtual time: make simulate [RUNS=1000] [FROM=0], or make simulate SEED=17 [KIND="a crowd"]
	$(SIMULATE) $(if $(filter command,$(firstword $(origin SEED))),seed $(SEED) $(if $(KIND),"$(KIND)"),runs $(RUNS) $(FROM))

fences: tools ## Make runs in virtual time with one fence down after the other, until each is missed
	$(SIMULATE) fences

soak: tools ## The same until one does not end as it must: make soak [RUNS=1000] [FROM=0]
	$(SIMULATE) soak $(RUNS) $(FROM)

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
	cargo clippy --quiet $(VIRTUAL) --all-targets -- --deny warnings
	cargo check --quiet --locked --package failover --no-default-features
	$(BIN)/cargo-deny --locked --config .deny.toml check --hide-inclusion-graph bans licenses sources
	if $(BIN)/cargo-deny --locked --config .deny.toml fetch db 2>/dev/null; then $(MAKE) advisories; \
	    else echo "The RustSec database cannot be reached: advisories and yanked crates are not looked at." >&2; fi
	$(BIN)/cargo-shear --locked
	$(BIN)/cfn-lint infra/template.yaml infra/pipeline.yaml infra/testers.yaml
	$(CHECKOV)/bin/checkov --framework cloudformation --compact --quiet --skip-download \
	    --file infra/template.yaml infra/pipeline.yaml infra/testers.yaml
	$(CHECKOV)/bin/python tests/tools/check_policies.py --self-test
	$(CHECKOV)/bin/python tests/tools/check_policies.py infra/template.yaml infra/pipeline.yaml infra/testers.yaml \
	    infra/organisation.json
	$(BIN)/python tests/tools/check_organisation.py infra/organisation.json
	for checker in requests commands answers metrics patterns ledger rights; do $(BIN)/python tests/tools/check_$$checker.py --self-test; done
	$(BIN)/python tests/tools/check_patterns.py infra/template.yaml functions/failover/src/model/ending.rs
	$(BIN)/python tests/tools/check_ledger.py tests/alb/ledger.json infra/pipeline.yaml \
	    $$(git ls-files 'infra/*.py' 'infra/*.sh' 'tests/prove/*.py' ':!tests/prove/self_test.py')
	$(BIN)/python tests/tools/check_commands.py Makefile infra/deploy.sh infra/pipeline.yaml \
	    $$(git ls-files '*.md' 'infra/*.py' 'tests/prove/*.py') \
	    $$(git ls-files 'functions/failover/src/*.rs' | grep -v '/tests.rs$$')
	$(BIN)/python tests/tools/check_rights.py infra/guide/rights.md tests/tools/handlers.json \
	    $(addprefix infra/,template.yaml testers.yaml pipeline.yaml deploy.sh settings.py sign.py testers.py undeploy.py)
	$(BIN)/shellcheck infra/deploy.sh .ci/run tests/tools/validate-definition.sh
	tests/tools/validate-definition.sh
	$(BIN)/node tests/tools/expressions.mjs
	$(BIN)/node $(REMARK)-cli/cli.js --quiet --frail --no-config \
	    --use $(REMARK)-validate-links/index.js=repository:false $$(git ls-files '*.md')

advisories: tools ## Ask the RustSec database about the dependencies, which may not be yanked either; it is on GitHub
	$(BIN)/cargo-deny --locked --config .deny.toml check advisories

sbom: $(CHECKOV)/stamp ## Write what the functions are made of as target/sbom.cdx.json, in CycloneDX
	$(CHECKOV)/bin/python infra/sbom.py target/sbom.cdx.json $(FUNCTIONS)

hashes: tools ## Write the hashes of the Python tools anew, after a change of a version
	for file in $(PYTHON_TOOLS) tests/tools/checkov.txt tests/tools/uv.txt; do \
	    $(BIN)/uv pip compile --quiet --system-certs --no-deps --no-header --no-annotate --generate-hashes \
	        "$$file" --output-file "$$file"; done

pictures: tools ## Take the pictures of the README anew, from the last rehearsal
	$(BIN)/node tests/tools/browser.mjs picture .rehearsal/report.html body 1000 1066 light tests/report/report.png
	$(BIN)/node tests/tools/browser.mjs picture .rehearsal/report.html '#panels' 1000 1240 light infra/dashboard.png

bench: FUNCTIONS += floor
bench: tools build ## Measure the running system beside baselines: make bench [BENCH="functions growth"]
	cargo run --quiet --locked --package bench -- --json target/bench.json $(BENCH)

bench-verdict: ## Measure decisions beside the rules of other deployers
	cargo run --quiet --locked --profile bench --package bench-verdict

build: tools ## Build the functions for this machine
	$(call build_functions,$(HOST_ARCH),$(BIN))

deploy: $(DEPLOY)/stamp ## Deploy to AWS, asking for settings the first time: make deploy [STACK=failover] [ARCH=arm64] [SIGNING_PROFILE=name]
	$(DEPLOY_BIN)/python infra/settings.py "$(STACK)" "$(SETTINGS)" "target/$(STACK).settings"
	$(call build_functions,$(ARCH),$(DEPLOY_BIN))
	STACK="$(STACK)" SETTINGS="target/$(STACK).settings" PARAMETERS="Architecture=$(ARCH)" AWS=$(DEPLOY_BIN)/aws \
	    SIGNING_PROFILE="$(SIGNING_PROFILE)" PYTHON=$(DEPLOY_BIN)/python \
	    infra/deploy.sh

command: ## Build the command `failover` for this machine: target/release/failover
	cargo build --quiet --locked --release --package failover-cli

approve: ## Let the run of an app begin the stage that waits: make approve APP=web
	$(call operate,approve)

rollback: ## Have the run of an app put back what it found: make rollback APP=web
	$(call operate,rollback)

promote: ## End the bake of the stage now: make promote APP=web
	$(call operate,promote)

pause: ## Keep the run of an app at its stage: make pause APP=web; make resume ends it
	$(call operate,pause)

resume: ## Take back what was asked of the run of an app: make resume APP=web
	$(call operate,resume)

testers: $(DEPLOY)/stamp ## Lead requests with a secret header to the standby: make testers APP=web [LISTENER=arn] [PRIORITY=1]
	@test -n "$(APP)" || { echo "Name the app: make testers APP=web"; exit 2; }
	$(DEPLOY_BIN)/python infra/testers.py add "$(STACK)" "$(SETTINGS)" "$(APP)"

prove: tools ## Ask AWS what no source settles, on a balancer and a stack of its own: make prove [YES=1] [REPORT=prove] [CLEAN=1] [WITHOUT_STACK=1] [WITHOUT_INSTANCE=1]
	$(if $(WITHOUT_STACK)$(CLEAN),,$(call build_functions,$(ARCH)))
	$(BIN)/python tests/prove/prove.py $(if $(WITHOUT_STACK)$(CLEAN),,--stack $(ARCH) $(if $(WITHOUT_INSTANCE),,--drive instance)) $(if $(YES),--yes) $(if $(CLEAN),--clean) $(if $(REPORT),--report "$(REPORT)") \
	    $(if $(SUBNETS),--subnets $(SUBNETS))

undeploy-testers: $(DEPLOY)/stamp ## Take that away again: make undeploy-testers APP=web
	@test -n "$(APP)" || { echo "Name the app: make undeploy-testers APP=web"; exit 2; }
	$(DEPLOY_BIN)/python infra/testers.py remove "$(STACK)" "$(APP)"

undeploy: $(DEPLOY)/stamp ## Remove the stack where nothing runs, rules for testers too; the rules for users stay as they are
	$(DEPLOY_BIN)/python infra/undeploy.py "$(STACK)"

clean: ## Remove everything that was built or installed
	rm -rf target .tools

tools: .tools/stamp

.tools/stamp: $(PYTHON_TOOLS) $(addprefix tests/tools/,package.json package-lock.json install-node-tools.sh browser.mjs)
	$(call python_tools,$(VENV),$(PYTHON_TOOLS))
	tests/tools/install-node-tools.sh
	touch $@

$(CHECKOV)/stamp: tests/tools/checkov.txt
	$(call python_tools,$(CHECKOV),$<)
	touch $@

$(DEPLOY)/stamp: infra/requirements.txt
	$(call python_tools,$(DEPLOY),$<)
	touch $@

# uv installs in seconds what takes pip a minute and a half. It does not know the mirrors that a machine's pip may have
# been told of, so pip has the last word.
define python_tools
	python3 -m venv $(1)
	$(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/tools/uv.txt && \
	    $(1)/bin/uv pip install --quiet --system-certs --no-deps --require-hashes --python $(1)/bin/python \
	        $(patsubst %,--requirement %,$(2)) || \
	    $(1)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	        $(patsubst %,--requirement %,$(2))
endef

# cargo-lambda links against an old glibc with the zig that it finds on the path. An executable that knows that it is
# one, and calls its own functions without looking them up, has thousands of addresses less to adjust when it starts.
# rustc makes such calls at a lower relro-level only; with `now` all that is adjusted is read-only afterwards all the
# same. What stops at a panic needs no tables for unwinding.
define build_functions
	PATH="$(2):$$PATH" \
	    RUSTFLAGS="-C relocation-model=pie -C relro-level=partial -C link-arg=-Wl,-z,now -C force-unwind-tables=no" \
	    cargo lambda build --quiet --release --locked --output-format zip \
	    $(if $(filter arm64,$(1)),--arm64,--x86-64) $(addprefix --package ,$(FUNCTIONS))
endef

# What a person asks of the run of an app that is going on.
define operate
	@test -n "$(APP)" || { echo "Name the app: make $@ APP=web"; exit 2; }
	cargo run --quiet --locked --package failover-cli -- $(1) "$(APP)" --stack "$(STACK)"
endef

.PHONY: help rehearse test test-quick test-simulation simulate fences soak report pictures faults endure lint advisories sbom hashes bench bench-verdict build deploy prove testers undeploy-testers undeploy command approve rollback promote pause resume clean tools
