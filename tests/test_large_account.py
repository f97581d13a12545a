"""An account of 5,000 users: a finding that names only an ID waits for few lists before the deny."""

from .harness.victims import User

EXFILTRATION = "guardduty-exfiltration-iam-user-anomalous-behavior"


def test_an_id_is_found_among_five_thousand_users_within_five_lists(world):
    world.deploy()
    world.control("crowd", {"account": world.member, "users": 4_999})
    user = User(world, name="zoe")  # The last of them all.
    event = world.event(EXFILTRATION, user)
    # The name in the finding leads to nobody any more.
    event["detail"]["resource"]["accessKeyDetails"]["userName"] = "renamed-since"
    [report] = world.responder().invoke(event)["reports"]
    assert report["verdict"] == "Contained" and not user.key_works(), report
    calls = world.journal()
    deny = next(call["began"] for call in calls if call["action"] == "iam:AttachUserPolicy")
    lists = [call for call in calls if call["action"] == "iam:ListUsers" and call["ended"] <= deny]
    assert 1 <= len(lists) <= 5, len(lists)
    every = [call for call in calls if call["action"].startswith("iam:List") and ":assumed-role/" in call["principal"]]
    assert [call["action"] for call in every if call["params"].get("MaxItems") != 1_000] == []
