"""`make mutants` is judged by what the tool counted."""

import json
import re
import tomllib

import pytest

from . import mutants
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
