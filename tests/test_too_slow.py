"""A test is run again where the machine was too slow for it, and for no other reason."""

from .harness.world import LEDGER_WAITED
from .test_suspects import OUTSIDE, Role


def test_a_ledger_that_kept_waiting_unasked_is_the_machine(world):
    world.deploy()
    # As a busy machine does it: the test itself asked for nothing.
    world.control("fault", {"action": "dynamodb:UpdateItem", "code": None, "accounts": [world.security], "delay_ms": 2_000, "times": 5})
    answer = world.responder().invoke(world.event(OUTSIDE, role=Role(world)))
    assert answer["errorType"] == "ResponseIncomplete" and world.was_too_slow()
    world.fault("dynamodb:GetItem", times=0)
    assert not world.was_too_slow()


def test_another_service_that_kept_waiting_is_not():
    waited = "Timeout: AWS did not answer in time"
    assert LEDGER_WAITED.search(f"not everything succeeded: acquiring the lease: {waited}")
    assert LEDGER_WAITED.search(f"taking the identity in the ledger: {waited}")
    assert not LEDGER_WAITED.search(f"the ledger could not be reached; attach AWSDenyAll: {waited}")
    assert not LEDGER_WAITED.search(f"publish an alert: {waited}")


def test_what_fails_without_waiting_is_not(world):
    world.deploy()
    world.control("fault", {"action": "dynamodb:UpdateItem", "code": "InternalServerError", "accounts": [world.security], "times": 9})
    assert "errorType" in world.responder().invoke(world.event(OUTSIDE, role=Role(world)))
    assert not world.was_too_slow()
