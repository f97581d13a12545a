"""observe changes nothing, on the wire; its report is what enforce would do, in the same words."""

import pytest

from .harness.processes import ROOT
from .harness.victims import Role, User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def test_observe_makes_no_mutating_call_for_any_sample(world):
    world.deploy(
        Mode="observe",
        Simulation="true",
        TrustedProducts="product/aws/*,product/prowler/prowler,product/*/default",
        response_plan=True,
        rotation=True,
    )
    user, role = User(world), Role(world)
    User(world, name="backdoor", groups=())
    before, responder, restorer = (user.state(), role.state()), world.responder(), world.responder(part="restorer")
    for path in sorted((ROOT / "events").glob("*.json")):
        if "gov-cloud" in path.stem:
            continue  # A function of this partition can't reach that one.
        if path.stem.startswith("command-restore"):
            assert restorer.invoke(world.event(path.stem))["restore"]["verdict"] == "NothingToDo"
            continue
        answer = responder.invoke(world.event(path.stem, user, role))
        assert "reports" in answer, (path.stem, answer)
        assert {it["verdict"] for it in answer["reports"]} <= {"Observed", "Refused"}, (path.stem, answer)
    assert world.writes() == []
    assert (user.state(), role.state()) == before and world.alerts() == []


def test_observe_makes_no_mutating_call_for_any_sample_of_what_can_wait(world):
    world.deploy(Mode="observe")
    user, hygiene, seen = User(world), world.responder(part="hygiene"), set()
    world.iam.create_login_profile(UserName=user.name, Password="Correct-horse-9")
    User(world, name="backdoor", groups=())
    before = user.state()
    for path in sorted((ROOT / "events").glob("*.json")):
        if "gov-cloud" in path.stem or path.stem.startswith("command-"):
            continue
        for report in hygiene.invoke(world.event(path.stem, user)).get("reports", []):
            assert report["verdict"] in ("Observed", "Refused"), (path.stem, report)
            seen.add(report["playbook"])
    # That a user was made is noted for the sweep.
    assert world.writes() == ["dynamodb:UpdateItem"]
    assert "missing-mfa" in seen and user.state() == before and world.alerts() == []


def test_observe_tells_what_enforce_would_do(world):
    world.deploy(response_plan=True, rotation=True)
    user = User(world)
    event = world.event(EXFILTRATION, user)
    [planned] = world.responder(MODE="observe").invoke(event)["reports"]
    [done] = world.responder().invoke(event)["reports"]
    assert planned["verdict"] == "Observed"
    what = lambda report: sorted((it["action"], it["target"]) for it in report["actions"])  # noqa: E731
    assert what(planned) == what(done)
    assert all(it["outcome"] == "planned" and it["detail"].startswith("would ") for it in planned["actions"])


@pytest.mark.parametrize(("mode", "playbooks", "works"), [("observe", "compromised-credential=enforce", False), ("enforce", "compromised-credential=observe", True)])
def test_a_playbook_may_have_its_own_mode(world, mode, playbooks, works):
    world.deploy(Mode=mode, PlaybookModes=playbooks)
    user = User(world)
    world.responder().invoke(world.event(EXFILTRATION, user))
    assert user.key_works() == works


def test_absent_means_observe(world):
    world.deploy()
    user = User(world)
    [it] = world.responder(MODE="").invoke(world.event(EXFILTRATION, user))["reports"]
    assert it["mode"] == "observe" and user.key_works()
