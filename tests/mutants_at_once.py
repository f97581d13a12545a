"""Tries the changes that cargo-mutants lists, all of them in one test binary: minutes where one by one takes hours.

    python3 -m tests.mutants_at_once target/tools/bin/cargo-mutants [--file src/domain/…] [--everything]

Each function gets another body for each of its changes, and `MUTANT=n` says which one runs. What can't be had so, constants,
`const fn` and what returns `impl …`, is counted and left to `mutants.py`. `--everything`: all files of the crate, not the ten of the
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
# The tool counts it in.
DOCUMENTATION = re.compile(r"(?:\s*(?://|#\[)[^\n]*\n)*")
# What a compiler says in one go hides what it would say next.
ROUNDS = 25
# The unit tests take some ten seconds; a loop that a mutant makes endless takes for ever.
SECONDS = 180


def places(text, span):
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return tuple(starts[span[end]["line"] - 1] + span[end]["column"] - 1 for end in ("start", "end"))


def body_of(text, start):
    return text.index("{", DOCUMENTATION.match(text, start).end())


def is_chosen_at_run_time(text, mutant):
    if not mutant["function"]:
        return False
    start = DOCUMENTATION.match(text, places(text, mutant["function"]["span"])[0]).end()
    signature = text[start : text.index("{", start)]
    return "-> impl " not in signature and not re.search(r"\bconst fn\b", signature)


def with_bodies(text, numbered):
    """The text with a body for each change, and which change each of its lines belongs to."""
    functions = collections.defaultdict(list)
    for n, mutant in numbered:
        functions[places(text, mutant["function"]["span"])].append((n, mutant))
    pieces, end = [], 0
    for start, stop in sorted(functions):
        # A function within another has its changes in that one's bodies.
        if start < end:
            continue
        body = body_of(text, start)
        within = [it for (first, _), mutants in functions.items() if start <= first < stop for it in mutants]
        pieces.append(text[end:body] + "{ match crate::mutant() {")
        for n, mutant in within:
            first, last = places(text, mutant["span"])
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
    files = {it["file"]: [] for it in mutants}
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
            blamed = {True: set(), False: set()}
            for span in message["message"]["spans"]:
                blamed[span["is_primary"]].add(lines.get(span["file_name"], {}).get(span["line_start"]))
            # Where bodies differ in type, the one that was there may be what is complained of.
            wrong |= blamed[True] - {None} or blamed[False] - {None}
            errors.append(message["message"]["rendered"])
    if done.returncode and not wrong:
        sys.exit("".join(errors) or "cargo ended with %d" % done.returncode)
    return (None if done.returncode else binary), wrong


def built(mutants, left):
    """The test binary of all changes that compile, and which these are."""
    shutil.rmtree(TREE, ignore_errors=True)
    for file in subprocess.check_output(["git", "ls-files"], cwd=ROOT, universal_newlines=True).split("\n"):
        if os.path.isfile(os.path.join(ROOT, file)):
            os.makedirs(os.path.dirname(os.path.join(TREE, file)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, file), os.path.join(TREE, file))
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
    texts = {}
    for file in {it["file"] for it in mutants}:
        with open(os.path.join(ROOT, file)) as source:
            texts[file] = source.read()
    chosen = {n for n, it in enumerate(mutants) if is_chosen_at_run_time(texts[it["file"]], it)}
    binary, left = built(mutants, chosen)
    if is_seen(binary, "none", LIB):
        sys.exit("the tests fail without any change")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = dict(zip(sorted(left), pool.map(lambda n: is_seen(binary, n, mutants[n]["file"]), sorted(left))))
    for n in (n for n, it in seen.items() if not it):
        print("not seen: %s" % mutants[n]["name"])
    words = "%d of %d changes were seen by the tests (of %d that are listed, %d don't compile and %d are left to `make mutants`)"
    print(words % (sum(seen.values()), len(seen), len(mutants), len(chosen - left), len(mutants) - len(chosen)))
    return 0 if seen and sum(seen.values()) >= LEAST * len(seen) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
