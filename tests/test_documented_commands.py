"""Every command of the documents is one that there is, and it is said of each how that is known: run by a test or by CI,
parsed by the program that it is for, or run by hand. What its payloads are decoded to holds `tests/template/documents.rs`."""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess

import pytest
from awscli.clidriver import create_clidriver

from .harness import shell, templates
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
    r"make invoke EVENT=.*": lambda: by("test_demo.py", "invoke_prints_json_and_nothing_else"),
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
    r"make compare": lambda: by("test_compare.py", "the_responder_and_the_same_in_python_are_measured_on_one_event"),
    r"cargo build": lambda: by_ci("cargo build"),
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
        fences = re.findall(r"(?m)^ *```(.*)\n *(.*)", (ROOT / document).read_text())
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


# What each program says of its arguments.


def given(words):
    return dict(it.split("=", 1) for it in words if "=" in it)


def check_make(command):
    verbs, variables = [it for it in command.words[1:] if "=" not in it], given(command.words[1:])
    for verb in verbs:
        assert re.search(rf"(?m)^{re.escape(verb)}:", MAKEFILE), f"no verb {verb}"
    for name, value in {**variables, **command.sets}.items():
        assert re.search(rf"\$\({name}\)|\b{name} \?=|\(or \$\({name}\)", MAKEFILE), f"no variable {name}"
        if name == "EVENT" and value.startswith("events/"):
            assert (ROOT / value).exists(), value


class Called(Exception):
    """What the CLI was about to send."""


def sent(words):
    """The call that the AWS CLI makes of its arguments: it has parsed and validated them by AWS's own models then."""
    calls = []

    def instead(model, params, **_):
        calls.append(model.name)
        raise Called

    driver = create_clidriver()
    driver.session.register("before-call.*.*", instead)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            driver.main(words)
        except SystemExit:
            pass
    return calls, said.getvalue()


VALUES = {"SHA256": "0" * 64, "MILLISECONDS": "1790000000000", "SECURITY": "999988887777", "ACCOUNT": "111122223333"}
def filled_in(word):
    return re.sub(r"\$\{?(\w+)\}?", lambda it: VALUES.get(it[1], f"arn:aws:x:{it[1]}"), word)


def check_aws(command, fresh, directory):
    words = command.words[1:]
    # As it is named in a sentence: the operation is all that there is.
    if command.is_partial or not any(it.startswith("--") for it in words):
        service, operation = words[:2]
        _, said = sent([service, operation, "--no-such-option"])
        assert "Invalid choice" not in said, said
        return
    (directory / "scp.json").write_text("{}")
    (directory / "entries.json").write_text((ROOT / "events/put-events/compromised-user.json").read_text())
    (directory / "stdin").write_text(piped(command))
    for name in ("member-role.yaml", "guardrail-role.yaml", "events"):
        (directory / name).exists() or (directory / name).symlink_to(ROOT / name)
    words = [fresh if it == "$(…)" else filled_in(it).replace("/dev/stdin", str(directory / "stdin")) for it in words]
    with contextlib.chdir(directory):
        calls, said = sent(words)
    assert calls, said


def piped(command):
    feeds = command.feeds
    if feeds is not None and feeds.program == "echo":
        return feeds.words[1]
    return json.dumps({"Name": "/iam-responder/x", "Type": "SecureString", "Overwrite": True, "Value": "x"})


SAM = {
    ("build",): "build.command", ("delete",): "delete.command", ("deploy",): "deploy.command", ("package",): "package.command",
    ("publish",): "publish.command", ("local", "invoke"): "local.invoke.cli", ("local", "start-lambda"): "local.start_lambda.cli",
}  # fmt: skip


def check_sam(command):
    words = command.words[1:]
    verb = tuple(words[: 2 if words[0] == "local" else 1])
    assert verb in SAM, verb
    found = importlib.import_module(f"samcli.commands.{SAM[verb]}").cli
    rest = words[len(verb) :]
    parameters = split_off(rest, "--parameter-overrides")
    known = set(templates.translated()["Parameters"])
    assert set(given(parameters)) <= known, set(given(parameters)) - known
    for option, value in zip(rest, rest[1:], strict=False):
        if option == "--config-env":
            assert f"[{value}.deploy.parameters]" in (ROOT / "samconfig.toml").read_text()
        if option == "-e":
            assert (ROOT / value).exists(), value
        if option == "--profile":
            assert f"`{value}`" in (ROOT / "docs/three-ways-in.md").read_text()
    if verb == ("local", "invoke"):
        assert rest[0] in templates.translated()["Resources"]
    taken = {it for parameter in found.params for it in (*parameter.opts, *parameter.secondary_opts)}
    unknown = {it for it in rest if it.startswith("-")} - taken
    assert not unknown, unknown


def split_off(words, option):
    """What stands behind an option, up to the next one."""
    if option not in words:
        return []
    behind = words[words.index(option) + 1 :]
    return behind[: next((n for n, it in enumerate(behind) if it.startswith("--")), len(behind))]


def check_cargo(command):
    words = command.words
    for option, value in zip(words, words[1:], strict=False):
        if option == "-p":
            assert (ROOT / "src" / value / "Cargo.toml").exists(), value
        if option == "--manifest-path":
            assert (ROOT / value).exists(), value
        if option == "--test":
            named = "".join(it.read_text() for it in ROOT.glob("**/Cargo.toml") if "target" not in it.parts)
            assert (ROOT / f"tests/{value}.rs").exists() or f'name = "{value}"' in named, value


def check_python(command):
    module = command.words[command.words.index("-m") + 1]
    if module != "pytest":
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert all(f'add_argument("{it}"' in source for it in command.words if it.startswith("--")), command
        return
    for it in command.words:
        file, _, test = it.partition("::")
        if file.startswith("tests"):
            assert (ROOT / file).exists(), file
            assert not test or is_there(test, python_tests()[file.split("/")[-1]]), test


CHECKS = {"make": check_make, "sam": check_sam, "cargo": check_cargo, ".venv/bin/python": check_python}


@pytest.mark.parametrize("document", sorted({document for document, _ in TYPED}))
def test_every_command_is_one_that_its_program_takes(document, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", profiles(tmp_path))
    fresh, wrong = None, []
    for command in (it for where, it in TYPED if where == document):
        if command.program == "events/fresh":
            fresh = (ROOT / command.words[1]).read_text()
        try:
            if command.program == "aws":
                check_aws(command, fresh, tmp_path)
            elif check := CHECKS.get(command.program):
                check(command)
            elif "/" in command.program and not command.program.startswith("."):
                assert os.access(ROOT / command.program, os.X_OK), command.program
        except AssertionError as problem:
            wrong.append(f"{command}\n    {str(problem)[-400:]}")
    assert not wrong, "\n".join(wrong)


def profiles(directory):
    """Those of `local/env.sh`."""
    names = ("security", "member", "alice", "developer", "responder", "restorer")
    (directory / "config").write_text("".join(f"[profile {it}]\naws_access_key_id = x\naws_secret_access_key = x\n" for it in names))
    return str(directory / "config")


def test_what_is_wrong_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    [misspelt] = shell.parse("aws guardduty enable-organization-admin-account --account-id 1")
    with pytest.raises(AssertionError):
        check_aws(misspelt, None, tmp_path)
    for wrong in ("aws organizations attach-policy --policy-id p-1", "aws sns no-such-operation"):
        with pytest.raises(AssertionError):
            check_aws(shell.parse(wrong)[0], None, tmp_path)
    for check, wrong in (
        (check_make, "make demos"), (check_make, "make demo ATTACKERS=1"), (check_sam, "sam deploy --config-env none"),
        (check_sam, "sam deploy --parameter-overrides Modus=observe"), (check_sam, "sam deploy --no-such-option x"),
        (check_cargo, "cargo test -p domains"), (check_python, ".venv/bin/python -m pytest tests/test_no.py"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(shell.parse(wrong)[0])


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
