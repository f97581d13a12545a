"""The shell commands of the documents, taken apart: what is written in them, without a shell."""

import dataclasses
import re

from .processes import ROOT

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "SPECIFICATION.md", "CHANGELOG.md"]
DOCUMENTS += ["tests/README.md", "bench/README.md", *sorted(str(it.relative_to(ROOT)) for it in (ROOT / "docs").glob("*.md"))]

# What begins a command in the text itself; names of programs alone are none.
PROGRAMS = r"make|aws|sam|cargo|git|jq|echo|read|python3|\.venv/bin/\S+|docs/\S+\.sh|\.ci/run"
IN_TEXT = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:(?:{PROGRAMS})(?: |$)|(?:[\w.-]+/)+[\w.-]+ -)")
FENCE = r"```|~~~"
NAMES = {"make", "cargo", "python3", "sam local", "sam local invoke", "aws lambda invoke", "sam local invoke --env-vars"}

KEYWORDS = {"do", "then", "else", "!"}
ENDS = ("&&", "||", "|", ";", "&", "\n")


@dataclasses.dataclass
class Command:
    """One program and its arguments, as a person types it."""

    words: list
    # What is piped into it, where another command writes that.
    feeds: "Command | None" = None
    # The names that it sets before it, or by itself: `NAME=value`.
    sets: dict = dataclasses.field(default_factory=dict)
    # `…` stands for the rest of it.
    is_partial: bool = False
    # It stands in a sentence.
    is_in_text: bool = False

    @property
    def program(self):
        return self.words[0] if self.words else ""

    def __str__(self):
        return " ".join(self.words)


def blocks(document):
    """What is marked as shell in a document, and what is set off as code and begins as a command does."""
    text = (ROOT / document).read_text()
    fenced = re.findall(rf"(?ms)^ *({FENCE})sh\n(.*?)^ *\1", text)
    indented = re.findall(r"(?m)^(?: {4,}|\t)\s*(\S.*(?:\\\n.*)*)", unfenced(text))
    return [*(it for _, it in fenced), *(it for it in indented if IN_TEXT.match(it))]


def unfenced(text):
    return re.sub(rf"(?ms)^ *({FENCE}).*?^ *\1", "", text)


def spans(document):
    """What stands in backticks in the text and can be typed."""
    found = re.findall(r"`` ?(.+?) ?``|`([^`\n]+)`", unfenced((ROOT / document).read_text()))
    return [it for it in (one or other for one, other in found) if IN_TEXT.match(it) and it not in NAMES]


def commands(document):
    """Every command of a document, those within others too."""
    typed = [it for text in blocks(document) for it in parse(text)]
    return typed + [dataclasses.replace(it, is_in_text=True) for text in spans(document) for it in parse(text)]


def parse(text):
    # `<a name>` is the reader's to fill in.
    return Parser(re.sub(r"<[a-z ]+>", "NAME", text)).all()


class Parser:
    """As much of a shell's grammar as documents need: quotes, comments, pipes, lists, assignments and `$(…)`."""

    def __init__(self, text):
        self.text, self.at, self.found = text, 0, []

    def all(self):
        words, feeds = [], None
        while True:
            word, end = self.word()
            if word is not None:
                words.append(word)
            if end is None:
                continue
            if words or end not in ("\n", ""):
                command = simple(words, feeds)
                if command is not None:
                    self.found.append(command)
                feeds, words = (command if end == "|" else None), []
            if end == "":
                return self.found

    def word(self):
        """The next word, or none, and what ends the command behind it: none, an operator, or the text's end."""
        self.at += len(re.match(r"(?:[ \t]|\\\n)*", self.text[self.at :])[0])
        if self.text[self.at : self.at + 1] == "#":
            while self.at < len(self.text) and self.text[self.at] != "\n":
                self.at += 1
        word = None
        while self.at < len(self.text):
            char = self.text[self.at]
            end = next((it for it in ENDS if self.text.startswith(it, self.at)), None)
            if char in " \t" or end:
                break
            if char in "<>" or re.match(r"\d>", self.text[self.at :]):
                self.redirection()
                continue
            word = (word or "") + self.piece(char)
        if self.at >= len(self.text):
            return word, ""
        end = next((it for it in ENDS if self.text.startswith(it, self.at)), None)
        if end:
            self.at += len(end)
            # A pipe or a list goes on in the next line.
            if end in ("&&", "||", "|"):
                self.at += len(re.match(r"\s*", self.text[self.at :])[0])
        return word, end

    def piece(self, char):
        if char == "\\":
            self.at += 2
            escaped = self.text[self.at - 1 : self.at]
            return "" if escaped == "\n" else escaped
        if char == "'":
            start = self.at + 1
            self.at = self.text.index("'", start) + 1
            return self.text[start : self.at - 1]
        if self.text.startswith("$(", self.at):
            return self.substitution()
        if char == '"':
            self.at += 1
            inside = ""
            while self.text[self.at] != '"':
                inside += self.quoted(self.text[self.at])
            self.at += 1
            return inside
        self.at += 1
        return char

    def quoted(self, char):
        if char == "\\":
            self.at += 2
            return self.text[self.at - 1]
        if self.text.startswith("$(", self.at):
            return self.substitution()
        self.at += 1
        return char

    def substitution(self):
        """`$(…)` within a word: its commands count for themselves."""
        inner = Parser(self.text)
        inner.at = self.at + 2
        depth, start = 1, inner.at
        while depth:
            char = self.text[inner.at]
            if char in ")(":
                depth += 1 if char == "(" else -1
                inner.at += 1
            elif char in "'\"\\":
                inner.piece(char)
            else:
                inner.at += 1
        self.found += Parser(self.text[start : inner.at - 1]).all()
        self.at = inner.at
        return "$(…)"

    def redirection(self):
        self.at += len(re.match(r"\d?[<>]+&?\d?\s*", self.text[self.at :])[0])
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&":
            self.at += 1


def simple(words, feeds):
    """Without keywords and what is set beside it; none where only names are looped over."""
    while words and words[0] in KEYWORDS:
        words = words[1:]
    if not words or words[0] == "done":
        return None
    if words[0] == "for":
        return Command([], sets={words[1]: ""})
    names = words[1:] if words[0] == "export" else words
    sets = {}
    while names and re.match(r"[A-Za-z_]\w*=", names[0]):
        name, _, value = names[0].partition("=")
        sets[name], names = value, names[1:]
    if words[0] == "read":
        sets |= {it: "" for it in words[1:] if it.isupper()}
    if words[0] in ("export", "unset", "read", "eval"):
        names = []
    said = [it for it in names if it not in ("…", "...")]
    return Command(said, feeds, sets, len(said) < len(names))
