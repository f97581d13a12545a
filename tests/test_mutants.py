"""`make mutants` is judged by what the tool counted."""

import json
import re
import tomllib

import pytest

from . import mutants, mutants_at_once
from .harness.processes import ROOT

SETTINGS = tomllib.loads((ROOT / ".cargo/mutants.toml").read_text())


def ended(tmp_path, monkeypatch, code, **counts):
    """As if the tool had ended so."""
    monkeypatch.setattr(mutants, "ROOT", str(tmp_path))
    (tmp_path / "target/mutants.out").mkdir(parents=True)
    (tmp_path / "target/mutants.out/outcomes.json").write_text(json.dumps({"caught": 0, "missed": 0, "timeout": 0, "unviable": 0, **counts}))
    program = tmp_path / "tool"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    return mutants.main(str(program))


@pytest.mark.parametrize(("code", "counts", "end"), [
    (0, {"caught": 10}, 0), (2, {"caught": 9, "missed": 1, "unviable": 50}, 0), (3, {"caught": 8, "timeout": 1, "missed": 1}, 0),
    (2, {"caught": 8, "missed": 1}, 1), (0, {}, 1), (4, {"caught": 10}, 4),
])  # fmt: skip
def test_nine_in_ten_must_be_seen_and_what_did_not_run_is_no_success(tmp_path, monkeypatch, code, counts, end):
    assert ended(tmp_path, monkeypatch, code, **counts) == end


def test_every_file_that_is_looked_at_is_there():
    assert len(mutants.SAMPLE) >= 8 and all((ROOT / it).exists() for it in mutants.SAMPLE)
    profile = re.search(rf"(?m)^\[profile\.{SETTINGS['profile']}\]$", (ROOT / "Cargo.toml").read_text())
    assert profile, "the profile is not in Cargo.toml"


def change(start, end, replacement, function=((2, 1), (4, 2))):
    def span(of):
        return {side: {"line": line, "column": column} for side, (line, column) in zip(("start", "end"), of, strict=True)}

    return {"span": span((start, end)), "replacement": replacement, "function": {"span": span(function)}}


def test_each_change_is_a_body_of_its_own_beside_the_one_that_is_there():
    text = "// {\nfn is_over(at: i64) -> bool {\n    at >= 5\n}\nfn other() {}\n"
    less, never = change((3, 8), (3, 10), "<"), change((3, 5), (3, 12), "false")
    changed, lines = mutants_at_once.with_bodies(text, [(7, less), (9, never)])
    bodies = ["{\n    at < 5\n}", "{\n    false\n}", "{\n    at >= 5\n}"]
    assert [changed.count(it) for it in bodies] == [1, 1, 1]
    assert changed.startswith("// {\nfn is_over(at: i64) -> bool {") and changed.endswith("} }\nfn other() {}\n")
    for body, n in zip(bodies, (7, 9, None), strict=True):
        assert lines.get(changed[: changed.index(body)].count("\n") + 2) == n


@pytest.mark.parametrize(("signature", "is_chosen"), [
    ("fn is_over(at: i64) -> bool", True), ("pub const fn is_over() -> bool", False), ("fn all() -> impl Iterator<Item = u8>", False),
])  # fmt: skip
def test_what_can_not_be_chosen_at_run_time_is_left_to_the_tool(signature, is_chosen):
    text = f"/// Of a const fn {{\n{signature} {{\n    at >= 5\n}}\n"
    one = change((3, 5), (3, 12), "false", function=((1, 1), (4, 2)))
    assert mutants_at_once.is_chosen_at_run_time(text, one) == is_chosen
    assert mutants_at_once.body_of(text, 0) == text.index("{\n    at")
    assert not mutants_at_once.is_chosen_at_run_time(text, {**one, "function": None})
