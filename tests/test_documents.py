"""What the documents name is there: tests, files, texts of errors, pinned actions."""

import ast
import functools
import re

import pytest
from samtranslator.yaml_helper import yaml_parse

from .harness.processes import ROOT

SPECIFICATION, SECURITY = "SPECIFICATION.md", "SECURITY.md"


@functools.cache
def python_tests():
    """The names of the tests in each file, without `test_`."""
    found = {}
    for path in (ROOT / "tests").glob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        found[path.name] = {it.name.removeprefix("test_") for it in nodes if isinstance(it, ast.FunctionDef) and it.name.startswith("test_")}
    return found


@functools.cache
def rust_tests():
    sources = [*(ROOT / "src").rglob("*.rs"), *(ROOT / "tests").rglob("*.rs")]
    marked = re.compile(r"#\[(?:tokio::)?test\]|fn (\w+)\([^)]*in ")
    every = set()
    for path in sources:
        text = path.read_text()
        if marked.search(text) or "proptest!" in text:
            every |= set(re.findall(r"fn (\w+)\(", text))
    return every


def every_test():
    return set().union(*python_tests().values()) | rust_tests()


def spans(document):
    """What stands in backticks, outside of blocks of code."""
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.S)
    return re.findall(r"`([^`\n]+)`", text)


def names_a_test(span):
    """Written as a test is named, in full or with what is left out marked by `…`."""
    return re.fullmatch(r"…?[a-z][a-z0-9_’']*_[a-z0-9_]*…?(\[.*\])?", span) and span.count("_") >= 2


def is_there(span, names):
    wanted = re.escape(span.split("[")[0].removeprefix("test_")).replace("…", ".*")
    return any(re.fullmatch(wanted, name) for name in names)


# Attributes, fields and words that look like the name of a test.
OTHERS = {"report_of", "not_open"}


@pytest.mark.parametrize("document", [SPECIFICATION, SECURITY])
def test_every_test_that_is_named_is_there(document):
    named = {it for it in spans(document) if names_a_test(it) and it not in OTHERS and not re.fullmatch(r"test_\w+", it)}
    assert len(named) > 20
    missing = sorted(it for it in named if not is_there(it, every_test()))
    assert not missing, missing


@pytest.mark.parametrize("document", [SPECIFICATION, SECURITY])
def test_every_file_that_is_named_is_there(document):
    named = {it for it in spans(document) if re.fullmatch(r"[\w./-]+\.(py|rs|md|yaml|json|toml|svg|sh)", it)}
    assert len(named) > 5
    places = ("", "tests", "docs", "src/domain", "src/domain/containment", "tests/template")
    names = {path.name for root in ("src", "tests", "docs") for path in (ROOT / root).rglob("*") if path.is_file()}
    missing = sorted(it for it in named if not any((ROOT / place / it).exists() for place in places) and it.split("/")[-1] not in names)
    assert not missing, missing


@pytest.mark.parametrize("document", [SPECIFICATION, SECURITY])
def test_every_file_of_tests_that_is_named_without_its_ending_is_there(document):
    named = {it for it in spans(document) if re.fullmatch(r"test_\w+", it)}
    missing = sorted(it for it in named if f"{it}.py" not in python_tests() and not is_there(it, every_test()))
    assert not missing, missing


def test_every_promise_names_the_test_or_the_dated_figure_behind_it():
    rows = [it for it in (ROOT / SPECIFICATION).read_text().splitlines() if it.startswith("| ") and not it.startswith(("| ---", "| we promise"))]
    assert len(rows) > 20
    for row in rows:
        behind = row.rstrip(" |").split(" | ")[-1]
        assert re.search(r"`[^`]*_[^`]*`|\.rs`|\d{4}-\d{2}-\d{2}", behind), row


def test_the_version_is_one_everywhere_and_its_changes_have_a_date():
    version = re.search(r'(?m)^version = "(.*)"', (ROOT / "Cargo.toml").read_text())[1]
    locked = re.findall(r'name = "(clients|domain|front|iam-responder)"\nversion = "(.*)"', (ROOT / "Cargo.lock").read_text())
    assert dict(locked) == dict.fromkeys(("clients", "domain", "front", "iam-responder"), version)
    unreleased, last, *_ = headings("CHANGELOG.md")
    assert unreleased == "Unreleased" and re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d{{2}}-\d{{2}}", last), last
    minor = version.rsplit(".", 1)[0]
    assert f"| {minor} | yes |" in (ROOT / "docs/release.md").read_text() and f"minor version, {minor};" in (ROOT / SECURITY).read_text()


def test_the_readme_is_short_to_the_end_of_what_it_takes_to_operate():
    text = (ROOT / "README.md").read_text()
    assert headings("README.md") == ["Try it", "What reacts to what", "Deploy", "Operate", "More"]
    assert len(text.split("\n## More")[0].split()) <= 1_200
    contents = next(it for it in text.splitlines() if it.startswith("**Contents**"))
    assert all(f"(#{it.lower().replace(' ', '-')})" in contents for it in headings("README.md"))
    badges = text.splitlines()[2]
    assert all((ROOT / ".github/workflows" / it).exists() for it in re.findall(r"workflows/([\w.]+)/badge", badges)) and "LICENSE" in badges


def headings(document):
    return re.findall(r"(?m)^## (.+)$", (ROOT / document).read_text())


def test_the_errors_of_the_troubleshooting_page_are_what_the_code_says():
    """By the longest part of each that has no gap."""
    said = "".join(path.read_text() for root in ("src", "tests/support") for path in (ROOT / root).rglob("*.rs"))
    said = re.sub(r'"\s*\n\s*"|\\\n\s*', "", said)
    texts = [it for it in headings("docs/troubleshooting.md") if it.startswith("`")]
    assert len(texts) >= 10
    for text in texts:
        part = max(re.split(r"…|`|arn:aws:\S*|60 s", text.strip("`")), key=len).strip(" :;")
        assert part in said, part


def test_every_link_between_the_documents_leads_somewhere():
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "tests/README.md"):
        text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"https?:|mailto:|\.\./\.\./actions/", target):
                continue
            name, _, anchor = target.partition("#")
            file = (path.parent / name).resolve() if name else path
            assert file.exists(), f"{path.name}: {target}"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), f"{path.name}: {target}"


def anchors(path):
    """As GitHub makes them of headings."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.S)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def test_workflows_have_no_permissions_but_those_they_name_and_pinned_actions():
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        workflow = yaml_parse(path.read_text())
        assert workflow["permissions"] == {}, path.name
        for job in workflow["jobs"].values():
            assert job["permissions"] == {"contents": "read"} and job["timeout-minutes"] <= 360
            for step in job["steps"]:
                if "uses" in step:
                    assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step
                    assert step["with"]["persist-credentials"] is False
    ci = yaml_parse((ROOT / ".github/workflows/ci.yml").read_text())
    assert [it["run"] for it in ci["jobs"]["ci"]["steps"] if "run" in it] == [".ci/run"]
