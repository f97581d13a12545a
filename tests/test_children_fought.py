"""A child that fights for who made it is answered while that fight goes on over invocations, and not only with its
verdict."""

import pytest

from .harness.guardrail import Accomplice
from .harness.intrusion import client_of
from .harness.ledger import DUE, Table, until
from .harness.victims import stripped, user_state
from .test_approvals_strike import put
from .test_children import CONTAINED, backdoor, begin, look, works
from .test_children_line import ASKED
from .test_flood import SIMULATION
from .test_lease import while_running


def evidence(table, user):
    """What is kept of the reports on somebody."""
    [item] = [it for it in table.items("evidence#") if user.id in it["id"]["S"]] or [{}]
    return item


def verdicts(fighter):
    return [it["verdict"] for it in fighter.reports()]


@pytest.mark.seconds(40)
def test_an_accomplice_is_contained_as_a_child_before_the_fights_verdict(world):
    responder, user = begin(world, SettleSeconds="3", Simulation="true")
    fighter, table = world.connected(timeout=20), Table(world)
    _, key = backdoor(user.session())
    with Accomplice(world, user, every=0.05, session=client_of(world, "iam", key)) as accomplice:
        put(world, world.event(SIMULATION, user))
        until(lambda: "made" in evidence(table, user), 40)
        assert evidence(table, user)["revision"]["N"] == "1"
        with while_running(responder, DUE, lambda: "AWSDenyAll" in user_state(world.iam, "mallory")["policies"]) as answers:
            assert accomplice.stripped > 1 and set(verdicts(fighter)) == {"InProgress"}, fighter.reports()
        [child] = answers[0]["reports"]
        assert child["source"] == "child" and child["verdict"] == "SuspectsOpen" and not works(world, key), child
        assert "alice" in child["reason"] and "may undo it" in child["reason"], child
    until(lambda: verdicts(fighter)[-1] != "InProgress", 60)
    world.deliveries()
    last = fighter.reports()[-1]
    assert last["verdict"] in CONTAINED and last["reversals"] and user.is_denied(), last
    # It was asked for once in the fight and once with each verdict, as one report with its revisions.
    ended = [it for it in verdicts(fighter) if it != "InProgress"]
    assert evidence(table, user)["revision"]["N"] == str(1 + len(ended)), verdicts(fighter)
    assert look(responder) == {}
    subjects = [it["Subject"] for it in world.alerts()]
    assert len([it for it in subjects if "alice" in it and "vidence" not in it]) == len(ended), subjects


@pytest.mark.seconds(30)
def test_nothing_is_looked_for_in_a_fight_about_which_people_are_still_asked(world):
    responder, user = begin(world, SettleSeconds="3", Simulation="true", **ASKED)
    fighter, table = world.connected(timeout=24), Table(world)
    _, key = backdoor(user.session())
    with stripped(user, every=0.05):
        put(world, world.event(SIMULATION, user))
        until(lambda: "InProgress" in verdicts(fighter), 40)
        assert look(responder) == {} and works(world, key)
        assert not table.items("evidence#") and not table.items("children#"), verdicts(fighter)
