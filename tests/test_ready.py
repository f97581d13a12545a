"""What a newcomer reads when something is missing: one line, and nothing installed."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys

import pytest

from .harness.processes import ROOT


def asked(directory, *what, **programs):
    """The pre-checks where the PATH has these programs and no others; each is the body of a shell script."""
    for name, body in programs.items():
        path = directory / name.replace("_", ".")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    command = [sys.executable, str(ROOT / "tests" / "ready.py"), *what]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": str(directory)})
    return ended.returncode, ended.stdout.strip(), ended.stderr.splitlines()


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.15", "2.7"])
def test_an_unfit_python_is_said(tmp_path, version):
    code, _, [line] = asked(tmp_path, "python", python3=f"echo {version}")
    assert code == 1 and "Python 3.11 to 3.14 is needed" in line and f"python3 is {version}" in line


def test_another_python_on_the_path_is_taken(tmp_path):
    fit = 'case "$2" in *version_info*) echo 3.12 ;; *) echo yes ;; esac'
    code, path, said = asked(tmp_path, "python", python3="echo 3.9", python3_12=fit)
    assert (code, path, said) == (0, str(tmp_path / "python3.12"), [])


def test_a_python_without_venv_is_said(tmp_path):
    code, _, [line] = asked(tmp_path, "python", python3='case "$2" in *version_info*) echo 3.11 ;; *) exit 1 ;; esac')
    assert code == 1 and "no venv module" in line and "apt-get install python3.11-venv" in line


def test_no_rust_and_an_old_one_are_said(tmp_path):
    code, _, [line] = asked(tmp_path, "rust", cc="exit 0")
    assert code == 1 and "there is no cargo" in line and "rustup.rs" in line
    code, _, [line] = asked(tmp_path, "rust", cargo="echo 'cargo 1.80.1 (376290515 2024-07-16)'")
    assert code == 1 and "1.80.1" in line and "or later is needed" in line
    assert asked(tmp_path, "rust", cargo="echo 'cargo 1.99.0 (376290515 2026-07-16)'")[0] == 0


def test_a_machine_without_a_c_compiler_is_said(tmp_path, monkeypatch):
    """Rust links by it, and crates here are C."""
    monkeypatch.delenv("CC", raising=False)
    code, _, [line] = asked(tmp_path, "rust", cargo="echo 'cargo 1.99.0 (376290515 2026-07-16)'")
    assert code == 1 and "there is no cc" in line and "apt-get install gcc" in line


def test_make_needs_no_python_by_the_name_of_python3(tmp_path):
    """docs/troubleshooting.md: any that fits is found."""
    for tool in ("make", "sh", "uname", "sed"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    make = [str(tmp_path / "make"), "-s", "ready", "CHECKS=python"]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert said.returncode and "there is no python3" in said.stderr
    (tmp_path / "python3.12").symlink_to(sys.executable)
    subprocess.run(make, cwd=ROOT, check=True, env={"PATH": str(tmp_path)})


def test_an_occupied_port_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, [line] = asked(tmp_path, f"port:{port}")
        assert code == 1 and str(port) in line and "make local PORT=" in line
        local = subprocess.run([sys.executable, "-m", "tests.local", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert local.returncode == 1 and len(local.stderr.splitlines()) == 1 and "PORT=" in local.stderr


def test_no_network_is_said_before_anything_is_installed(tmp_path):
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:1", "PIP_INDEX_URL": "https://127.0.0.1:1/simple", "PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(ROOT / "tests" / "ready.py"), "venv"]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **nowhere})
    [line] = ended.stderr.splitlines()
    assert ended.returncode == 1 and "can't be downloaded" in line and "HTTPS_PROXY" in line


def test_help_lists_the_verbs_in_the_order_of_use():
    said = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    verbs = [line.split()[1] for line in said.splitlines() if line.startswith("  make ")]
    assert verbs[:10] == ["help", "demo", "attack", "demo-approval", "form", "demo-sweep", "demo-report", "invoke", "local", "sam"]
    assert "Python 3.11" in said


def test_the_versions_that_are_needed_are_said_truly():
    """The README's are those that are checked, and Cargo.toml's."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("ready", ROOT / "tests" / "ready.py")
    ready = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ready)
    read = lambda it: (ROOT / it).read_text()  # noqa: E731
    rust = read("Cargo.toml").split('rust-version = "')[1].split('"')[0]
    pinned = read("rust-toolchain.toml").split('channel = "')[1].split('"')[0]
    assert ready.numbers(rust) <= ready.numbers(pinned)
    assert f'rust-version = "{rust}"' in read("tests/blockkit/Cargo.toml") and f"toolchain install {rust} " in read(".github/workflows/nightly.yml")
    python = f"{ready.LEAST[0]}.{ready.LEAST[1]} to {ready.BELOW[0]}.{ready.BELOW[1] - 1}"
    for document in ("README.md", "docs/deploy.md", "docs/development.md", "Makefile"):
        assert re.search(rf"{re.escape(rust)} or later", read(document)) and f"Python {python}" in read(document), document
        assert "C compiler" in read(document), document
    assert f"Python {python} is needed" in read("docs/troubleshooting.md")


@pytest.mark.parametrize("port", ["99999", "-1", "abc", ""])
def test_a_port_that_is_none_is_said(tmp_path, port):
    code, _, [line] = asked(tmp_path, f"port:{port}")
    assert code == 1 and "A port is a number" in line and f"`{port}`" in line
