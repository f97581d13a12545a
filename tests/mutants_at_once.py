"""Tries the changes that cargo-mutants lists, all of them in one test binary: minutes where one by one takes hours.

    python3 -m tests.mutants_at_once target/tools/bin/cargo-mutants [--file src/domain/…] [--everything]

Each function gets another body for each of its changes, and `MUTANT=n` says which one runs. What can't be had so, constants
and what returns `impl …`, is counted and left to `mutants.py`. `--everything`: all files of the crate, not the ten of the
sample. Runs on any Python 3.
"""

import collections
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

from .mutants import LEAST, ROOT, SAMPLE

OUTPUT = os.path.join(ROOT, "target", "mutants.at-once")
TREE = os.path.join(OUTPUT, "tree")
LIB = "src/domain/lib.rs"
CHOSEN = """
pub(crate) fn mutant() -> usize {
    static CHOSEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("MUTANT").ok().and_then(|it| it.parse().ok()).unwrap_or(usize::MAX))
}
"""
# What a compiler says in one go hides what it would say next.
ROUNDS = 25
# The unit tests take some ten seconds; a loop that a mutant makes endless takes for ever.
SECONDS = 180


def is_chosen_at_run_time(mutant):
    function = mutant["function"]
    return bool(function) and "impl " not in (function["return_type"] or "")


def with_bodies(text, numbered):
    """The text with a body for each change, and which change each of its lines belongs to."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def span(of):
        return tuple(starts[of[end]["line"] - 1] + of[end]["column"] - 1 for end in ("start", "end"))

    functions = collections.defaultdict(list)
    for n, mutant in numbered:
        functions[span(mutant["function"]["span"])].append((n, mutant))
    pieces, end = [], 0
    for start, stop in sorted(functions):
        # A function within another has its changes in that one's bodies.
        if start < end:
            continue
        body = text.index("{", start)
        within = [it for (first, _), mutants in functions.items() if start <= first < stop for it in mutants]
        pieces.append(text[end:body] + "{ match crate::mutant() {")
        for n, mutant in within:
            first, last = span(mutant["span"])
            pieces.append("\n/*%d*/ %d => { %s%s%s }\n/**/" % (n, n, text[body:first], mutant["replacement"], text[last:stop]))
        pieces.append("\n_ => %s } }" % text[body:stop])
        end = stop
    changed = "".join(pieces) + text[end:]
    lines, current = {}, None
    for number, line in enumerate(changed.split("\n"), 1):
        mark = re.match(r"/\*(\d*)\*/", line)
        if mark:
            current = int(mark.group(1)) if mark.group(1) else None
        if current is not None:
            lines[number] = current
    return changed, lines


def write(mutants, left):
    """Puts all changes that are left into the copy; says which lines of which file belong to which."""
    files = collections.defaultdict(list)
    for n in left:
        files[mutants[n]["file"]].append((n, mutants[n]))
    lines = {}
    for file, numbered in files.items():
        with open(os.path.join(ROOT, file)) as source:
            changed, lines[file] = with_bodies(source.read(), numbered)
        with open(os.path.join(TREE, file), "w") as copy:
            copy.write(changed)
    with open(os.path.join(ROOT, LIB)) as source:
        text = source.read()
    with open(os.path.join(TREE, LIB), "w") as copy:
        copy.write(text + CHOSEN)
    return lines


def compiled(command, lines):
    """The test binary, where there is one, and which changes don't compile."""
    environment = dict(os.environ, CARGO_TARGET_DIR=os.path.join(OUTPUT, "target"), RUSTFLAGS="--cap-lints allow")
    arguments = ["cargo"] + command + ["--locked", "-p", "domain", "--lib", "--profile", "mutants", "--message-format", "json"]
    done = subprocess.run(arguments, cwd=TREE, env=environment, stdout=subprocess.PIPE, universal_newlines=True)
    binary, wrong, errors = None, set(), []
    for message in (json.loads(it) for it in done.stdout.split("\n") if it.startswith("{")):
        if message.get("executable") and message["target"]["name"] == "domain":
            binary = message["executable"]
        if message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            spans = [it for it in message["message"]["spans"] if it["is_primary"]]
            wrong |= {lines.get(it["file_name"], {}).get(it["line_start"]) for it in spans} - {None}
            errors.append(message["message"]["rendered"])
    if done.returncode and not wrong:
        sys.exit("".join(errors) or "cargo ended with %d" % done.returncode)
    return (None if done.returncode else binary), wrong


def built(mutants):
    """The test binary of all changes that compile, and which these are."""
    shutil.rmtree(TREE, ignore_errors=True)
    for file in subprocess.check_output(["git", "ls-files"], cwd=ROOT, universal_newlines=True).split("\n"):
        if os.path.isfile(os.path.join(ROOT, file)):
            os.makedirs(os.path.dirname(os.path.join(TREE, file)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, file), os.path.join(TREE, file))
    left = {n for n, it in enumerate(mutants) if is_chosen_at_run_time(it)}
    for _ in range(ROUNDS):
        lines = write(mutants, left)
        # Quicker than a build, and says as much.
        wrong = compiled(["check"], lines)[1]
        binary = None
        if not wrong:
            binary, wrong = compiled(["test", "--no-run"], lines)
        if binary:
            return binary, left
        left -= wrong
    sys.exit("%d times some changes did not compile" % ROUNDS)


def is_seen(binary, n, file):
    """By the tests beside it, or by any other."""
    environment = dict(os.environ, MUTANT=str(n), PROPTEST_CASES="64")
    module = file[len("src/domain/") : -len(".rs")].replace("/", "::") + "::tests::"
    for tests in ([module], []):
        command = [binary, "-q", "--test-threads", "1"] + tests
        try:
            code = subprocess.call(command, cwd=os.path.join(TREE, "src/domain"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return True
        if code:
            return True
    return False


def main(program, *arguments):
    is_sample = "--file" not in arguments and "--everything" not in arguments
    files = [it for file in SAMPLE for it in ("--file", file)] if is_sample else [it for it in arguments if it != "--everything"]
    command = [program, "mutants", "--package", "domain", "--list", "--json"] + files
    mutants = json.loads(subprocess.check_output(command, cwd=ROOT, universal_newlines=True))
    binary, left = built(mutants)
    if is_seen(binary, "none", LIB):
        sys.exit("the tests fail without any change")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = dict(zip(sorted(left), pool.map(lambda n: is_seen(binary, n, mutants[n]["file"]), sorted(left))))
    for n in (n for n, it in seen.items() if not it):
        print("not seen: %s" % mutants[n]["name"])
    others = sum(not is_chosen_at_run_time(it) for it in mutants)
    print("%d of %d changes were seen by the tests; %d of the %d listed don't compile and %d are left to `make mutants`" % (sum(seen.values()), len(seen), len(mutants) - len(seen) - others, len(mutants), others))
    return 0 if seen and sum(seen.values()) >= LEAST * len(seen) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
