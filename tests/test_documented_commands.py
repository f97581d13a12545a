"""Every command of the documents is one that there is, and it is said of each how that is known: run by a test or by CI,
parsed by the program that it is for, or run by hand. What its payloads are decoded to holds `tests/template/documents.rs`."""

import json
import os
import re
import shutil
import subprocess
import tomllib

import pytest

from .harness import programs, shell, templates
from .harness.processes import ROOT
from .test_documents import is_there, python_tests, rust_tests

MAKEFILE = (ROOT / "Makefile").read_text()
NIGHTLY = (ROOT / ".github/workflows/nightly.yml").read_text()


def by(file, test):
    """Run by that test, as it stands in the document or by what its verb does."""
    assert is_there(test, python_tests()[file] if file.endswith(".py") else rust_tests()), f"{file}: {test}"
    return f"run by {file}: {test}"


def by_ci(words):
    """Run before anything lands, by `.ci/run` and the verbs that it names."""
    recipes = re.findall(r"(?m)^(?:lint|test|debug):.*\n((?:\t.*\n)*)", MAKEFILE)
    assert any(words in it for it in ((ROOT / ".ci/run").read_text(), *recipes)), words
    return "run by .ci/run"


def by_night(verb):
    assert re.search(rf"(?m)^nightly:.*\n(?:\t.*\n)*\t\$\(MAKE\) {verb}\b", MAKEFILE) or verb in NIGHTLY, verb
    return "run by make nightly"


def parsed(why):
    """Taken by the program's own parser, and not carried out: it would need what is said."""
    return f"parsed; {why}"


def by_hand(why):
    return f"by hand: {why}"


ACCOUNT = "it needs an AWS account"
# What a command begins with, or a pattern over all of it, and how it is known to be right: the first that fits.
TABLE = {
    r"make demo": lambda: by("test_demo.py", "it_shows_the_victim_before_and_after_and_how_long_it_held"),
    r"make demo ATTACKER=1": lambda: by("test_demo.py", "an_attacker_is_undone_or_said_not_to_be"),
    r"make demo EVENT=.*": lambda: by("test_demo.py", "whoever_an_event_of_ones_own_names_is_made_and_contained"),
    r"make attack": lambda: by("test_demo.py", "an_intruder_is_answered"),
    r"make demo-approval": lambda: by("test_demo.py", "a_persons_click_contains_and_no_other_does"),
    r"make demo-sweep": lambda: by("test_sweep.py", "the_ladder_over_days"),
    r"make demo-report": lambda: by("test_report_page.py", "the_example_in_the_docs_has_what_reports_have_now"),
    r"make form": lambda: by("test_demo.py", "the_form_is_served_until_it_is_ended"),
    r"make invoke( EVENT=.*)?": lambda: by("test_demo.py", "invoke_prints_json_and_nothing_else"),
    r"make local( PORT=\d+)?|\. local/env\.sh": lambda: by("test_local.py", "put_events_contains_and_counts_again_after_a_restore"),
    r"make preflight( (READ_ROLE=…|ASK=1))?": lambda: by("test_preflight.py", "it_is_one_command"),
    r"make (lint|browser|test)|\.ci/run": lambda: by_ci("make test"),
    r"make debug|cargo test( -p (domain|front))?|cargo test --manifest-path .*|cargo test --test events": lambda: by_ci("cargo test"),
    r"make check": lambda: by_hand("a part of what `make lint` and `make test` run"),
    r"make (sam|test-sam)( ARCHITECTURE=arm64)?": lambda: by_night("test-sam"),
    r"make build": lambda: by_night("build"),
    r"make bench": lambda: by_night("bench"),
    r"make mutants( .*)?": lambda: by_night("mutants"),
    r"make test PROPTEST_CASES=\d+": lambda: by_night("test"),
    r"make nightly": lambda: by_night("make nightly"),
    r"make compare( RUNS=\d+)?|\.venv/bin/python -m bench .*": lambda: by("test_compare.py", "the_responder_and_the_same_in_python_are_measured_on_one_event"),
    r"cargo build": lambda: by_ci("cargo build"),
    r"cargo build --release --locked": lambda: parsed("it takes a quarter of an hour, and is what `make compare` begins with"),
    r"cargo test --release --locked -p domain --test fight .*": lambda: by_ci("cargo test"),
    r"\.venv/bin/python -m pytest .*": lambda: by_ci("-m pytest"),
    r"\.venv/bin/python -m tests\.experiments\.attacker .*": lambda: by_night("bench"),
    r"\.venv/bin/python -m tests\.experiments\.flood": lambda: by_hand("the figures of docs/people.md, with their date"),
    r"(FINDING=\S+ )?docs/rehearse\.sh": lambda: by("test_local.py", "the_rehearsal_of_an_imported_finding"),
    r"events/fresh .*": lambda: by("test_local.py", "put_events_contains_and_counts_again_after_a_restore"),
    r"aws (iam|events) .*--endpoint-url .*": lambda: by("test_local.py", "put_events_contains_and_counts_again_after_a_restore"),
    r"aws securityhub .*--endpoint-url .*": lambda: by("test_local.py", "the_rehearsal_of_an_imported_finding"),
    r"aws lambda invoke --endpoint-url http://127.0.0.1:3001 .*": lambda: by_night("test-sam"),
    r"aws lambda invoke --endpoint-url .*": lambda: by("test_local.py", "put_events_contains_and_counts_again_after_a_restore"),
    r"sam local (invoke|start-lambda) .*": lambda: by_night("test-sam"),
    r"echo \{.*": lambda: by("documents.rs", "every_payload_of_a_documented_command_is_one_that_its_function_decodes"),
    r"aws cloudformation describe-stacks --stack-name iam-responder .*|awk .*": lambda: by("test_deployment.py", "the_outputs_come_into_the_shell_each_under_its_name"),
    r"sed s/0+/.*|python3 -c .*": lambda: by("test_deployment.py", "the_guardrail_fits_into_a_policy_as_the_steps_make_it"),
    r"openssl rand -hex (12|16|24)|sed s/\.\*/.*|printf \{.*": lambda: by("test_documented_commands.py", "what_is_piped_into_a_parameter_is_what_ssm_takes"),
    r"jq .*|tee .*|sha256sum": lambda: by("test_documented_commands.py", "a_report_has_the_hash_that_people_were_told"),
    r"uname -m|sed s/aarch64/arm64/": lambda: by_hand("which of two words the machine has for itself"),
    r"printf %s .*|argon2 .*": lambda: by_hand("argon2 is a package of Debian's; its output is a vector of `src/front/form/password.rs`"),
    r"aws .*": lambda: parsed(ACCOUNT),
    r"sam build": lambda: by_night("test-sam"),
    r"sam (deploy|delete|package|publish).*": lambda: parsed(ACCOUNT),
    r"\. \.venv/bin/activate": lambda: by_hand("python -m venv makes it"),
    r"unzip -l .*|sha256sum .*": lambda: by_hand("what is built and published: docs/release.md"),
    r"git (tag|verify-tag|checkout) .*": lambda: by_hand("a person tags a version"),
}  # fmt: skip
# What people fill in, and where the documents say so.
FILLED_IN = {
    "OU": "docs/deploy.md", "ACCOUNT": "docs/deploy.md", "RESPONDER_ROLE": "docs/deploy.md", "SHA256": "docs/evidence.md", "MILLISECONDS": "docs/evidence.md",
}  # fmt: skip
TYPED = [(document, it) for document in shell.DOCUMENTS for it in shell.commands(document) if it.words]


def test_every_command_of_the_documents_is_known_to_be_right_and_it_is_said_how():
    assert len(TYPED) > 150
    unsaid = sorted({f"{document}: {it}" for document, it in TYPED if first_row(it) is None})
    assert not unsaid, unsaid
    used = {first_row(it) for _, it in TYPED}
    assert used == set(TABLE), f"no document has a command of these any more: {set(TABLE) - used}"
    for pattern in used:
        TABLE[pattern]()


def first_row(command):
    return next((pattern for pattern in TABLE if re.fullmatch(pattern, str(command))), None)


def test_what_is_typed_into_a_shell_is_marked_as_that():
    """Otherwise nobody would look at it here."""
    for document in shell.DOCUMENTS:
        fences = re.findall(rf"(?m)^ *(?:{shell.FENCE})(.*)\n *(.*)", (ROOT / document).read_text())
        assert len(fences) % 2 == 0, document
        for kind, first in fences[::2]:
            is_query = kind == "" and first.startswith("filter ")
            assert is_query or kind in ("sh", "json", "text", "sql", "mermaid", "python"), f"{document}: {first}"


def test_every_name_that_a_command_uses_is_set_by_one_or_said_to_be_filled_in():
    outputs = set(templates.translated()["Outputs"])
    everything = {name for document in shell.DOCUMENTS for it in shell.commands(document) for name in it.sets}
    for document in shell.DOCUMENTS:
        for name, default in re.findall(r"(?<!\\)\$\{?([A-Za-z_]\w*)(:?-)?", "\n".join(shell.blocks(document))):
            if default:
                continue
            if name in FILLED_IN:
                assert re.search(rf"`\$?{name}`", (ROOT / FILLED_IN[name]).read_text()), name
            else:
                assert name in everything | outputs, f"{document}: ${name}"


@pytest.fixture(autouse=True)
def cli(monkeypatch, tmp_path):
    """What the AWS CLI wants before it looks at a command."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", profiles(tmp_path))


def profiles(directory):
    """Those of `local/env.sh`."""
    names = ("security", "member", "alice", "developer", "responder", "restorer")
    (directory / "config").write_text("".join(f"[profile {it}]\naws_access_key_id = x\naws_secret_access_key = x\n" for it in names))
    return str(directory / "config")


@pytest.mark.parametrize("document", sorted({document for document, _ in TYPED}))
def test_every_command_is_one_that_its_program_takes(document, tmp_path):
    fresh, wrong = None, []
    for command in (it for where, it in TYPED if where == document):
        if command.program == "events/fresh":
            fresh = (ROOT / command.words[1]).read_text()
        try:
            programs.check(command, tmp_path, fresh)
        except AssertionError as problem:
            wrong.append(f"{command}\n    {str(problem)[-400:]}")
    assert not wrong, "\n".join(wrong)


def test_what_a_deployment_is_configured_with_are_values_that_the_template_takes():
    for name, environment in tomllib.loads((ROOT / "samconfig.toml").read_text()).items():
        if name != "version":
            overrides = environment.get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
            programs.check_values(programs.parsed("template.yaml"), programs.given(overrides.split()))


WRONG = [
    "aws guardduty enable-organization-admin-account --account-id 1",
    "aws organizations attach-policy",
    "aws organizations attach-policy --policy-id p-1",
    "aws sns no-such-operation",
    "aws cloudformation create-stack-set --no-such-option …",
    "aws cloudformation deploy --stack-name x --template-file guardrail-role.yaml --parameter-overrides OrganizationId=o-1234567890",
    "aws cloudformation update-stack-set --stack-set-name x --template-body file://member-role.yaml --parameters ParameterKey=RotationDocument,ParameterValue=No",
    "aws stepfunctions start-execution --state-machine-arn $SWEEP --input '{\"relase\":{\"by\":\"Dana\"}}'",
    "aws stepfunctions start-execution --state-machine-arn $SWEEP --input '{\"scheduled\":\"2026-11-29\",\"relase\":{}}'",
    "sam deploy --config-env none",
    "sam deploy --no-such-option x",
    "sam deploy --parameter-overrides Modus=observe",
    "sam deploy --parameter-overrides Mode=aprove",
    "sam deploy --parameter-overrides Mode=approve ApprovalMinutes=0",
    "cargo test -p domains",
    "cargo test --manifest-path tests/blockkit/Cargo.toml --no-such-option",
    "cargo test -p domain -- --no-such-option",
    "jq -r .reprots[0].verdict answer.json",
    "jq -r '.reports[' answer.json",
    "make demos",
    "make demo ATTACKERS=1",
    "make demo EVENT=event/no-such.json",
    "make demo EVENT=events/drill.json RUNS=5",
    "make mutants FILE=src/no/such.rs",
    "FINDINGS=1 docs/rehearse.sh",
    "docs/no-such.sh",
    "tools/no-such --fix",
    ".venv/bin/python -m pytest tests/test_no.py",
    ".venv/bin/python -m pytest tests -k no_such_test",
    ".venv/bin/python -m pytest --no-such-option tests/test_demo.py",
    "python3 -c 'no such thing'",
    "python3 -m tests.no_such --all",
    "python3 -m bench --no-such-option",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_is_seen(tmp_path, wrong):
    [command] = shell.parse(wrong)
    with pytest.raises(AssertionError):
        programs.check(command, tmp_path)


RIGHT = [
    "make demo EVENT=mine.json",
    "make test PROPTEST_CASES=1000",
    "sam deploy --parameter-overrides Mode=approve ApprovalMinutes=$MINUTES",
    "aws organizations detach-policy …",
    "aws cloudformation create-stack-set --stack-set-name x …",
    "python3 -m venv .venv",
    "jq '.reports[0].verdict' answer.json",
]


@pytest.mark.parametrize("right", RIGHT)
def test_a_right_command_is_taken(tmp_path, right):
    [command] = shell.parse(right)
    programs.check(command, tmp_path)


def test_an_operation_of_aws_may_be_all_that_a_sentence_names(tmp_path, monkeypatch):
    (tmp_path / "x.md").write_text("By `aws organizations attach-policy`.\n\n```sh\naws organizations attach-policy\n```\n")
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    typed, named = shell.commands("x.md")
    programs.check(named, tmp_path)
    with pytest.raises(AssertionError):
        programs.check(typed, tmp_path)


WRITTEN = {
    "```sh\nmake no-such-verb\n```\n": "make no-such-verb",
    "~~~sh\nmake no-such-verb\n~~~\n": "make no-such-verb",
    "    make no-such-verb\n": "make no-such-verb",
    "1. One:\n\n       FINDING=x docs/no-such.sh\n": "docs/no-such.sh",
    "Run `make no-such-verb`.\n": "make no-such-verb",
    "Run `python3 -m tests.no_such --all`.\n": "python3 -m tests.no_such --all",
    "Run `tools/no-such --fix`.\n": "tools/no-such --fix",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_command_is_seen_however_it_is_written(tmp_path, monkeypatch, text):
    (tmp_path / "x.md").write_text(text)
    monkeypatch.setattr(shell, "ROOT", tmp_path)
    [command] = shell.commands("x.md")
    assert str(command) == WRITTEN[text]
    with pytest.raises(AssertionError):
        programs.check(command, tmp_path)


def test_every_document_is_among_those_whose_commands_are_looked_at():
    there = {str(it.relative_to(ROOT)) for folder in (".", "bench", "docs", "events", "tests", "tools") for it in (ROOT / folder).glob("*.md")}
    assert there == set(shell.DOCUMENTS)


def test_a_command_is_taken_apart_as_a_shell_does():
    piped, end = shell.parse("""A=1 one 'two  $X' "three $(four | five)" \\\n  six # seven\n""")[-1], shell.parse("a | \n b && c; d > e")
    assert piped.words == ["one", "two  $X", "three $(…)", "six"] and piped.sets == {"A": "1"}
    assert [str(it) for it in shell.parse("one $(four | five)")] == ["four", "five", "one $(…)"]
    assert [(str(it), it.feeds and str(it.feeds)) for it in end] == [("a", None), ("b", "a"), ("c", None), ("d", None)]


# What can be run as it stands, without AWS.


def block(document, words):
    [found] = [it for it in shell.blocks(document) if words in it]
    return found


@pytest.mark.parametrize(("name", "words", "count"), [("form-secret", "for NAME in", 2), ("slack-token", "read -rs TOKEN", 1)])
def test_what_is_piped_into_a_parameter_is_what_ssm_takes(tmp_path, name, words, count):
    instead = 'aws() { cat >> "$OUT"; echo >> "$OUT"; }\n'
    environment = {**os.environ, "OUT": str(tmp_path / "out")}
    subprocess.run(["bash", "-euc", instead + block("docs/people.md", words)], check=True, input="xoxb-1-a\n", text=True, env=environment)
    made = [json.loads(it) for it in (tmp_path / "out").read_text().splitlines() if it]
    assert len(made) == count and made[0]["Name"] == f"/iam-responder/{name}"
    assert all(len(it["Value"]) >= 8 and it["Type"] == "SecureString" for it in made)


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here")
def test_a_report_has_the_hash_that_people_were_told(tmp_path):
    """From the function's answer, and put together from the log, by the commands of docs/evidence.md."""
    report = json.loads((ROOT / "docs/example-report.json").read_text())
    whole = json.dumps(report, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    (tmp_path / "answer.json").write_text(json.dumps({"evidence": {"html": "<p>", "markdown": "# x", "report": report}}))
    lines = [it for it in block("docs/evidence.md", "answer.json").splitlines() if it.startswith("jq")]
    subprocess.run(["bash", "-euc", "\n".join(lines)], check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "report.json").read_text() == whole and (tmp_path / "report.html").read_text().strip() == "<p>"
    parts = [json.dumps({"part": n, "evidence": whole[start : start + 1000]}) for n, start in enumerate(range(0, len(whole), 1000), 1)]
    events = json.dumps({"events": [{"message": it} for it in [*reversed(parts), parts[0]]]})
    (tmp_path / "events.json").write_text(events)
    instead = f"INVESTIGATOR=x SHA256=x MILLISECONDS=0; aws() {{ cat '{tmp_path}/events.json'; }}\n"
    subprocess.run(["bash", "-euc", instead + block("docs/evidence.md", "filter-log-events")], check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "report.json").read_text() == whole
