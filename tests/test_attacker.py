"""Against an attacker who uses IAM's enforcement lag to undo us: few runs here, the figures in
docs/attacker.md come from many."""

import pytest

from .experiments.attacker import Setting, one_run


@pytest.fixture
def url(world):
    return world.url


def test_the_loop_outlasts_a_half_second_bot(url):
    results = [one_run(url, Setting(accomplice=False)) for _ in range(2)]
    assert [(it["verdict"], it["contained"], it["false"]) for it in results] == [("Contained", True, False)] * 2
    # It did fight back, and the report says so.
    assert all(it["reversals"] > 0 for it in results)


def test_a_fast_bot_is_never_called_contained(url):
    result = one_run(url, Setting(poll=0.05, accomplice=False))
    assert not result["false"] and result["verdict"] != "Contained"


def test_an_accomplice_keeps_the_verdict_down(url):
    result = one_run(url, Setting())
    assert not result["false"] and result["verdict"] in ("NotContained", "SuspectsOpen")


def test_the_guardrail_makes_the_quarantine_hold_against_a_fast_bot(url):
    result = one_run(url, Setting(scp=True, poll=0.05, accomplice=False))
    assert (result["verdict"], result["contained"]) == ("Contained", True)
