"""`make compare` works on one event: its runner, the same in Python, and the page that is made of the figures. What
depends on how fast a machine is, is no test."""

import re

import pytest

from bench import burst, measure, report
from bench.__main__ import judged
from bench.proxy import Proxy, Request, depths
from bench.subjects import BASELINE, Baseline, Responder

from .harness.processes import BINARY, ROOT


@pytest.fixture
def proxy(world):
    # Long enough that what was sent together is seen to be together.
    proxy = Proxy(world.url)
    proxy.delay = 0.05
    yield proxy
    proxy.close()


def one(proxy, subject, events):
    user = events.user()
    event = events.about([user])
    emulator = subject.start(proxy.url)
    try:
        figures = measure.respond(proxy, emulator, event)
        judged(subject, figures["answer"], user)
        again = measure.respond(proxy, emulator, event)
        process = measure.Process(emulator)
        return figures, again, {"init": measure.initialisation(emulator), "peak": process.peak(), "cpu": process.cpu()}
    finally:
        emulator.close()


def test_the_responder_and_the_same_in_python_are_measured_on_one_event(world, proxy):
    assert BASELINE.exists(), "run `make bench/.venv/ready` first"
    world.deploy(OpsItems="false")
    events, runs = measure.Events(world), []
    for subject in (Responder(world, BINARY), Baseline(world)):
        figures, again, process = one(proxy, subject, events)
        assert figures["deny"] <= figures["end"] and figures["first_key"] <= figures["all_keys"] <= figures["end"]
        assert (figures["denied"], figures["keys"]) == (1, 2) and process["peak"] > 5 and 0 < process["cpu"] < 60
        runs.append({"subject": subject.name, "number": 0, "delay": 50, "cold": figures, "warm": figures, **process})
    ours, baseline = runs
    assert ours["cold"]["trips_deny"] == 3 and ours["cold"]["calls"] <= 50
    # The Python answers once, marks the finding and tells people, in as few calls as it can.
    assert baseline["cold"]["trips_deny"] == 2 and baseline["cold"]["calls"] == 9 and baseline["warm"]["connections"] <= 8
    assert [it["outcome"] for it in again["answer"]["results"]] == ["already answered"] and again["calls"] == 1
    assert len([it for it in world.alerts() if "user-00002" in str(it)]) == 1
    calls = [it["action"] for it in world.journal() if it["decision"] != "allow"]
    assert calls == [], calls
    page = report.tables(figures_of(runs))
    assert f"| iam-responder | cold | 3 | {ours['cold']['trips_first_key']} |" in page and "×1.00" in page
    assert "<svg" in report.charted(figures_of(runs))


def figures_of(runs):
    """As if Custodian, which is not installed for tests, had done what the Python did."""
    third = {**runs[1], "subject": "custodian"}
    names = ("iam-responder", "baseline", "custodian")
    machine = dict.fromkeys(("cores", "processor", "memory_gb", "system", "python", "boto3", "c7n"), "some")
    cpu = [{"subject": name, "acted": 0.05, "ignored": 0.001} for name in names[:2]] + [{"subject": "custodian", "acted": 0.3}]
    about = {"began": "2026-11-29 10:00", "ended": "2026-11-29 10:40", "commit": "abc", "build": "debug", "nice": 0, "load": [1.0], "machine": machine}
    # So that the two others are as slow as each other, whatever they were.
    runs = [runs[0], {**runs[1], "cold": runs[0]["cold"]}, {**third, "cold": runs[0]["cold"]}]
    return {**about, "runs": runs, "cpu": cpu, "package": dict.fromkeys(names, {"zip": 4_200_000})}


@pytest.mark.seconds(15)
def test_several_at_once_and_a_second_full_of_reports_are_measured(world, monkeypatch):
    """Two at once in an account that throttles, and three in a second of which the limits let one through."""
    monkeypatch.setattr(burst, "MANY", 3)
    with burst.staged(world.url) as (staged, proxy, events):
        both = burst.at_once(proxy, Responder(staged, BINARY), events, 2)
    assert (both["denied"], both["active_keys"], both["errors"]) == (2, 0, 0) and both["last_deny"] <= both["end"] and both["calls"] > 80
    with burst.staged(world.url) as (staged, proxy, events):
        few = burst.reported(proxy, Responder(staged, BINARY, MAX_CONTAINMENTS_PER_HOUR="1,20"), events, "1,20")
    assert (few["denied"], few["others"], few["others_told"], few["errors"], len(few["denies"])) == (1, 2, 2, 0, 1), few
    assert few["peak"] > 5 and 3 < few["files"] < 400
    page = report.at_once({"at_once": [both]}) + report.reported({"reported": [few]})
    assert "| 2 | iam-responder | 2 of 2 | 0 of 4 |" in page and "| `1,20` | 1 | 2 | 2 |" in page


def test_what_waited_for_an_answer_is_deeper_than_what_did_not():
    sent = [Request("a", "", True, 0, 1, 200, 1), Request("b", "", True, 0, 2, 200, 2), Request("c", "", True, 1, 3, 200, 1), Request("d", "", True, 3, 4, 200, 1)]
    assert [(it.action, depth) for it, depth in depths(sent)] == [("a", 1), ("b", 1), ("c", 2), ("d", 3)]


def test_the_readme_quotes_only_figures_of_the_page():
    page = (ROOT / "docs" / "performance.md").read_text()
    readme = (ROOT / "README.md").read_text()
    [quoted] = [line for line in readme.splitlines() if "docs/performance.md" in line and "**" in line]
    figures = re.findall(r"\*\*([^*]*\d[^*]*)\*\*", quoted)
    assert 1 <= len(figures) <= 4, figures
    for figure in figures:
        assert figure in page, figure
