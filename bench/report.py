"""From the figures of one run to the tables of docs/performance.md and its chart. Nothing in them is typed by hand."""

import re
import statistics

from tests.harness.processes import ROOT

from . import burst, chart
from .subjects import Baseline, Custodian, Responder

DOCUMENT, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
WORDS = {it.name: it.words for it in (Responder, Baseline, Custodian)}
OURS, OTHERS = Responder.name, (Baseline.name, Custodian.name)
BEGIN, END = "<!-- figures: written by `make compare` -->", "<!-- end of the figures -->"


def write(figures):
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(before + BEGIN + "\n\n" + tables(figures) + "\n" + END + after)
    CHART.write_text(charted(figures))


def tables(figures):
    parts = [conditions(figures), short(figures), times(figures, "cold"), times(figures, "warm"), *([idle(figures)] if figures.get("idle") else []), waits(figures), path(figures), process(figures)]
    if figures.get("growth"):
        parts += [growth(figures), quiet(figures)]
    if figures.get("at_once"):
        parts += [at_once(figures), reported(figures)]
    return "\n\n".join(parts) + "\n"


def conditions(figures):
    machine, loads = figures["machine"], figures["load"]
    build = "release build" if figures["build"] == "release" else "**a debug build of iam-responder: larger and slower than what is deployed; its trips and calls are the same**"
    runs = 1 + max(it["number"] for it in figures["runs"])
    return (
        f"{figures['began']} to {figures['ended'][-5:]} UTC, commit `{figures['commit']}`, {build}; {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gb']} GB, {machine['system']}; Python {machine['python']}, boto3 {machine['boto3']}, Cloud Custodian {machine['c7n']}. "
        f"{runs} cold and {runs} warm responses of each at each delay. **Load of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f}, "
        f"median {statistics.median(loads):.1f}**; what was measured ran at niceness {figures['nice']}."
    )


def select(figures, subject, delay):
    return [it for it in figures["runs"] if it["subject"] == subject and it["delay"] == delay]


def delays(figures):
    return sorted({it["delay"] for it in figures["runs"]})


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def spread(values):
    low, middle, high = quartiles(values)
    return f"{middle:,.0f} ({low:,.0f}–{high:,.0f})"


def ratio(figures, subject, delay, kind, name):
    """The median of how many times ours it took, each from one run."""
    ours = {it["number"]: it[kind][name] for it in select(figures, OURS, delay)}
    return statistics.median(it[kind][name] / ours[it["number"]] for it in select(figures, subject, delay))


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def times(figures, kind):
    rows = []
    for delay in delays(figures):
        for subject in WORDS:
            row = [f"{delay} ms", WORDS[subject]]
            for name in ("deny", "all_keys", "end"):
                said = spread([it[kind][name] for it in select(figures, subject, delay)])
                row.append(said if subject == OURS else f"{said}, ×{ratio(figures, subject, delay, kind, name):.2f}")
            rows.append(row)
    words = {"cold": "### Cold: the first event of a process", "warm": "### Warm: the next event of the same process, at once"}
    head = ["a request takes", "", "to the deny, ms", "all keys inactive, ms", "answered, ms"]
    return f"{words[kind]}\n\n{table(head, rows)}"


def short(figures):
    """What is worth quoting, cold first. The README takes its figures from here, word by word."""
    usual = sorted(delays(figures))[len(delays(figures)) // 2]

    def counted(kind, name, words):
        found = [statistics.median(it[kind][name] for it in select(figures, subject, delays(figures)[-1])) for subject in WORDS]
        ours, *others = map(round, found)
        return f"- {kind}: {ours} {words} ({', '.join(f'{WORDS[it]} {count}' for it, count in zip(OTHERS, others))})"

    def slower(kind, name, words):
        others = ", ".join(f"{WORDS[it]} ×{ratio(figures, it, usual, kind, name):.1f}" for it in OTHERS)
        return f"- {kind}, {usual} ms a request, time {words} against iam-responder's: {others}"

    lines = [slower("cold", "deny", "to the deny"), counted("cold", "trips_deny", "dependent round trips to the deny")]
    lines += [counted("cold", "calls", "calls"), slower("warm", "deny", "to the deny"), slower("warm", "end", "to the answer")]
    return "\n".join(lines)


def idle(figures):
    rows = []
    for subject in WORDS:
        runs = [it for it in figures["idle"] if it["subject"] == subject]
        cells = [spread([it[name] for it in runs]) for name in ("deny", "all_keys", "end")]
        rows.append([WORDS[subject], *cells, round(statistics.median(it["trips_deny"] for it in runs)), round(statistics.median(it["connections"] for it in runs))])
    head = ["", "to the deny, ms", "all keys inactive, ms", "answered, ms", "round trips to the deny", "connections opened"]
    return f"### After a pause: an event of the same process five seconds later\n\nAt 50 ms a request, {len(figures['idle']) // len(WORDS)} of each:\n\n{table(head, rows)}"


def waits(figures):
    """At the longest delay: there what was sent together is seen to be together."""
    delay, rows = delays(figures)[-1], []
    for subject in WORDS:
        for kind in ("cold", "warm"):
            runs = [it[kind] for it in select(figures, subject, delay)]
            middle = lambda name: round(statistics.median(it[name] for it in runs))  # noqa: B023, E731
            trips = [middle(f"trips_{it}") for it in ("deny", "first_key", "all_keys", "end")]
            rows.append([WORDS[subject], kind, *trips, middle("calls_deny"), middle("calls"), middle("connections")])
    head = ["", "", "round trips to the deny", "to the first key", "to all keys", "to the end", "calls up to the deny", "calls", "connections opened"]
    return f"### What waits for what\n\nDependent round trips and calls, at {delay} ms:\n\n{table(head, rows)}"


def path(figures):
    """What was sent in each trip of the last cold run at the longest delay, up to the last key."""
    last = {name: select(figures, name, delays(figures)[-1])[-1]["cold"] for name in WORDS}
    rows = []
    for trip in range(max(it["trips_all_keys"] for it in last.values())):
        row = [trip + 1]
        for it in last.values():
            sent = it["sent"][trip].items() if trip < it["trips_all_keys"] else ()
            row.append(", ".join(f"`{action}`" + (f" ×{count}" if count > 1 else "") for action, count in sorted(sent)))
        rows.append(row)
    head = ["trip", *(WORDS[name] for name in last)]
    return f"### The way to the last key\n\nWhat is sent in each trip of a cold response, once an answer of the trip before has come:\n\n{table(head, rows)}"


def process(figures):
    rows = []
    for subject in WORDS:
        every = [it for it in figures["runs"] if it["subject"] == subject]
        used = [it for it in figures["cpu"] if it["subject"] == subject]
        first, last = delays(figures)[0], delays(figures)[-1]
        size = figures["package"][subject]
        row = [WORDS[subject]]
        row += [spread([it["init"] for it in every if it["delay"] == delay]) for delay in dict.fromkeys((first, last))]
        row.append(f"{statistics.median(it['peak'] for it in every):.0f}")
        row.append(f"{size['zip'] / 1e6:.1f}" + (f" ({size['own'] / 1e3:.1f} KB its own)" if "own" in size else ""))
        for name in ("acted", "ignored"):
            values = [it[name] * 1000 for it in used if name in it]
            row.append(f"{statistics.median(values):.1f}" if values else "not its choice")
        rows.append(row)
    said = [f"initialisation at {delay} ms, ms" for delay in dict.fromkeys((delays(figures)[0], delays(figures)[-1]))]
    head = ["", *said, "peak memory, MB", "package, MB (zip)", "CPU for an acted event, ms", "for an ignored one, ms"]
    return f"### The process\n\n{table(head, rows)}"


WHAT = {
    "rights": "managed policies and groups of the user",
    "findings": "findings in one event, each about another user",
    "size": "size of the event, KB",
    "account": "users in the account",
}


def growth(figures):
    rows = []
    for what, words in WHAT.items():
        several = [it for it in figures["growth"] if it["what"] == what]
        for size in sorted({it["size"] for it in several}):
            for subject in WORDS:
                runs = [it for it in several if it["size"] == size and it["subject"] == subject]
                wrong = [f"{it['missed']} of {it['missed'] + it['denied']} not denied" for it in runs if it["missed"]]
                wrong += [said(it["error"]) for it in runs if it["error"]]
                cells = [f"{middle(runs, name):,.0f}" if any(name in it for it in runs) else "never" for name in ("last_deny", "end", "calls", "peak")]
                rows.append([words, f"{size:,}", WORDS[subject], *cells, f"{middle(runs, 'cpu'):.2f}", escaped(wrong)])
    head = ["", "", "", "last deny, ms", "answered, ms", "calls", "peak memory, MB", "CPU with initialisation, s", "what failed"]
    runs = max(sum(it["what"] == "account" and it["size"] == 5_000 and it["subject"] == OURS for it in figures["growth"]), 1)
    return f"### How each grows\n\nCold, at 20 ms; medians of {runs}.\n\n{table(head, rows)}"


def said(error):
    found = re.search(r"'errorMessage': [\"'](.*)", error)
    return (found.group(1) if found else error)[:70]


def escaped(wrong):
    return wrong[0].replace("|", "/") if wrong else ""


def middle(runs, name):
    return statistics.median(it[name] for it in runs if name in it)


def quiet(figures):
    words = {"first": "a response that nobody fights", "again": "the same finding again"}
    rows = [[words[it["kind"]], it["calls"], it["iam"], it["most_in_a_second"], f"{it['end'] / 1000:.1f}"] for it in figures["quiet"]]
    head = ["with `SETTLE_SECONDS=12`, at 20 ms", "calls", "of these to IAM", "most in one second", "answered, s"]
    return f"### A response that waits until it has held\n\n{table(head, rows)}"


def at_once(figures):
    rows = []
    for it in sorted(figures["at_once"], key=lambda it: it["many"]):
        keys = f"{it['active_keys']} of {2 * it['many']}"
        denied = "never" if it["last_deny"] is None else f"{it['last_deny'] / 1000:.1f}"
        rows.append([it["many"], WORDS[it["subject"]], f"{it['denied']} of {it['many']}", keys, denied, f"{it['end'] / 1000:.1f}", f"{it['calls']:,}", f"{it['refused']:,}", it["errors"]])
    head = ["users at once", "", "denied", "keys still active", "last deny, s", "last answer, s", "calls", "of these refused by IAM", "answers that are errors"]
    words = f"### At the same time in one account\n\nEach user's event to a process of its own, all at once, where IAM answers {burst.RATE} calls of each kind in a second and refuses the others with `Throttling`; at 20 ms, one run, processes that had started before, Custodian's with a response. Lambda tries again what ended with an error, here nobody does."
    return f"{words}\n\n{table(head, rows)}"


def reported(figures):
    rows = []
    for it in figures["reported"]:
        low, middle, high = (f"{value / 1000:.1f}" for value in quartiles(it["denies"]))
        last = f"{max(it['denies']) / 1000:.1f}"
        rows.append([f"`{it['limits']}`", it["denied"], it["others"], it["others_told"], f"{middle} ({low}–{high})", last, it["errors"], f"{it['peak']:.0f}", it["files"]])
    head = ["`MAX_CONTAINMENTS_PER_HOUR`", "denied", "others", "of these named in an alert", "from an event to its deny, s", "the last", "errors", "most memory of a process, MB", "most open files"]
    words = f"### {burst.MANY} reported within one second\n\nUsers of one account, each in an event and a process of its own, at 20 ms; no other than iam-responder. All of these processes and the simulated AWS share the cores of this machine: the times are theirs, what is denied and told is not."
    return f"{words}\n\n{table(head, rows)}"


def charted(figures):
    groups = []
    for delay in delays(figures):
        bars = {subject: quartiles([it["cold"]["deny"] for it in select(figures, subject, delay)]) for subject in WORDS}
        groups.append((f"{delay} ms a request", bars))
    return chart.drawn("From a cold start to the deny: medians and quartiles", groups, WORDS)
