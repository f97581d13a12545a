"""What a terminal gets, and the picture that is made of it."""

import os
import subprocess
import sys
import xml.etree.ElementTree as xml

from . import picture
from .harness.processes import ROOT

SAYS = """
import sys
sys.path.insert(0, '.')
from tests.harness.terminal import live, paint, say, settled, table
live('   held 1 s'); live('   held 2 s'); settled(paint('   held', 'green'))
table('user alice', {'keys': 'AKIAIOSFODNN7EXAMPLE Active'}, {'keys': 'AKIAIOSFODNN7EXAMPLE Inactive', 'tags': 'x' * 200})
"""
COMMAND = [sys.executable, "-c", SAYS]


def test_colours_are_for_terminals_and_no_color_is_honoured():
    text = "".join(part for _, part in picture.recorded(COMMAND))
    assert "\033[32m   held" in text
    environment = [f"{key}={value}" for key, value in os.environ.items()]
    text = "".join(part for _, part in picture.recorded(["env", "-i", *environment, "TERM=xterm", "NO_COLOR=1", *COMMAND]))
    assert "held 1 s" in text and "\033[3" not in text and "\033[1m" not in text


def test_nothing_is_wider_than_the_terminal():
    shown = picture.lines(picture.recorded(["env", "NO_COLOR=1", *COMMAND]))
    assert max(len(text) for _, text, _, _ in shown) <= picture.COLUMNS


def test_a_picture_shows_a_line_as_long_as_it_stood():
    chunks = [(0.0, "first\r\n\r\x1b[Kheld 1 s"), (1.5, "\r\x1b[Kheld 2 s"), (2.5, "\r\x1b[K\x1b[32mholds <&\x1b[0m\r\n")]
    shown = picture.lines(chunks)
    assert shown == [(0, "first", 0.0, None), (1, "held 1 s", 0.0, 1.5), (1, "held 2 s", 1.5, 2.5), (1, "\x1b[32mholds <&\x1b[0m", 2.5, None)]
    root = xml.fromstring(picture.svg(shown, "a & b"))
    lasting = [node for node in root.iter() if node.get("class") == "l"]
    assert ["".join(node.itertext()) for node in lasting] == ["first", "holds <&"]


def test_the_committed_picture_is_of_the_demo_with_an_attacker():
    root = xml.parse(ROOT / "docs" / "attacker.svg").getroot()
    texts = ["".join(node.itertext()) for node in root.iter() if node.get("class") == "l"]
    assert any("attacker detaches AWSDenyAll" in text and "put back" in text for text in texts)
    assert any("compromised-credential: Contained" in text for text in texts) and max(map(len, texts)) <= picture.COLUMNS
    assert "docs/attacker.svg" in (ROOT / "README.md").read_text()


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -c 'from tests.harness.terminal import say; [say(n) for n in range(100_000)]' | head -n 1"
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout == "0\n" and ended.stderr == ""
