"""What the demos show on a terminal, and how they end: without a traceback, whatever ends them."""

import atexit
import os
import shutil
import signal
import sys

COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "grey": "90"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def ends_quietly():
    """Ctrl-C, Ctrl-\\, a closed terminal and `kill` end it at once and without a traceback, while it has
    started nothing: called before anything large is imported."""
    for number in SIGNALS:
        signal.signal(number, lambda number, _: os._exit(128 + number))


def unwinds(patience=3):
    """From now on they stop the children first. An exception may be lost on its way through somebody else's
    code, and a child may not want to end: after `patience` seconds, or at the second try, it ends at once, and
    the keeper ends the children."""

    def leave(number, _):
        ends_quietly()
        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))
        signal.alarm(patience)
        # Once everything is stopped Python ends by itself, and an alarm would find no handler any more.
        atexit.register(signal.alarm, 0)
        sys.exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def is_live():
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def paint(text, colour):
    """https://no-color.org"""
    if not is_live() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[colour]}m{text}\033[0m"


def say(text="", end="\n"):
    """Where nobody reads on (`| head`), it unwinds as if it were told to end."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def step(number, text):
    say(f"{paint(number, 'grey')}  {cut(text)}")


def live(text):
    """A line that the next one takes the place of, where there is a terminal to do so."""
    if is_live():
        say(f"\r\033[K{text}", end="")


def settled(text):
    """The last word of a live line."""
    say(f"\r\033[K{text}" if is_live() else text)


def cut(text):
    """In one line of the terminal; whole where there is none."""
    width = shutil.get_terminal_size().columns - 4
    return text if not is_live() or len(text) <= width else text[: width - 1] + "…"


def table(title, before, after):
    """Two states side by side; what changed is green."""
    names = list(dict.fromkeys([*before, *after]))
    cells = [(name, before.get(name, "-").split("\n"), after.get(name, "-").split("\n")) for name in names]
    left = max(len(name) for name in [*names, title])
    middle = max(len(line) for _, lines, _ in cells for line in [*lines, "before"])
    say(paint(f"   {title:<{left}}  {'before':<{middle}}  after", "bold"))
    for name, old, new in cells:
        for n in range(max(len(old), len(new))):
            was, now = (lines[n] if n < len(lines) else "" for lines in (old, new))
            line = f"   {name if n == 0 else '':<{left}}  {was:<{middle}}  "
            line += paint(now, "grey" if old == new else "green") if len(cut(line + now)) == len(line + now) else cut(line + now)[len(line) :]
            say(line)
