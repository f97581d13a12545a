"""What each program says of its arguments: whether it would take a command as it stands in a document."""

import ast
import contextlib
import functools
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from awscli.clidriver import create_clidriver
from samtranslator.yaml_helper import yaml_parse

from . import templates
from .processes import ROOT

MAKEFILE = re.sub(r"\\\n\s*", " ", (ROOT / "Makefile").read_text())


def check(command, directory=None, fresh=None):
    """Fails where the program would not take it. `directory`: where files may be written. `fresh`: what `$(…)` prints."""
    if command.program == "aws":
        return check_aws(command, directory, fresh)
    if command.program in CHECKS:
        return CHECKS[command.program](command)
    if "/" in command.program and not command.program.startswith("."):
        check_script(command)


def check_script(command):
    path = ROOT / command.program
    assert os.access(path, os.X_OK), command.program
    unread = [it for it in command.sets if not re.search(rf"\b{it}\b", path.read_text())]
    assert not unread, f"{command.program} does not read {unread}"


def given(words):
    return dict(it.split("=", 1) for it in words if "=" in it)


def split_off(words, option):
    """What stands behind an option, up to the next one."""
    if option not in words:
        return []
    behind = words[words.index(option) + 1 :]
    return behind[: next((n for n, it in enumerate(behind) if it.startswith("--")), len(behind))]


def is_open(value):
    """The reader's to fill in, or a shell's."""
    return "$" in value or "…" in value


def assert_options(words, taken):
    given_ones = {it.split("=")[0] if it.startswith("--") else it[:2] for it in words if re.match(r"--?[A-Za-z]", it)}
    assert given_ones <= set(taken), f"no option {sorted(given_ones - set(taken))}"


@functools.cache
def options(*words):
    """As the program's own help lists them."""
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return frozenset(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", said))


# make


@functools.cache
def rules():
    """What each verb of the Makefile needs and does, in one text."""
    found, text = {}, []
    for line in MAKEFILE.splitlines():
        rule = re.match(r"([\w./% -]+):(?!=) *(.*)", line)
        if rule:
            text = [rule[2].split("##")[0]]
            for verb in rule[1].split():
                found.setdefault(verb, []).append(text)
        elif line.startswith("\t"):
            text.append(line)
        else:
            text = []
    return {verb: "\n".join(line for text in texts for line in text) for verb, texts in found.items()}


@functools.cache
def reached(verb):
    """The verb and whatever it has made or run."""
    found, left = {}, [verb]
    while left:
        at = left.pop()
        if at not in found and at in rules():
            found[at] = rules()[at]
            left += rules()[at].splitlines()[0].split() + re.findall(r"\$\(MAKE\) ([\w-]+)", rules()[at])
    return "\n".join(found.values())


@functools.cache
def variables(verb):
    """What may be given beside it."""
    defined = dict(re.findall(r"(?m)^(?:export )?(\w+) *[:?]?= *(.*)", MAKEFILE))
    found, left = set(), re.findall(r"\$\((\w+)\)", reached(verb).replace("$(or $(", "$("))
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += re.findall(r"\$\((\w+)\)", defined.get(name, "").replace("$(or $(", "$("))
    exported = re.findall(r"(?m)^export (\w+)", MAKEFILE) if "cargo test" in reached(verb) else []
    return found | set(exported)


def check_make(command):
    verbs = [it for it in command.words[1:] if "=" not in it]
    for verb in verbs:
        assert verb in rules(), f"no verb {verb}"
    for name, value in {**given(command.words[1:]), **command.sets}.items():
        assert any(name in variables(verb) for verb in verbs), f"none of {verbs} has a variable {name}"
        if "/" in value and not is_open(value):
            assert (ROOT / value).exists(), value


# aws


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


def check_aws(command, directory, fresh=None):
    words = command.words[1:]
    # In a sentence the operation may be all that there is.
    if command.is_partial or (command.is_in_text and len(words) == 2):
        return check_named(words)
    if "--parameters" in words or "--parameter-overrides" in words:
        check_stack(words)
    if words[:2] == ["stepfunctions", "start-execution"]:
        check_input(json.loads(split_off(words, "--input")[0]))
    (directory / "scp.json").write_text("{}")
    (directory / "entries.json").write_text((ROOT / "events/put-events/compromised-user.json").read_text())
    (directory / "stdin").write_text(piped(command))
    for name in ("member-role.yaml", "guardrail-role.yaml", "events"):
        (directory / name).exists() or (directory / name).symlink_to(ROOT / name)
    words = [fresh if it == "$(…)" else filled_in(it).replace("/dev/stdin", str(directory / "stdin")) for it in words]
    with contextlib.chdir(directory):
        calls, said = sent(words)
    assert calls, said


def check_named(words):
    """The operation is there, and each of the options that are said."""
    driver = create_clidriver()
    services = driver._get_command_table()
    service, operation = words[:2]
    assert service in services, service
    table = services[service]
    operations = table._get_command_table() if hasattr(table, "_get_command_table") else table.subcommand_table
    assert operation in operations, operation
    taken = {**operations[operation].arg_table, **driver._get_argument_table()}
    assert_options(words, {f"--{it}" for it in taken})


def piped(command):
    feeds = command.feeds
    if feeds is not None and feeds.program == "echo":
        return feeds.words[1]
    return json.dumps({"Name": "/iam-responder/x", "Type": "SecureString", "Overwrite": True, "Value": "x"})


# CloudFormation and SAM


@functools.cache
def parsed(template):
    return yaml_parse((ROOT / template).read_text())


def check_stack(words):
    """The parameters of one of our templates, each with a value that it takes."""
    [file] = split_off(words, "--template-body") or split_off(words, "--template-file")
    template = parsed(file.removeprefix("file://"))
    values = given(split_off(words, "--parameter-overrides"))
    for it in map(given, (it.split(",") for it in split_off(words, "--parameters"))):
        values[it["ParameterKey"]] = it.get("ParameterValue")
    check_values(template, values)
    if words[1] in ("create-stack-set", "create-stack", "deploy"):
        required = {name for name, it in template["Parameters"].items() if "Default" not in it}
        assert required <= set(values), required - set(values)


def check_values(template, values):
    parameters = template["Parameters"]
    assert set(values) <= set(parameters), f"no parameter {set(values) - set(parameters)}"
    for name, value in values.items():
        if value is not None and not is_open(value):
            check_value(name, parameters[name], value)


def check_value(name, parameter, value):
    assert value in [as_text(it) for it in parameter.get("AllowedValues", [value])], f"{name}={value}"
    assert re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value), f"{name}={value}"
    assert parameter.get("MinLength", 0) <= len(value) <= parameter.get("MaxLength", 4096), f"{name}={value}"
    if parameter["Type"] == "Number":
        assert parameter.get("MinValue", -1e9) <= float(value) <= parameter.get("MaxValue", 1e9), f"{name}={value}"


def as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_input(said):
    """What the sweep's state machine reads of its input; what stands under `release`, `tests/template/documents.rs` decodes."""
    definition = templates.translated()["Resources"]["Sweep"]["Properties"]["Definition"]
    required = set(re.findall(r"\(\$\.(\w+)", json.dumps(definition["States"][definition["StartAt"]]["Parameters"])))
    read = required | set(re.findall(r"\$\.given\.(\w+)", json.dumps(definition)))
    assert required <= set(said) <= read, f"{set(said)} is not {required} and of {read}"


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
    check_values(parsed("template.yaml"), given(split_off(rest, "--parameter-overrides")))
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


# cargo, Python, jq

LIBTEST = {"--exact", "--ignored", "--include-ignored", "--list", "--nocapture", "--show-output", "--skip", "--test-threads"}


def check_cargo(command):
    words = command.words[1:]
    end = words.index("--") if "--" in words else len(words)
    assert_options(words[1:end], options("cargo", words[0], "-h"))
    assert_options(words[end + 1 :], LIBTEST)
    for option, value in zip(words, words[1:], strict=False):
        if option == "-p":
            assert (ROOT / "src" / value / "Cargo.toml").exists(), value
        if option == "--manifest-path":
            assert (ROOT / value).exists(), value
        if option == "--test":
            named = "".join(it.read_text() for folder in (".", "src/*", "tests/*") for it in ROOT.glob(f"{folder}/Cargo.toml"))
            assert (ROOT / f"tests/{value}.rs").exists() or f'name = "{value}"' in named, value


def check_python(command):
    words = command.words[1:]
    if words[0] == "-c":
        try:
            compile(words[1], "-c", "exec")
        except SyntaxError as error:
            raise AssertionError(words[1]) from error
        return
    assert words[0] == "-m", words
    if words[1] == "pytest":
        return check_pytest(words[2:])
    path = ROOT / words[1].replace(".", "/")
    files = [it for it in (path.with_suffix(".py"), path / "__main__.py") if it.exists()]
    if files:
        assert_options(words[2:], re.findall(r'add_argument\("(--?[\w-]+)"', files[0].read_text()))
    else:
        assert words[1] in sys.stdlib_module_names, words[1]


def check_pytest(words):
    assert_options(words, options(sys.executable, "-m", "pytest", "--noconftest", "-p", "no:cacheprovider", "--help"))
    for option, value in zip(words, words[1:], strict=False):
        if option == "-k" and not value.isupper():
            names = " ".join(f"{file} {test}" for file, tests in tests_by_file().items() for test in tests)
            wanted = set(re.findall(r"\w+", value)) - {"and", "or", "not"}
            assert all(it in names for it in wanted), value
    for it in words:
        file, _, test = it.partition("::")
        if file.startswith("tests"):
            assert (ROOT / file).exists(), file
            assert not test or test.split("[")[0] in tests_by_file()[pathlib.Path(file).name], test


@functools.cache
def tests_by_file():
    trees = {path.name: ast.parse(path.read_text()) for path in (ROOT / "tests").glob("test_*.py")}
    return {name: {it.name for it in ast.walk(tree) if isinstance(it, ast.FunctionDef)} for name, tree in trees.items()}


@functools.cache
def fields():
    """What is written as JSON: by a structure, by its name in quotes, or as a field of a line of the log."""
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    found = re.findall(r'"(\w+)"|\bpub(?:\(\w+\))? (\w+):', sources)
    logged = re.findall(r'tracing::\w+!\(([^"]*)', sources)
    return {name for it in found for name in it if name} | set(re.findall(r"\b(\w+)(?= =|,)", " ".join(logged)))


def check_jq(command):
    """Compiled by jq, where there is one, and each field that it names is one that is written."""
    flags = [it for it in command.words[1:] if it.startswith("-")]
    [program, *_] = [it for it in command.words[1:] if not it.startswith("-")]
    if shutil.which("jq"):
        ended = subprocess.run(["jq", *flags, program], input="null", capture_output=True, text=True)
        # 5: it was compiled, and cannot do that to `null`.
        assert ended.returncode in (0, 5), ended.stderr
    for field in re.findall(r"\.([A-Za-z_]\w*)", re.sub(r'"[^"]*"', "", program)):
        assert field in fields(), f"nothing has a field {field}"


CHECKS = {
    "make": check_make, "sam": check_sam, "cargo": check_cargo, ".venv/bin/python": check_python, "python3": check_python, "jq": check_jq,
}  # fmt: skip
