"""`make demo-sweep`: three simulated accounts, swept by the deployed state machine over simulated days; people answer.

    python -m tests.sweep_demo [--picture FILE]      FILE: the same as an SVG, made from the digests' JSON
"""

from .harness import terminal

terminal.ends_quietly()

import argparse  # noqa: E402
import html  # noqa: E402
import re  # noqa: E402
import time  # noqa: E402

from .harness.plant import MEMBER, SECURITY  # noqa: E402
from .harness.processes import ROOT, simulated_aws  # noqa: E402
from .harness.requests import command  # noqa: E402
from .harness.sweeps import Account, day, digest, run  # noqa: E402
from .harness.terminal import cut, paint, say  # noqa: E402
from .harness.world import World  # noqa: E402

MEMBERS = [MEMBER, "222233334444", "333344445555"]
SUSPENDED = "444455556666"
DAYS = (0, 2, 4, 7, 8, 9)
WORDS = {
    "warned": "warned",
    "reminded": "reminded",
    "asked": "waits for a person",
    "left": "no problem any more",
    "unconfirmed": "not confirmed",
    "overdue": "overdue",
    "declined": "declined",
    "done": "keys deactivated",
}
COLOURS = {"warned": "yellow", "reminded": "yellow", "asked": "red", "left": "green", "unconfirmed": "grey", "overdue": "red", "declined": "grey", "done": "green"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture")
    arguments = parser.parse_args()
    terminal.unwinds()
    say(paint("Three simulated accounts, swept by the deployed state machine over simulated days.", "bold"))
    with simulated_aws() as url:
        world = World(url, member=MEMBER, security=SECURITY)
        try:
            digests = play(world)
        finally:
            world.close()
    if arguments.picture:
        (ROOT / arguments.picture).write_text(picture(digests))


def play(world):
    world.deploy(members=MEMBERS[1:])
    first, second, third = (Account(world, it) for it in MEMBERS)
    world.listen(*[world.responder(part="sweeper") for _ in range(2)])
    world.connected(part="hygiene")
    responder = world.responder()
    listed = [{"Id": it.id, "Name": "n", "State": "ACTIVE", "Paths": []} for it in (first, second, third)]
    world.control("organization", {"account": world.security, "accounts": [*listed, {"Id": SUSPENDED, "Name": "old", "State": "SUSPENDED", "Paths": []}]})
    first.user("alice")
    first.user("bob")
    first.user("erin", mfa=True)
    second.user("carol")
    third.user("robot", password=False, keys=2, key_age=400)
    say("alice, bob and carol can sign in without MFA. bob turns it on before day 4; alice and carol never do.\n")
    digests = []
    open_requests = {}
    for number in DAYS:
        if number == 4:
            first.turn_mfa_on("bob")
        execution = run(world, number, seconds=120)
        assert execution["status"] == "SUCCEEDED", execution
        digests.append(digest(world, number))
        tell(number, digests[-1])
        open_requests = asked(world, sum(1 for _, it in digests[-1]["told"] if it["step"] == "asked"))
        if number == 7:
            decide(responder, "decline", open_requests["carol"], "carol", "she is leaving: HR has it")
        if number == 8:
            decide(responder, "approve", open_requests["alice"], "alice", "asked twice, no answer")
    changed = {it for it in world.writes() if it.startswith("iam:")} - {"iam:GenerateCredentialReport"}
    assert changed == {"iam:UpdateAccessKey", "iam:TagUser"}, changed
    say(f"\n{len(DAYS)} digests were sent. One key was deactivated, because a person approved it, and nothing else was changed.")
    return digests


def asked(world, number, seconds=30):
    """The requests that people were asked under, by the user: they come by the queue for hygiene."""
    found, end = {}, time.monotonic() + seconds
    while len(found) < number and time.monotonic() < end:
        for alert in world.alerts():
            request = re.search(r"^Request: ([a-z2-7]{26})$", alert["Message"], re.MULTILINE)
            if request and "WAITING" in alert["Subject"]:
                found[re.search(r"user (\S+) \(", alert["Subject"]).group(1)] = request.group(1)
        time.sleep(0.1)
    assert len(found) == number, (number, found)
    return found


def decide(responder, word, request, user, reason):
    answer = command(responder, word, request, reason=reason)
    say(paint(f"   Dana {answer['decision']['outcome']} what was asked about {user}: {reason}", "bold"))
    for report in answer.get("reports", []):
        say(paint(f"   {report['playbook']} of {user}: {report['verdict']}: {report['reason']}", "green"))
        say(paint(f"   {report['notes'][0]}", "grey"))


def step(entry):
    """As it is drawn: of what was decided how."""
    return entry["ending"]["how"] if entry["step"] == "ended" else entry["step"]


def tell(number, digest):
    say(paint(f"day {number}, {day(number)}: {digest['accounts']} accounts, {digest['users']} users, {digest['seconds']} s", "bold"))
    for account, entry in digest["told"]:
        word = WORDS[step(entry)] + (f", {entry['days_left']} days left" if "days_left" in entry else "")
        word += f", request {entry['time']}" if "time" in entry else ""
        say(paint(cut(f"   {account} {entry['user']:8} {entry['kind']}: {word}"), COLOURS[step(entry)]))
    if number == 0:
        for skipped in digest["not_swept"]:
            say(paint(f"   not swept: {skipped['account']}: {skipped['reason']}", "grey"))
        kinds = ", ".join(f"{kind} {count['now']}" for kind, count in digest["kinds"].items())
        say(paint(f"   counted: {kinds}", "grey"))


FILL = {
    "warned": "#d29922",
    "reminded": "#db6d28",
    "asked": "#f85149",
    "left": "#3fb950",
    "unconfirmed": "#8b949e",
    "overdue": "#f85149",
    "declined": "#8b949e",
    "done": "#3fb950",
}


def picture(digests):
    """A row for each user, a column for each day, from the digests alone."""
    users = sorted({entry["user"] for digest in digests for _, entry in digest["told"]})
    left, top, width, height = 110, 70, 150, 46
    size = (left + width * len(digests) + 20, top + height * len(users) + 20)
    title = "The ladder of the daily sweep: who was warned, reminded and asked about on which day"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{html.escape(title)}">',
        f"<title>{html.escape(title)}</title>",
        '<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#c9d1d9}.n{fill:#0d1117;font-size:12px}.h{font-weight:bold}</style>',
        f'<rect width="{size[0]}" height="{size[1]}" rx="8" fill="#0d1117"/>',
    ]
    for column, digest in enumerate(digests):
        x = left + column * width
        on = html.escape(digest["day"])
        out.append(f'<text class="h" x="{x}" y="30">{on}</text>')
        out.append(f'<text x="{x}" y="50" style="font-size:11px;fill:#8b949e">{sum(1 for _, it in digest["told"] if it["step"] == "asked")} to decide</text>')
        for _, entry in digest["told"]:
            y = top + users.index(entry["user"]) * height
            word = WORDS[step(entry)].removesuffix(" any more")
            days = f'{entry["days_left"]} days left' if "days_left" in entry else f'request {entry["time"]}' if "time" in entry else ""
            out.append(f'<rect x="{x}" y="{y}" width="{width - 10}" height="{height - 10}" rx="6" fill="{FILL[step(entry)]}"/>')
            out.append(f'<text class="n" x="{x + 6}" y="{y + (16 if days else 22)}">{html.escape(word)}</text>')
            if days:
                out.append(f'<text class="n" x="{x + 6}" y="{y + 30}">{days}</text>')
    for row, user in enumerate(users):
        out.append(f'<text x="20" y="{top + row * height + 22}">{html.escape(user)}</text>')
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    main()
