"""A restore holds an identity by everything that a finding may call it, and is known by all of that."""

from .harness.ledger import DUE, Table
from .harness.victims import User
from .test_lease import while_running, wrote

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"
KEY_ONLY = "health-risk-credentials-exposed-key-only"
UNTYPED = "security-hub-v2-guardduty-exfiltration-iam-user-anomalous-behavior-name-without-type"


def test_a_finding_by_key_that_is_no_news_to_a_restore_leaves_no_deny_behind(world):
    world.deploy()
    user, responder, table = User(world), world.responder(), Table(world)
    responder.invoke(world.event(EXFILTRATION, user))
    # The restore reads twice: what there is to do, and what came of it.
    world.fault("iam:ListMFADevices", delay_ms=3_000, after=1, times=1)
    with while_running(world.responder(part="restorer"), world.restore_command(), wrote(world, "iam:UntagUser")) as restored:
        [report] = responder.invoke(world.event(KEY_ONLY, user))["reports"]
        assert report["verdict"] == "InProgress" and "restoring" in report["reason"], report
    assert restored[0]["restore"]["verdict"] == "Restored" and not user.is_denied()
    table.pass_time()
    [report] = responder.invoke(DUE)["reports"]
    assert report["verdict"] == "Refused" and "it was restored" in report["reason"], report
    assert not user.is_denied() and table.due() == []


def test_a_restore_waits_for_what_began_before_it_by_another_name(world):
    """Otherwise it would be contained again at once, for behaviour from before the restore."""
    world.deploy()
    user, responder, restorer = User(world), world.responder(), world.responder(part="restorer")
    responder.invoke(world.event(EXFILTRATION, user))
    world.fault("iam:GetAccessKeyLastUsed", delay_ms=2_000, times=1)
    begun = lambda: Table(world).items(f"lock#{world.member}#key/")  # noqa: E731
    with while_running(responder, world.event(KEY_ONLY, user), begun) as first:
        assert restorer.invoke(world.restore_command())["restore"]["verdict"] == "InProgress"
        assert user.is_denied()
    assert first[0]["reports"][0]["verdict"] == "Contained"
    # Nothing was left taken.
    assert restorer.invoke(world.restore_command())["restore"]["verdict"] == "Restored" and not user.is_denied()


def test_a_restore_is_known_by_every_name_that_a_finding_may_use(world):
    world.deploy()
    user, responder = User(world), world.responder()
    responder.invoke(world.event(EXFILTRATION, user))
    assert world.responder(part="restorer").invoke(world.restore_command())["restore"]["verdict"] == "Restored"
    for name in (UNTYPED, KEY_ONLY):
        [report] = responder.invoke(world.event(name, user))["reports"]
        assert report["verdict"] == "Refused" and "it was restored" in report["reason"], report
    assert not user.is_denied(), "contained again for behaviour from before the restore"
