# The verbs of this project; plain `make` lists them. Needs Rust, Python 3 and make.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
EVENT ?= events/guardduty-exfiltration-iam-user-anomalous-behavior.json
# Tests are bound by waiting for processes, not by the processor.
WORKERS ?= 4
# Generated inputs for each property; nightly: make test PROPTEST_CASES=1000000
export PROPTEST_CASES ?= 2000
export SAM_CLI_TELEMETRY = 0
export AWS_DEFAULT_REGION = us-east-1

.PHONY: help demo attack test check invoke lint bench build debug lock clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: debug ## contain a victim in a simulated AWS; EVENT=events/….json picks the event
	@$(PYTHON) -m tests.demo $(EVENT)

attack: debug ## an intruder makes a backdoor user in a simulated AWS, and is answered
	@$(PYTHON) -m tests.attack

test: debug ## every test, in parallel
	cargo test --locked --workspace
	$(PYTHON) -m pytest -n $(WORKERS) -q tests

invoke: debug ## send EVENT to the function and print its answer, without the pictures of `demo`
	@$(PYTHON) -m tests.demo --plain $(EVENT)

bench: debug ## the attacker experiment of docs/attacker.md; RUNS=100 for as many runs a setting
	$(PYTHON) -m tests.experiments.attacker --runs $(or $(RUNS),10) --parallel 2

check: ## the inner loop: formatting, clippy and unit tests of what decides
	cargo fmt --check
	cargo clippy --locked -p domain --all-targets -- -D warnings
	cargo test --locked -p domain

lint: .venv/ready ## formatting, clippy, templates
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p domain -- -D warnings # alone: with what others need of its dependencies it could do more
	.venv/bin/sam validate --lint --template template.yaml
	.venv/bin/cfn-lint template.yaml member-role.yaml

build: .venv/ready ## the function for AWS, as target/lambda/iam-responder/bootstrap.zip
	.venv/bin/pip install --quiet --disable-pip-version-check cargo-lambda==1.9.2 ziglang==0.17.0
	rustup target add aarch64-unknown-linux-gnu
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo-lambda lambda build --release --arm64 --locked --output-format zip

debug: .venv/ready
	@echo "Building the responder (a few minutes at first, seconds later) ..."
	@cargo build --locked

.venv/ready: tests/requirements.txt
	@echo "Installing the simulated AWS and the Lambda runtime emulator into .venv ..."
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

lock: ## pin the versions of tests/requirements.in anew
	python3 -m venv .venv
	.venv/bin/pip install --quiet --upgrade -r tests/requirements.in
	.venv/bin/pip freeze > tests/requirements.txt

clean: ## remove everything that was built or installed here
	rm -rf .venv target
