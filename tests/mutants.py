"""Changes what decides in small ways, one at a time, and counts which changes the unit tests see.

    python3 -m tests.mutants target/tools/bin/cargo-mutants [--file src/domain/…] [--shard 0/4]

Ends with an error where they see fewer than nine in ten. What survives is listed, and in `target/mutants.out/`. Runs on
any Python 3.
"""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What decides whom to touch, what is kept of the state before, what is put back, and when to look again.
SAMPLE = [
    "src/domain/acknowledgement.rs",
    "src/domain/containment/admission.rs",
    "src/domain/containment/contest.rs",
    "src/domain/containment/guard.rs",
    "src/domain/containment/snapshot.rs",
    "src/domain/containment/watch.rs",
    "src/domain/day.rs",
    "src/domain/decision.rs",
    "src/domain/restoration/plan.rs",
    "src/domain/restoration/taken.rs",
]
# Ended well, some survived, some never ended: everything else is no result.
ENDS = {0, 2, 3}
LEAST = 0.9


def judged(outcomes):
    """How many changes were seen, of how many; what can't be compiled is no change."""
    # What never ends is seen by whoever waits for it.
    seen = outcomes["caught"] + outcomes["timeout"]
    return seen, seen + outcomes["missed"]


def main(program, *arguments):
    # Fewer inputs for each property: what a mutant breaks is seen by few.
    environment = dict(os.environ, PROPTEST_CASES="64")
    files = [] if "--file" in arguments else [it for file in SAMPLE for it in ("--file", file)]
    command = [program, "mutants", "--package", "domain", "--output", "target", "--no-shuffle"] + files + list(arguments)
    code = subprocess.call(command, cwd=ROOT, env=environment)
    if code not in ENDS:
        return code
    with open(os.path.join(ROOT, "target", "mutants.out", "outcomes.json")) as file:
        seen, tried = judged(json.load(file))
    print("%d of %d changes were seen by the tests (%d %%); at least %d %% is wanted" % (seen, tried, 100 * seen / max(tried, 1), 100 * LEAST))
    return 0 if tried and seen >= LEAST * tried else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
