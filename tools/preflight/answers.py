"""What preflight answers: one line for one thing."""

import dataclasses
import enum


class State(enum.Enum):
    OK = "ok"
    MISSING = "missing"
    UNREAD = "can't be read"


@dataclasses.dataclass(frozen=True)
class Line:
    state: State
    # What was looked at, in two words.
    what: str
    # What was found, and what to do about it.
    detail: str

    def __str__(self):
        return f"{self.state.value:<14}{self.what:<24}{self.detail}"


def ok(what, detail):
    return Line(State.OK, what, detail)


def missing(what, detail):
    return Line(State.MISSING, what, detail)


def unread(what, detail):
    return Line(State.UNREAD, what, detail)


def of_accounts(what, found, accounts, names, remedy):
    """Whether something is there in all accounts: `found` of `accounts` in a line, and which are not among them."""
    lacking = sorted(set(accounts) - set(found))
    count = f"in {len(accounts) - len(lacking)} of {len(accounts)} accounts"
    if not lacking:
        return ok(what, count)
    return missing(what, f"{count}, not in {some(lacking, names)}: {remedy}")


def some(accounts, names, most=5):
    """The first few of a list of accounts, by ID and name."""
    shown = ", ".join(f"{it} ({names[it]})" if names.get(it) else it for it in accounts[:most])
    return shown if len(accounts) <= most else f"{shown} and {len(accounts) - most} more"


def exit_code(lines):
    """Something missing weighs more than something that could not be read."""
    states = {line.state for line in lines}
    return 1 if State.MISSING in states else 2 if State.UNREAD in states else 0
