"""What is missing on this machine, in one line each, before anything is installed. Runs on any Python 3.

    python3 tests/ready.py [rust] [python] [venv] [crates] [port:N]    `python` prints the one to make .venv with
"""

import os
import re
import shutil
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the newest of the pinned packages asks for: tests/requirements.txt.
LEAST, BELOW = (3, 11), (3, 15)
CANDIDATES = ["python3"] + ["python3.%d" % minor for minor in range(BELOW[1] - 1, LEAST[1] - 1, -1)]


def python():
    """The first Python on the PATH that is new enough, and has what makes a virtual environment."""
    found, without_venv = [], []
    for name in CANDIDATES:
        path = shutil.which(name)
        if path is None:
            continue
        version = output([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        if not version or not LEAST <= tuple(map(int, version.split("."))) < BELOW:
            found.append("%s is %s" % (name, version or "broken"))
        elif output([path, "-c", "import venv, ensurepip; print('yes')"]) != "yes":
            without_venv.append((path, version))
        else:
            return path, None
    if without_venv:
        path, version = without_venv[0]
        return None, "%s has no venv module: apt-get install python%s-venv (Debian, Ubuntu), or install Python from python.org." % (path, version)
    said = "; ".join(found) or "there is no python3"
    return None, "Python %d.%d to %d.%d is needed, and %s. Install one: uv python install 3.13, pyenv, or python.org." % (LEAST + (BELOW[0], BELOW[1] - 1, said))


def rust():
    """rustup takes the version of rust-toolchain.toml; without it the cargo on the PATH must be new enough."""
    least = re.search(r'^rust-version = "([\d.]+)"', read("Cargo.toml"), re.M).group(1)
    pinned = re.search(r'^channel = "([\d.]+)"', read("rust-toolchain.toml"), re.M).group(1)
    if not shutil.which("cargo"):
        return "Rust %s or later is needed, and there is no cargo. Install it: https://rustup.rs" % least
    version = output(["cargo", "--version"], cwd=ROOT)
    if not version and shutil.which("rustup"):
        return "Rust %s is not installed, and rustup was told not to: rustup toolchain install %s" % (pinned, pinned)
    number = re.search(r"cargo ([\d.]+)", version or "")
    if not number or numbers(number.group(1)) < numbers(least):
        return "Rust %s or later is needed, and this is %s. Update it: https://rustup.rs" % (least, version or "broken")
    return None


def linker():
    """Rust links by `cc`, and some of the crates are C."""
    if shutil.which("cc") or os.environ.get("CC"):
        return None
    return "A C compiler is needed, and there is no cc. Install one: apt-get install gcc libc6-dev (Debian, Ubuntu), xcode-select --install (macOS)."


def venv():
    """The network, where something is still to be installed: asks for the smallest of the packages."""
    python_of_venv = os.path.join(ROOT, ".venv", "bin", "python")
    ask = [python_of_venv, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10"]
    where = os.path.join(ROOT, ".venv", "probe")
    package = re.search(r"^iniconfig==.*$", read("tests/requirements.txt"), re.M).group(0)
    ended = subprocess.run(ask + ["--dest", where, package], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
    shutil.rmtree(where, ignore_errors=True)
    if ended.returncode:
        return "Packages can't be downloaded (pip, tests/requirements.txt). Check the network, or set PIP_INDEX_URL or HTTPS_PROXY to yours."
    return None


def crates():
    """The same for Rust's, of this machine's kind."""
    host = re.search(r"^host: (.*)$", output(["rustc", "-vV"], cwd=ROOT), re.M).group(1)
    fetch = ["cargo", "fetch", "--locked", "--quiet", "--target", host]
    if run(fetch + ["--offline"]) == 0:
        return None
    environment = dict(os.environ, CARGO_NET_RETRY="0", CARGO_HTTP_TIMEOUT="10")
    if run(fetch, env=environment):
        return "Crates can't be downloaded (cargo fetch). Check the network, or set HTTPS_PROXY or a registry in ~/.cargo/config.toml."
    return None


def port(number):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(number)))
        except (OverflowError, ValueError):
            return "A port is a number from 1 to 65535, not `%s`: make local PORT=5002" % number
        except OSError as problem:
            return "Port %s can't be used: %s. Choose another: make local PORT=5002" % (number, problem.strerror)
    return None


def read(name):
    with open(os.path.join(ROOT, name)) as file:
        return file.read()


def numbers(version):
    return tuple(map(int, version.split(".")))


def run(command, **options):
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, **options)


def output(command, **options):
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, **options).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def main(asked):
    problems = []
    for what in asked:
        if what == "python":
            path, problem = python()
            if path:
                print(path)
            problems.append(problem)
        elif what.startswith("port:"):
            problems.append(port(what[5:]))
        else:
            problems += [it() for it in {"rust": (rust, linker), "venv": (venv,), "crates": (crates,)}[what]]
    problems = [it for it in problems if it]
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
