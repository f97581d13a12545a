"""Ends the processes that their owner can no longer end: it was killed, or its terminal was closed.

A process of its own waits for the end of a pipe that only the owner holds, however the owner ends. It is
told the owner's children, and ends what is left of them, with all that they started: the runtime emulator
puts the function into a process group of its own, so that a group alone would not do.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

_keeper = None


def watch(pid):
    """From now on the process ends with this one."""
    global _keeper
    if _keeper is None or _keeper[0] != os.getpid():
        command = [sys.executable, "-I", "-S", __file__]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
        _keeper = os.getpid(), process
    _tell(f"+{pid}")


def forget(pid):
    """The process has ended; its number may be somebody else's soon."""
    if _keeper is not None and _keeper[0] == os.getpid():
        _tell(f"-{pid}")


def _tell(line):
    with contextlib.suppress(BrokenPipeError):
        _keeper[1].stdin.write(f"{line}\n".encode())
        _keeper[1].stdin.flush()


def descendants(roots):
    """The processes and all that they started, of those that still run."""
    listed = subprocess.run(["ps", "-axo", "pid=,ppid="], stdout=subprocess.PIPE, text=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    running = {pid for pid, _ in parents}
    found = [pid for pid in roots if pid in running]
    for parent in found:
        found += [pid for pid, its in parents if its == parent and pid not in found]
    return found


def end(roots, patience=3):
    left = descendants(roots)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + patience
        while left and time.monotonic() < until:
            time.sleep(0.05)
            left = [pid for pid in left if _runs(pid)]


def _runs(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def main():
    kept = set()
    for line in sys.stdin:
        (kept.add if line[0] == "+" else kept.discard)(int(line[1:]))
    if kept:
        end(kept)


if __name__ == "__main__":
    main()
