"""Records a demo as an animated SVG, from what it really printed, when it printed it.

    python -m tests.picture FILE [command …]      default: the demo with an attacker

A line that a later one takes the place of is shown as long as it stood there. A viewer without animation, or
a reader who wants none, sees the last screen.
"""

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

from .harness.processes import ROOT

COLUMNS, CHARACTER, LINE, EDGE = 80, 8.43, 18, 14
DEMO = [sys.executable, "-m", "tests.demo", "--attacker"]
PALETTE = {"1": "font-weight:bold;fill:#fff", "31": "fill:#ff7b72", "32": "fill:#7ee787", "33": "fill:#d29922", "90": "fill:#8b949e"}
STYLE = """
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#c9d1d9;white-space:pre}
.p{visibility:hidden}
@media (prefers-reduced-motion:no-preference){
.l{animation:l 0s var(--s) both}
.p{animation:p var(--d) var(--s)}
}
@keyframes l{from{visibility:hidden}to{visibility:visible}}
@keyframes p{from,to{visibility:visible}}
"""


def recorded(command):
    """What it wrote to a terminal, with the seconds since its first word."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=ROOT, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
    os.close(its)
    chunks, began = [], None
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # The other end was closed.
            break
        if not data:
            break
        began = began or time.monotonic()
        chunks.append((time.monotonic() - began, data.decode()))
    if process.wait():
        sys.exit(f"the demo failed:\n{''.join(text for _, text in chunks)}")
    return chunks


def lines(chunks):
    """`(row, text, from, until)`: `until` is None for what stands at the end."""
    row, shown, text, since = 0, [], "", 0.0
    for at, data in chunks:
        for part in re.split(r"(\r\n|\r\x1b\[K)", data):
            if part in ("\r\n", "\r\x1b[K"):
                if text.strip():
                    shown.append((row, text, since, at if part == "\r\x1b[K" else None))
                row += part == "\r\n"
                text = ""
            elif part:
                if not text:
                    since = at
                text += part
    return shown


def svg(shown, title):
    height = (max(row for row, *_ in shown) + 1) * LINE + 2 * EDGE
    width = round(COLUMNS * CHARACTER) + 2 * EDGE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
    ]
    for row, text, since, until in shown:
        kind = "l" if until is None else "p"
        lasts = "" if until is None else f";--d:{max(until - since, 0.01):.2f}s"
        out.append(f'<text class="{kind}" style="--s:{since:.2f}s{lasts}" x="{EDGE}" y="{EDGE + 13 + row * LINE}" xml:space="preserve">{spans(text)}</text>')
    return "\n".join([*out, "</svg>", ""])


def spans(text):
    """The terminal's colours."""
    out, style = [], None
    for part in re.split(r"(\x1b\[\d+m)", text):
        code = re.fullmatch(r"\x1b\[(\d+)m", part)
        if code:
            style = PALETTE.get(code.group(1))
        elif part:
            escaped = html.escape(part, quote=False)
            out.append(f'<tspan style="{style}">{escaped}</tspan>' if style else escaped)
    return "".join(out)


def main():
    target, command = sys.argv[1], sys.argv[2:] or DEMO
    title = "make demo ATTACKER=1: an attacker with the victim's key undoes the quarantine, and it is put back until it holds"
    with open(ROOT / target, "w") as file:
        file.write(svg(lines(recorded(command)), title))
    print(f"{target}: {os.path.getsize(ROOT / target) // 1024} KiB")


if __name__ == "__main__":
    main()
